//go:build linux && amd64

package live_test

import (
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
)

// TestReleaseRightAfterResume: the signal that announces the release may come
// while the thread is being thawed.
func TestReleaseRightAfterResume(t *testing.T) {
	s := newShop(t)
	entry := s.sym.at(t, "slow")
	for i := range 40 {
		r := s.trap(t, "/slow?ms=1500", live.Plan{Stops: []uint64{entry}})
		r.frozen(t)
		r.Resume(live.Plan{})
		// Between nothing and a thaw's time later.
		for until := time.Now().Add(time.Duration(i) * 10 * time.Microsecond); time.Now().Before(until); {
		}
		r.Release()
		began := time.Now()
		r.gone(t)
		if took := time.Since(began); took > time.Second {
			t.Fatalf("round %d: Gone came %v after Release: only the end of the request let go of the thread", i, took)
		}
		r.finish(t)
	}
}

// TestPauseRightAfterResume: as above.
func TestPauseRightAfterResume(t *testing.T) {
	s := newShop(t)
	entry, done := s.sym.at(t, "slow"), s.sym.at(t, "slow-done")
	for i := range 40 {
		r := s.trap(t, "/slow?ms=2000", live.Plan{Stops: []uint64{entry}})
		r.frozen(t)
		r.Resume(live.Plan{Stops: []uint64{done}})
		for until := time.Now().Add(time.Duration(i) * 10 * time.Microsecond); time.Now().Before(until); {
		}
		r.Pause()
		began := time.Now()
		ev := r.next(t)
		if took := time.Since(began); took > time.Second {
			t.Fatalf("round %d: %s came %v after Pause", i, describe(ev), took)
		}
		if ev.Passed != nil && ev.Passed.Cause != live.CausePause || ev.Frozen != nil && ev.Frozen.Cause != live.CausePause {
			t.Errorf("round %d: %s", i, describe(ev))
		}
		r.Release()
		r.gone(t)
		r.finish(t)
	}
}

// TestSetStopsRightAfterResume: an IDE that sets a breakpoint right after
// "continue" gets it.
func TestSetStopsRightAfterResume(t *testing.T) {
	s := newShop(t)
	entry, done := s.sym.at(t, "slow"), s.sym.at(t, "slow-done")
	for i := range 40 {
		r := s.trap(t, "/slow?ms=30", live.Plan{Stops: []uint64{entry}})
		r.frozen(t)
		r.Resume(live.Plan{Stops: []uint64{entry}})
		for until := time.Now().Add(time.Duration(i) * 10 * time.Microsecond); time.Now().Before(until); {
		}
		r.SetStops([]uint64{done})
		ev := r.next(t)
		if ev.Frozen == nil || ev.Frozen.Addr != done {
			t.Fatalf("round %d: %s, want frozen at %#x", i, describe(ev), done)
		}
		r.Release()
		r.gone(t)
		r.reply.ok(t)
	}
}
