//go:build linux && amd64

package dap

import (
	"fmt"
	"slices"

	"github.com/remotedbg/remotedbg/internal/session"
)

// stopQueue shows a client one stopped request at a time. Some clients take a
// second stopped event, while the person looks at the first, for a race of
// threads that they have to resolve: nvim-dap continues it. Asked for by the
// attach argument queueStops or the agent's --queue-stops. A request that waits
// its turn is frozen like any other and in the list of threads; budgets count.
type stopQueue struct {
	on      bool
	shown   session.RequestID // 0: none
	waiting []session.Event
}

// holdBack says whether ev, a stop, is to wait for its turn.
func (c *conn) holdBack(ev session.Event) bool {
	q := &c.stops
	if !q.on || q.shown == 0 || q.shown == ev.Request.ID {
		q.shown = ev.Request.ID
		return false
	}
	q.waiting = append(q.waiting, ev)
	c.output(fmt.Sprintf("remotedbg: %s is stopped as well; it is shown when the present one continues (%d waiting)", ev.Request.Name(), len(q.waiting)))
	return true
}

// wasWaiting takes a request that goes on by itself off the queue, and says
// whether it was on it: then the client knows nothing of its stop.
func (c *conn) wasWaiting(id session.RequestID) bool {
	before := len(c.stops.waiting)
	c.stops.waiting = slices.DeleteFunc(c.stops.waiting, func(ev session.Event) bool { return ev.Request.ID == id })
	return len(c.stops.waiting) < before
}

// showNext shows the next stop if id was the one that is shown: it continues, or
// has gone. A step is no reason: the person follows that request.
func (c *conn) showNext(id session.RequestID) {
	q := &c.stops
	if q.shown != id {
		return
	}
	q.shown = 0
	if len(q.waiting) == 0 {
		return
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.shown = next.Request.ID
	c.showStop(next)
}
