//go:build linux && amd64

package session

import (
	"fmt"
	"time"
)

// A wrapper around the handler that is inside the middleware can run it on
// another goroutine, where no breakpoint sees it: http.TimeoutHandler does. The
// person only sees that nothing stops. These tell why.

// waitsAfter is how long a request runs before its goroutine is looked at.
const waitsAfter = 300 * time.Millisecond

const moveInside = "put the middleware inside of what runs the handler there: http.TimeoutHandler(middleware.Handler(h), ...)"

// tellWaiting looks at requests that have run for a while and never stopped,
// each once, and says so if their goroutine only waits for one it has started.
func (e *Engine) tellWaiting() {
	if e.goroutines == nil {
		return
	}
	var look []*request
	e.mu.Lock()
	for _, r := range e.requests {
		if !r.told && r.state == requestRunning && time.Since(r.info.Since) > waitsAfter {
			r.told = true
			if r.family.all > 1 {
				continue // breakpoints see what it waits for
			}
			look = append(look, r)
		}
	}
	e.mu.Unlock()
	for _, r := range look {
		if reason, waits, err := e.goroutines.WaitsForChild(r.slot.TID); err == nil && waits {
			r.session.output(fmt.Sprintf("%s only waits (%s) for a goroutine that it has started, where no breakpoint sees it: if that one runs the handler, %s", r.name, reason, moveInside))
		}
	}
}

// tellMoved says, once in a session, that a request that has ended without a
// stop may have passed http.TimeoutHandler. Called by the request's goroutine.
func (r *request) tellMoved() {
	s := r.session
	r.e.mu.Lock()
	followed := r.family.all > 1 // what it starts is seen
	r.e.mu.Unlock()
	if followed || r.stopped || !r.e.img.TimeoutHandler || len(s.armed.Load().stops) == 0 || s.toldMoved.Swap(true) {
		return
	}
	s.output(fmt.Sprintf("%s reached no breakpoint. This service uses http.TimeoutHandler, which runs handlers on another goroutine, where no breakpoint sees them: %s", r.name, moveInside))
}
