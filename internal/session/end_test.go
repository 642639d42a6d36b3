//go:build linux && amd64

package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/session"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// freeze stops a request at order-loaded.
func (r *rig) freeze(t *testing.T) (session.Request, *reply) {
	t.Helper()
	req, re := r.request(t, "/orders/7")
	r.stopped(t, req.ID, session.StopBreakpoint)
	return req, re
}

// ended checks that the engine has ended with a reason, and that the session
// was told last of all.
func (r *rig) ended(t *testing.T, says string) {
	t.Helper()
	select {
	case <-r.Done():
	case <-time.After(patience):
		t.Fatalf("the engine has not ended within %v; log:\n%s", patience, r.log)
	}
	if !strings.Contains(r.Reason(), says) {
		t.Errorf("Reason = %q, want one with %q", r.Reason(), says)
	}
	var last session.Event
	timeout := time.After(patience)
	for open := true; open; {
		var ev session.Event
		select {
		case ev, open = <-r.s.Events():
			if open {
				last = ev
			}
		case <-timeout:
			t.Fatalf("the events do not end; the last one: %+v", last)
		}
	}
	if last.Kind != session.EventEnded || last.Text != r.Reason() {
		t.Errorf("last event %+v, want EventEnded with the reason %q", last, r.Reason())
	}
	if _, err := r.NewSession(access.Identity{Role: access.Mutate}); !errors.Is(err, session.ErrEnded) {
		t.Errorf("NewSession: %v", err)
	}
	if len(r.s.Requests()) != 0 {
		t.Errorf("requests are left: %+v", r.s.Requests())
	}
}

// disarmed checks that the gate is off.
func (r *rig) disarmed(t *testing.T) {
	t.Helper()
	if owner, err := r.board(t).Owner(); owner != 0 || err != nil {
		t.Errorf("the service is armed by %d, %v", owner, err)
	}
}

func (r *rig) board(t *testing.T) *board.Board {
	t.Helper()
	img, err := board.Locate(r.pid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := board.Open(vmem.Process{PID: r.pid}, img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestClose, with one request frozen and one blocked: both are let go of where
// they are, and nothing of the engine is left, though nobody reads its events.
func TestClose(t *testing.T) {
	r := attach(t, "order-loaded", "slow-done")
	blocked, re2 := r.request(t, "/slow?ms=3000")
	frozen, re1 := r.freeze(t)
	began := time.Now()
	if err := r.Close("the operator says so"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Close took %v", took)
	}
	re1.ok(t)
	if !re2.pending() {
		t.Fatal("the blocked request was answered before Close: the test has seen nothing")
	}
	for _, req := range []session.Request{blocked, frozen} {
		if err := r.s.Continue(req.ID); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Continue: %v", err)
		}
	}
	r.ended(t, "the operator says so")
	r.disarmed(t)
	noGoroutineLeft(t)
	if err := r.Close("again"); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if r.Reason() != "the operator says so" {
		t.Errorf("Reason = %q", r.Reason())
	}
	re2.ok(t)
}

// closeRightAfterContinue: the thread is on its way out of the freeze.
func closeRightAfterContinue(t *testing.T, r *rig) {
	r.newIDE(t)
	for range 10 {
		r.setBreakpoints(t, "slow")
		req, re := r.request(t, "/slow?ms=2000")
		r.stopped(t, req.ID, session.StopBreakpoint)
		if err := r.s.Continue(req.ID); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Fatalf("Close took %v", took)
		}
		re.hangUp()
		<-re.done
		r.ide(t)
	}
}

func TestExpiryWhileFrozen(t *testing.T) {
	r := newRig(t)
	r.open(t, 1500*time.Millisecond)
	r.ide(t, "order-loaded")
	_, re := r.freeze(t)
	r.ended(t, "expired after 1.5s")
	re.ok(t)
	r.disarmed(t)
}

// TestExitWhileFrozen: the process is reaped at once, so that its id is free.
func TestExitWhileFrozen(t *testing.T) {
	r := attach(t, "order-loaded")
	_, _ = r.freeze(t)
	r.killed = true
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // says that it was killed
	r.ended(t, "has exited")
}

// TestDisarmedBySomebodyElse: an engine whose gate was taken from it ends, and
// lets go of what it holds.
func TestDisarmedBySomebodyElse(t *testing.T) {
	r := attach(t, "order-loaded")
	_, re := r.freeze(t)
	if err := r.board(t).Disarm(); err != nil {
		t.Fatal(err)
	}
	r.ended(t, "not armed by this agent any more")
	re.ok(t)
}
