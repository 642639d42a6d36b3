// Package middleware puts a [gate.Gate] in front of net/http handlers.
//
// It owns the few things that net/http needs beyond the gate: which request is
// offered, and that a trapped one is not ended by the server's deadlines while a
// person thinks. It knows nothing of the board, of agents or of debuggers, and
// it starts no goroutines: the handler runs in the goroutine that called.
//
// The [http.ResponseWriter] and the [http.Request] reach the handler as they
// came, so that flushing, hijacking, streaming, contexts, panics and
// [http.ErrAbortHandler] are as without it.
package middleware

import (
	"net/http"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

// defaultGate is the gate of Handler: no ceiling.
var defaultGate gate.Gate

// Handler returns h behind a gate without a ceiling: every request passes
// through until an agent, which must be allowed to trace this process, arms it
// with rules of its own. To set a ceiling, use [New].
func Handler(h http.Handler) http.Handler { return New(&defaultGate)(h) }

// New returns a middleware for g. A nil g passes every request through for ever.
//
// It SHOULD be the outermost middleware but for those that find out the peer's
// address: what is outside of it cannot be debugged, and a middleware outside
// of it that wraps the ResponseWriter SHOULD have an Unwrap method, or the
// deadlines of a trapped request cannot be lifted. It MUST be inside of what runs
// handlers on other goroutines, as [http.TimeoutHandler] does: the agent can
// stop only the goroutine that calls it.
func New(g *gate.Gate) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return &handler{gate: g, next: next}
	}
}

type handler struct {
	gate *gate.Gate
	next http.Handler
}

// ServeHTTP implements http.Handler. All that an unarmed gate costs is in here,
// so it keeps little alive across the call and leaves the rest to serveArmed.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.gate.Armed() {
		h.serveArmed(w, r)
		return
	}
	h.next.ServeHTTP(w, r)
}

// serveArmed runs a request while an agent has rules.
//
//go:noinline
func (h *handler) serveArmed(w http.ResponseWriter, r *http.Request) {
	t := h.gate.EnterHTTP(r, "")
	defer t.Leave()
	if t.Trapped() {
		LiftDeadlines(w)
	}
	h.next.ServeHTTP(w, r)
}

// LiftDeadlines takes the connection's deadlines away from one request, which
// an agent has accepted. It is for adapters to other frameworks.
//
// They need not be put back: net/http's server sets both anew for each request
// that follows on the connection (net/http/server.go, conn.readRequest), and in
// HTTP/2 they belong to the stream, which ends with the request. They must not
// be put back either: if the handler has hijacked the connection, it is no
// longer ours, and there is no way to tell without wrapping w.
//
// Errors mean that w does not support deadlines or the connection is gone; in
// both cases there is nothing to lift.
func LiftDeadlines(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}
