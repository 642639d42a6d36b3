//go:build linux && amd64

package live_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// stopSpinning lets /spin come to its end.
func (s *service) stopSpinning(t *testing.T) {
	t.Helper()
	if status, err := get(others, s.url+"/stop"); status != 200 || err != nil {
		t.Fatalf("/stop: %d, %v", status, err)
	}
}

// pauseUntilFrozen pauses as often as it takes: a pause can come while the
// request is still, or for a moment, inside the runtime.
func (r *trapped) pauseUntilFrozen(t *testing.T) *live.Frozen {
	t.Helper()
	for {
		r.Pause()
		ev := r.next(t)
		if ev.Frozen != nil {
			return ev.Frozen
		}
		if ev.Passed == nil || ev.Passed.Cause != live.CausePause {
			t.Fatal(describe(ev))
		}
	}
}

// TestSignalsOfRuntime: while a thread computes without a call it stops for the
// garbage collector by the runtime's signal alone. None may be lost whatever is
// asked of the thread at that moment, with the same signal.
func TestSignalsOfRuntime(t *testing.T) {
	s := newService(t, spinDir)
	r := s.trap(t, "/spin", live.Plan{})
	r.awaitState(t, board.StateRunning)
	for range 20 {
		collected := ask(others, s.url+"/collect")
		var askers sync.WaitGroup
		until := time.Now().Add(50 * time.Millisecond)
		for range 4 {
			askers.Go(func() {
				for time.Now().Before(until) {
					r.SetStops(nil)
				}
			})
		}
		askers.Wait()
		select {
		case <-collected.done:
		case <-time.After(patience):
			r.Release() // for the sake of the end
			t.Fatal("the garbage collector waits for the thread")
		}
		if collected.err != nil || collected.status != 200 {
			t.Fatalf("status %d, %v", collected.status, collected.err)
		}
	}
	s.stopSpinning(t)
	r.gone(t)
	r.reply.ok(t)
}

func TestPauseWhileComputing(t *testing.T) {
	s := newService(t, spinDir)
	r := s.trap(t, "/spin", live.Plan{})
	r.awaitState(t, board.StateRunning)
	for range 5 {
		fr := r.pauseUntilFrozen(t)
		if fr.Cause != live.CausePause || fr.Addr != 0 {
			t.Errorf("cause %d, address %#x, want a pause", fr.Cause, fr.Addr)
		}
		if fn := s.sym.around(fr.State.Regs.Rip); fn.name == "" || s.sym.runtime(fr.State.Regs.Rip) {
			t.Errorf("paused at %#x in %q", fr.State.Regs.Rip, fn.name)
		}
		r.Resume(live.Plan{})
	}
	s.stopSpinning(t)
	r.gone(t)
	r.reply.ok(t)
}

// TestPauseWhileFrozen: it is frozen already, and must not be at once again
// when it goes on.
func TestPauseWhileFrozen(t *testing.T) {
	s := newShop(t)
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{s.sym.at(t, "order-entry")}})
	r.frozen(t)
	r.Pause()
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestPauseWhileBlocked: nothing can be injected into a goroutine that is
// parked; the pause says so, says which goroutine it is, and holds nobody up.
func TestPauseWhileBlocked(t *testing.T) {
	s := newShop(t)
	entry := s.sym.at(t, "slow")
	r := s.trap(t, "/slow?ms=2000", live.Plan{Stops: []uint64{entry}})
	g := r.frozen(t).State.G
	var ev live.Event
	for ev.Passed == nil { // before it is blocked a pause freezes it
		r.Resume(live.Plan{})
		r.Pause()
		if ev = r.next(t); ev.Gone != nil {
			t.Fatal(describe(ev))
		}
	}
	if p := ev.Passed; p.Cause != live.CausePause || p.Addr != 0 || p.G != g || p.Why == "" {
		t.Errorf("passed %+v, want a pause of the goroutine at %#x with a reason", *p, g)
	}
	if !r.reply.pending() {
		t.Fatal("the response came too soon for the test to have seen anything")
	}
	r.gone(t)
	r.reply.ok(t)
}

// TestPauseWhileStepping: while single-stepping the thread looks at each
// instruction for what others want.
func TestPauseWhileStepping(t *testing.T) {
	s := newService(t, spinDir)
	r := s.trap(t, "/spin", live.Plan{
		UntilText: func(uint64) bool { return false },
		OverText:  s.sym.runtime,
	})
	eventually(t, "the loop is stepped through", func() bool { return r.stepping(t) })
	if fr := r.pauseUntilFrozen(t); fr.Cause != live.CausePause {
		t.Errorf("cause %d, want a pause", fr.Cause)
	}
	r.Resume(live.Plan{})
	s.stopSpinning(t)
	r.gone(t)
	r.reply.ok(t)
}

// TestFault: a nil dereference in a traced request is the request's own
// business, at full speed and stepped through.
func TestFault(t *testing.T) {
	s := newService(t, spinDir)
	load, recovered := s.sym.at(t, "load"), s.sym.at(t, "recovered")
	fn := s.sym.around(load)
	entry := []uint64{fn.start}
	for _, c := range []struct {
		name string
		plan live.Plan
	}{
		{"running", live.Plan{Stops: []uint64{recovered}}},
		{"stepping in the function", live.Plan{Stops: []uint64{recovered}, Within: s.sym.bounds(load)}},
		{"stepping anywhere", live.Plan{Stops: []uint64{recovered}, UntilText: func(uint64) bool { return false }, OverText: s.sym.runtime}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := s.trap(t, "/nil", live.Plan{Stops: entry})
			r.frozen(t)
			r.Resume(c.plan)
			if fr := r.frozen(t); fr.Addr != recovered {
				t.Errorf("stopped at %#x, want %#x", fr.Addr, recovered)
			}
			r.Resume(live.Plan{})
			r.gone(t)
			r.reply.ok(t)
		})
	}
}

// TestSignalsArriveWhileStepping: the runtime's preemption signal is delivered
// and stepping comes back to where it was.
func TestSignalsArriveWhileStepping(t *testing.T) {
	s := newShop(t, "-gc", "2ms")
	start := s.sym.at(t, "recursive")
	fn := s.sym.around(start)
	r := s.trap(t, "/recursive?n=200", live.Plan{Stops: []uint64{start}})
	r.frozen(t)
	storm := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		// Far more than the runtime sends, which waits for its handler. Sent without
		// a pause they leave a thread some percent of its time that nobody traces.
		often := time.NewTicker(200 * time.Microsecond)
		defer often.Stop()
		for {
			select {
			case <-storm:
				return
			case <-often.C:
				_ = unix.Tgkill(s.pid, r.TID(), unix.SIGURG) // gone at the end
			}
		}
	}()
	up := s.sym.at(t, "recursive-up")
	// Without running over calls: through all frames to the bottom and up.
	r.Resume(live.Plan{UntilText: func(pc uint64) bool { return pc == up }, OverText: func(pc uint64) bool {
		return !strings.HasPrefix(s.sym.around(pc).name, fn.name)
	}})
	fr := r.frozen(t)
	close(storm)
	<-stopped
	if fr.Cause != live.CauseText || fr.State.Regs.Rip != up {
		t.Errorf("frozen at %#x (cause %d), want %#x", fr.State.Regs.Rip, fr.Cause, up)
	}
	r.Resume(live.Plan{Stops: []uint64{s.sym.at(t, "recursive-done")}})
	if fr := r.frozen(t); fr.Addr != s.sym.at(t, "recursive-done") {
		t.Errorf("stopped at %#x", fr.Addr)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}
