// Package fibergate puts a [gate.Gate] in front of the handlers of a Fiber app
// (github.com/gofiber/fiber/v3).
//
// It owns one middleware and knows nothing of the board, of agents or of
// debuggers. It starts no goroutines: Fiber runs handlers in fasthttp's worker
// goroutine, and so does the middleware.
//
// # Where to put it
//
// With app.Use(fibergate.New(g)) before all routes, every request can be
// debugged. Fiber looks for the route only after that (router.go, App.next), so
// that threads have the name of the path: "GET /orders/7". To have the pattern,
// put it in front of a route's handler instead, or as well where app.Use does not
// reach: app.Get("/orders/:id", fibergate.New(g), order).
//
// # Streams
//
// A body that the handler leaves to SendStreamWriter is written by another
// goroutine after the handler has returned (fasthttp, NewStreamReader). It is not
// part of the request that can be debugged.
//
// # Deadlines
//
// fasthttp sets the write deadline when the handler has returned, and has read
// the body before it is called: a frozen request loses nothing. Only with
// fiber.Config.StreamRequestBody does the handler read from the connection, and
// only then there is a read deadline to lift. Middleware that gives the request a
// timeout of its own (fiber's timeout) MUST NOT be in front of handlers that are
// to be debugged for longer.
package fibergate

import (
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/utils/v2"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/valyala/fasthttp"
)

// New returns the middleware. A nil g passes every request through.
func New(g *gate.Gate) fiber.Handler {
	return func(c fiber.Ctx) error {
		if !g.Armed() {
			return c.Next()
		}
		t := enter(g, c)
		defer t.Leave()
		return c.Next()
	}
}

// enter offers a request to the agent. Its texts are fasthttp's buffers, which
// are not ours any longer when the handler has returned: the gate compares and
// copies them, and keeps none.
func enter(g *gate.Gate, c fiber.Ctx) gate.Ticket {
	ctx := c.RequestCtx()
	h := header{&ctx.Request.Header}
	// Not c.IP, which may read headers, nor ctx.RemoteAddr, which handlers can set.
	remote := ctx.RemoteAddr()
	if conn := ctx.Conn(); conn != nil && conn.RemoteAddr() != nil {
		remote = conn.RemoteAddr()
	}
	q := gate.Request{
		Method: c.Method(), Path: utils.UnsafeString(ctx.Path()), Host: utils.UnsafeString(ctx.Host()),
		Peer: remote.String(), Header: h,
	}
	q.Client = g.ClientFrom(q.Peer, h)
	if c.Matched() { // by a route and not by app.Use
		q.Route = c.FullPath()
	}
	t := g.Enter(q)
	if t.Trapped() && ctx.ConnRequestNum() > 0 { // 0: no server's, and no connection behind it
		// The next request on the connection gets a deadline of its own
		// (fasthttp, Server.serveConn). An error means that it is gone.
		_ = ctx.Conn().SetReadDeadline(time.Time{})
	}
	return t
}

// header is a request's header in the form that the gate reads and takes its
// token out of.
type header struct{ *fasthttp.RequestHeader }

// Values implements gate.Header.
func (h header) Values(name string) []string {
	lines := h.PeekAll(name)
	values := make([]string, len(lines))
	for i, line := range lines {
		values[i] = string(line)
	}
	return values
}

// Del deletes a field. fasthttp's own fills the gap with the last field, whatever
// it is (args.go, delAllArgs). Whoever sends a token could change the order of
// the lines of X-Forwarded-For with that, so all fields with several lines are
// taken out and put back behind the others.
func (h header) Del(name string) {
	several := make(map[string][]string)
	for key := range h.All() {
		if k := string(key); k != fiber.HeaderConnection && len(h.PeekAll(k)) > 1 { // fasthttp keeps one Connection
			several[k] = h.Values(k)
		}
	}
	for k := range several {
		h.RequestHeader.Del(k)
	}
	h.RequestHeader.Del(name)
	delete(several, name)
	for k, lines := range several {
		for _, line := range lines {
			h.Add(k, line)
		}
	}
}
