// Package gingate puts a [gate.Gate] in front of the handlers of a gin engine.
//
// It owns the few lines that gin needs beyond the gate: the pattern that gin has
// matched names the request, and a trapped one is not ended by the server's
// deadlines. It decides nothing itself, knows nothing of the board and of agents,
// and starts no goroutines. The context, its Writer and its Request reach the
// handlers as they came.
package gingate

import (
	"github.com/gin-gonic/gin"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

// New returns a middleware for g. A nil g passes every request through for ever.
//
// It SHOULD be the first that the engine uses but for those that give the Writer
// another type: what runs before it cannot be debugged. Handlers that it does not
// call in its own goroutine, as middleware for timeouts does, cannot be either,
// unless New comes after such middleware.
func New(g *gate.Gate) gin.HandlerFunc {
	return func(c *gin.Context) {
		if g.Armed() {
			serveArmed(g, c)
		}
		// Otherwise gin itself calls the next handler when this one has
		// returned, as c.Next would, at the cost of one frame less.
	}
}

// serveArmed runs the rest of the handlers while an agent has rules. The ticket
// has to outlast them, so it cannot leave them to gin as New does.
func serveArmed(g *gate.Gate, c *gin.Context) {
	t := g.EnterHTTP(c.Request, c.FullPath())
	defer t.Leave()
	if t.Trapped() {
		middleware.LiftDeadlines(c.Writer)
	}
	c.Next()
}
