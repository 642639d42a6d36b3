//go:build linux && amd64

package dap

import (
	"fmt"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// stoppedBody and continuedBody are go-dap's without omitempty: a client takes
// a missing allThreadsContinued for true, and some remember the last value of
// allThreadsStopped.
type stoppedBody struct {
	Reason            string `json:"reason"`
	Description       string `json:"description,omitempty"`
	ThreadID          int    `json:"threadId"`
	Text              string `json:"text,omitempty"`
	AllThreadsStopped bool   `json:"allThreadsStopped"`
	HitBreakpointIDs  []int  `json:"hitBreakpointIds,omitempty"`
}

type continuedBody struct {
	ThreadID            int  `json:"threadId"`
	AllThreadsContinued bool `json:"allThreadsContinued"`
}

// translate tells the client of an event of the engine.
func (c *conn) translate(ev session.Event) {
	id := ev.Request.ID
	switch ev.Kind {
	case session.EventStarted:
		c.event("thread", dap.ThreadEventBody{Reason: "started", ThreadId: int(id)})
	case session.EventStopped:
		if !c.holdBack(ev) {
			c.showStop(ev)
		}
	case session.EventContinued:
		c.handles.reset(id)
		if ev.Text != "" {
			c.important(fmt.Sprintf("remotedbg: %s goes on: %s", ev.Request.Name(), ev.Text))
		}
		if !c.wasWaiting(id) {
			if ev.Guard {
				c.event("remotedbg/stallGuard", guardBody{ThreadID: int(id), Reason: ev.Text})
			}
			c.event("continued", continuedBody{ThreadID: int(id)})
		}
		c.showNext(id)
	case session.EventExited:
		c.handles.reset(id)
		c.wasWaiting(id)
		c.event("thread", dap.ThreadEventBody{Reason: "exited", ThreadId: int(id)})
		c.showNext(id)
	case session.EventBreakpoint:
		c.event("breakpoint", dap.BreakpointEventBody{Reason: "changed", Breakpoint: c.breakpoint(ev.Breakpoint)})
	case session.EventOutput:
		c.output(ev.Text)
	case session.EventLogPoint:
		c.event("output", dap.OutputEventBody{
			Category: "stdout", Output: fmt.Sprintf("> %s: %s\n", ev.Request.Name(), ev.Text),
			Source: c.source(ev.Breakpoint.File), Line: c.line(ev.Breakpoint.Line),
		})
	case session.EventEnded:
		c.end(ev.Text)
	}
}

// showStop tells the client that a request is stopped.
func (c *conn) showStop(ev session.Event) {
	c.handles.reset(ev.Request.ID)
	c.handles.stop(ev.Request.ID).exception = ev.Exception
	c.event("stopped", stoppedBody{
		Reason:           string(ev.Reason),
		Description:      describeStop(ev),
		ThreadID:         int(ev.Request.ID),
		Text:             ev.Request.Name(),
		HitBreakpointIDs: ev.BreakpointIDs,
	})
}

// describeStop is the text a client shows beside the thread.
func describeStop(ev session.Event) string {
	if ev.Text != "" {
		return ev.Text
	}
	if ev.Hit != nil {
		return ev.Hit.String()
	}
	switch ev.Reason {
	case session.StopBreakpoint:
		return "Paused on breakpoint"
	case session.StopStep:
		return "Paused on step"
	case session.StopEntry:
		return "Paused on the first line of the handler"
	case session.StopPause:
		return "Paused"
	}
	return ""
}
