package echogate_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/remotedbg/remotedbg/middleware/adaptertest"
	echogate "github.com/remotedbg/remotedbg/middleware/echo"
)

var framework = adaptertest.Framework{Recovers: true, Build: func(s adaptertest.Setup) http.Handler {
	e := echo.New()
	e.Logger.SetOutput(quiet{})
	recovery := middleware.Recover()
	if s.Recovery == adaptertest.RecoveryOutside {
		e.Use(recovery)
	}
	switch {
	case s.Idle:
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error { return next(c) }
		})
	case !s.Bare:
		e.Use(echogate.New(s.Gate))
	}
	if s.Recovery == adaptertest.RecoveryInside {
		e.Use(recovery)
	}
	h := func(c echo.Context) error {
		s.Handler(c.Response(), c.Request())
		return nil
	}
	e.GET("/orders/:id", h)
	e.POST("/orders/:id", h)
	return e
}}

// quiet is for the logs of servers whose handlers panic on purpose.
type quiet struct{}

func (quiet) Write(p []byte) (int, error) { return len(p), nil }

func TestAdapter(t *testing.T) { adaptertest.Test(t, framework) }

func BenchmarkOverhead(b *testing.B) { adaptertest.BenchmarkOverhead(b, framework) }
