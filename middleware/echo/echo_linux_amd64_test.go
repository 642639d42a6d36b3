package echogate_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/remotedbg/remotedbg/middleware/adaptertest"
	echogate "github.com/remotedbg/remotedbg/middleware/echo"
)

var errBoom = errors.New("boom")

// TestEcho is what handlers rely on that is echo's own: what they return reaches
// middleware and the error handler as it is, and the context is the same one.
func TestEcho(t *testing.T) {
	for _, row := range []struct {
		name, path, want string
		handler          echo.HandlerFunc
	}{
		{"no error", "/orders/7", "200|outer /orders/:id 7|middleware <nil> same false|",
			func(c echo.Context) error {
				return c.String(http.StatusOK, fmt.Sprint(c.Get("outer"), " ", c.Path(), " ", c.Param("id")))
			}},
		{"error", "/orders/7", "500|handled|middleware boom same true|error handler boom same true",
			func(echo.Context) error { return errBoom }},
		{"HTTP error", "/orders/7", "418|handled|", func(echo.Context) error {
			return echo.NewHTTPError(http.StatusTeapot, "short and stout")
		}},
		{"error after the answer", "/orders/7", "202|sent|middleware boom same true|error handler boom same true",
			func(c echo.Context) error {
				if err := c.String(http.StatusAccepted, "sent"); err != nil {
					return err
				}
				return errBoom
			}},
		{"no route", "/nowhere", "404|handled|", func(echo.Context) error { return nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			adaptertest.Compare(t, row.want, func(_ *testing.T, s adaptertest.Setup) string {
				return serve(s, row.path, row.handler)
			})
		})
	}
}

// serve sends one request to an Echo and returns what came of it.
func serve(s adaptertest.Setup, path string, handler echo.HandlerFunc) string {
	e := echo.New()
	seen := ""
	note := func(who string, err error) {
		seen += fmt.Sprintf("|%s %v same %t", who, err, err == errBoom)
	}
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		note("error handler", err)
		if c.Response().Committed {
			return
		}
		status := http.StatusInternalServerError
		var he *echo.HTTPError
		if errors.As(err, &he) {
			status = he.Code
		}
		_ = c.String(status, "handled") // into a recorder
	}
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("outer", "outer")
			err := next(c)
			note("middleware", err)
			return err
		}
	})
	if !s.Bare {
		e.Use(echogate.New(s.Gate))
	}
	e.GET("/orders/:id", handler)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return fmt.Sprint(w.Code, "|", w.Body, seen, "|")
}
