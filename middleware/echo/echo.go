// Package echogate puts a [gate.Gate] in front of the handlers of echo version 4.
//
// It owns the few lines that echo needs beyond the gate: the pattern that echo
// has matched names the request, and a trapped one is not ended by the server's
// deadlines. It decides nothing itself, knows nothing of the board and of agents,
// and starts no goroutines. The context reaches the handler as it came, and its
// error returns to echo.
package echogate

import (
	"github.com/labstack/echo/v4"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

// New returns a middleware for g. A nil g passes every request through for ever.
//
// It SHOULD be the first that Echo.Use is given: what runs before it cannot be
// debugged, nor can Echo.HTTPErrorHandler, which echo calls when all middleware
// has returned. Given to Echo.Pre it works too, but the pattern is not known yet.
func New(g *gate.Gate) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if g.Armed() {
				return serveArmed(g, c, next)
			}
			return next(c)
		}
	}
}

// serveArmed runs a request while an agent has rules.
func serveArmed(g *gate.Gate, c echo.Context, next echo.HandlerFunc) error {
	t := g.EnterHTTP(c.Request(), c.Path())
	defer t.Leave()
	if t.Trapped() {
		middleware.LiftDeadlines(c.Response())
	}
	return next(c)
}
