package echov5gate_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/remotedbg/remotedbg/middleware/adaptertest"
	echov5gate "github.com/remotedbg/remotedbg/middleware/echov5"
)

var framework = adaptertest.Framework{Recovers: true, Build: func(s adaptertest.Setup) http.Handler {
	e := echo.New()
	e.Logger = slog.New(slog.DiscardHandler)
	recovery := middleware.Recover()
	if s.Recovery == adaptertest.RecoveryOutside {
		e.Use(recovery)
	}
	switch {
	case s.Idle:
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error { return next(c) }
		})
	case !s.Bare:
		e.Use(echov5gate.New(s.Gate))
	}
	if s.Recovery == adaptertest.RecoveryInside {
		e.Use(recovery)
	}
	h := func(c *echo.Context) error {
		s.Handler(c.Response(), c.Request())
		return nil
	}
	e.GET("/orders/:id", h)
	e.POST("/orders/:id", h)
	return e
}}

func TestAdapter(t *testing.T) { adaptertest.Test(t, framework) }

func BenchmarkOverhead(b *testing.B) { adaptertest.BenchmarkOverhead(b, framework) }
