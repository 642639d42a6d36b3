//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// conn is one client. Everything in it belongs to the goroutine of ServeConn.
type conn struct {
	cfg Config
	who access.Identity
	// With who it is, and from attach on with the session.
	audit *audit.Log
	out   *outbox

	state     state
	endReason string // set with stateEnded
	gone      bool   // the client has said goodbye

	client clientTraits
	sess   Session              // nil until attach
	events <-chan session.Event // nil until attach and after the last event

	paths           pathMap
	sources         sourceIndex // of the binary; made at the first breakpoint
	clientGoRoot    string      // where the client has Go; "" if it has not said
	refs            sourceRefs
	about           *program // what modules and loadedSources tell; made when first asked
	lastProgress    int
	warnedOptimized bool     // that a variable set may have a copy
	globals         []string // names of package variables, read for completions
	maxFrames       int      // of a stack; 0: deepestStack
	handles         *handles
	show            showing
	stops           stopQueue
	watch           statusWatch

	lastGuard *taint.Guard    // of the session that was
	watched   map[string]bool // ids of data that the client was given

	after []func() // what the running handler wants done after its response
}

// clientTraits is what the client said of itself in initialize.
type clientTraits struct {
	lineBase   int // number of the first line: 1, or 0 for few
	columnBase int // of the first column, likewise

	invalidatedEvent bool // it understands these events
	memoryEvent      bool
	progressEvents   bool
}

// run handles messages and events until the session has ended or there are no
// more messages.
func (c *conn) run(ctx context.Context, in *inbox) {
	status := time.NewTicker(statusEvery)
	defer status.Stop()
	for c.state != stateEnded {
		select {
		case <-status.C:
			c.safely("a look at the status", c.watchStatus)
		case <-ctx.Done():
			c.drainEvents()
			c.end("the agent is stopping")
		case <-c.out.broken:
			return
		case m, ok := <-in.messages:
			if !ok {
				return
			}
			c.receive(ctx, in, m)
		case ev, ok := <-c.events:
			if !ok {
				c.events = nil
				c.end("the session was closed")
				continue
			}
			c.safely("an event", func() { c.translate(ev) })
		}
	}
}

// drainGrace is how long the last events may take from the engine's queue.
const drainGrace = time.Second

// drainEvents takes up what the engine has to say before the end: if it closed
// before ctx was done, its last event gives a better reason than ours.
func (c *conn) drainEvents() {
	grace := time.NewTimer(drainGrace)
	defer grace.Stop()
	for c.state != stateEnded && c.events != nil {
		select {
		case ev, ok := <-c.events:
			if !ok {
				return
			}
			c.safely("an event", func() { c.translate(ev) })
		case <-grace.C:
			return
		}
	}
}

// linger keeps answering after the session has ended, so that a client that
// was told so can still say disconnect and get its response. It does nothing
// on a connection that failed.
func (c *conn) linger(ctx context.Context, in *inbox) {
	if c.state != stateEnded {
		return
	}
	timer := time.NewTimer(c.cfg.Linger)
	defer timer.Stop()
	for !c.gone {
		select {
		case <-timer.C:
			return
		case <-c.out.broken:
			return
		case m, ok := <-in.messages:
			if !ok {
				return
			}
			c.receive(ctx, in, m)
		}
	}
}

// end tells the client that the session is over and detaches. The service and
// its requests go on.
func (c *conn) end(reason string) {
	if c.state == stateEnded {
		return
	}
	attached := c.sess != nil
	c.closeSession()
	c.state, c.endReason = stateEnded, reason
	if attached {
		c.important("remotedbg: the session has ended: " + reason)
		c.event("terminated", empty{})
	}
}

// closeSession detaches from the engine: breakpoints go, frozen requests go
// on. It may be called again.
func (c *conn) closeSession() {
	if c.sess == nil {
		return
	}
	sess := c.sess
	c.lastGuard = sess.Guard()
	c.sess, c.events = nil, nil
	c.safely("closing the session", func() {
		if err := sess.Close(); err != nil {
			c.log(fmt.Sprintf("dap: closing the session: %v", err))
		}
	})
	c.handles.resetAll()
}

func (c *conn) event(name string, body any) {
	c.out.send(&event{Event: dap.Event{Event: name}, Body: body})
}

// output writes a line to the client's debug console.
func (c *conn) output(line string) {
	c.event("output", dap.OutputEventBody{Category: "console", Output: strings.TrimRight(line, "\n") + "\n"})
}

// important is output for what the person at the IDE must not miss: clients
// show it in a way of its own, such as a notice.
func (c *conn) important(line string) {
	c.event("output", dap.OutputEventBody{Category: "important", Output: strings.TrimRight(line, "\n") + "\n"})
}

func (c *conn) log(line string) { c.cfg.Log(c.guard().Text(line)) }

// afterReply runs f once the response of the running handler is queued. It
// does not run if the handler fails.
func (c *conn) afterReply(f func()) { c.after = append(c.after, f) }
