//go:build linux && amd64

package dlvrpc

import (
	"fmt"
	"sync"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/session"
)

// conn is one client.
type conn struct {
	cfg     Config
	who     access.Identity
	audit   *audit.Log // with who it is and, if there is one, the session
	refusal error      // why there is no session; the answer to every call

	sess   *session.Session
	reader *session.Reader

	seen        seen
	world       *world
	breakpoints *breakpoints
	events      *events

	closing  sync.Once
	detached bool // by the client; used by the goroutine that carries out calls
}

// close ends the session: its breakpoints go, its requests go on.
func (c *conn) close() {
	c.closing.Do(func() {
		if c.sess != nil {
			c.sess.Close()
		}
	})
}

// pump brings what happens into the client's world, until the session ends.
func (c *conn) pump() {
	if c.sess == nil {
		return
	}
	for ev := range c.sess.Events() {
		switch ev.Kind {
		case session.EventStopped:
			c.stopped(ev)
		case session.EventContinued:
			c.cfg.Log(fmt.Sprintf("dlvrpc: %s goes on: %s", ev.Request.Name(), ev.Text))
			c.world.gone(ev.Request.ID, ev.Text)
		case session.EventExited:
			c.world.gone(ev.Request.ID, "it has finished")
		case session.EventOutput:
			c.cfg.Log("dlvrpc: " + ev.Text) // the protocol has no place for it
		case session.EventEnded:
			<-c.cfg.Engine.Done() // a moment later
			c.world.end(ev.Text, c.cfg.Engine.ProcessGone())
		}
	}
}

// stopped takes note of a request that is frozen.
func (c *conn) stopped(ev session.Event) {
	if ev.Reason == session.StopPause && c.world.late(ev.Request.ID) {
		_ = c.sess.Continue(ev.Request.ID) // the halt that asked for it was answered long ago
		return
	}
	s := &stop{id: ev.Request.ID, name: ev.Request.Name(), reason: ev.Reason, ids: ev.BreakpointIDs, text: ev.Text}
	err := c.sess.Inspect(s.id, func(t *proc.Target) error {
		s.thread = t.CurrentThread().ThreadID()
		if g := t.SelectedGoroutine(); g != nil {
			s.goroutine = g.ID
		}
		return nil
	})
	if err != nil {
		return // it goes on already, and the event that says so is under way
	}
	c.world.add(s)
}
