//go:build linux && amd64

package live_test

import (
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
)

// hangingSlot hangs the tracing goroutine, with its thread in a ptrace-stop,
// until release is closed.
type hangingSlot struct {
	slot
	hangs, release chan struct{}
}

func (s hangingSlot) Journal(pc, flags uint64, xstate []byte) error {
	close(s.hangs)
	<-s.release
	return s.slot.Journal(pc, flags, xstate)
}

// TestStoppedFor: a tracing goroutine that hangs can be told from outside, and a
// frozen request is no such thing.
func TestStoppedFor(t *testing.T) {
	const long = 50 * time.Millisecond
	s := newShop(t)
	plan := live.Plan{Stops: []uint64{s.sym.at(t, "order-loaded")}}
	var r *trapped
	hangs, release := make(chan struct{}), make(chan struct{})
	for r == nil { // see trap
		re, offered := s.awaitOffer(t, "/orders/7")
		sl := slot{s.board, offered.Index, offered.Gen}
		r = &trapped{live.Seize(s.proc, offered.TID, hangingSlot{sl, hangs, release}, plan), s, sl, re}
		if r.lapsed(t, plan) {
			r.gone(t)
			re.ok(t)
			r = nil
		}
	}
	<-hangs
	eventually(t, "the stop is seen to last", func() bool { return r.StoppedFor() > long })
	eventually(t, "it is seen from outside, too", func() bool { return r.Look() >= 3 })
	close(release)
	r.frozen(t)
	began := time.Now()
	eventually(t, "the request has been frozen for a while", func() bool { return time.Since(began) > 2*long })
	if n := r.Look(); n != 0 {
		t.Errorf("while frozen the thread is seen in a stop, %d times", n)
	}
	if d := r.StoppedFor(); d > long {
		t.Errorf("while frozen the thread counts as stopped for %v", d)
	}
	r.Release()
	r.gone(t)
	if d := r.StoppedFor(); d != 0 {
		t.Errorf("afterwards the thread counts as stopped for %v", d)
	}
	r.reply.ok(t)
}
