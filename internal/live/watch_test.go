//go:build linux && amd64

package live_test

import (
	"testing"

	"github.com/remotedbg/remotedbg/internal/live"
)

// payments gives a watch on the shop's package variable.
func (s *service) payments(t *testing.T) live.Watch {
	t.Helper()
	return live.Watch{Addr: s.sym.variable(t, "main.payments"), Len: 8}
}

// TestWatch: a write is told of, with what was there before and behind, whether
// the thread runs at full speed or is stepped, and in functions that are run over.
func TestWatch(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	w := s.payments(t)
	at := s.sym.at(t, "account-payments")
	fn := s.sym.bounds(at)
	for name, c := range map[string]struct {
		stop string
		plan live.Plan
	}{
		"at full speed": {"account-local", live.Plan{}},
		"stepped":       {"account-payments", live.Plan{Within: fn}},
		"from afar":     {"account-local", live.Plan{Within: fn}},
		"run over":      {"account-local", live.Plan{UntilText: func(uint64) bool { return false }, OverText: func(uint64) bool { return true }}},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := s.proc.Mem.Uint64(w.Addr)
			if err != nil {
				t.Fatal(err)
			}
			r := s.trap(t, "/account", live.Plan{Stops: []uint64{s.sym.at(t, c.stop)}, Watches: []live.Watch{w}})
			if fr := r.frozen(t); fr.Cause != live.CauseStop || len(fr.Hits) != 0 {
				t.Fatalf("cause %d, hits %+v", fr.Cause, fr.Hits)
			}
			c.plan.Watches = []live.Watch{w}
			r.Resume(c.plan)
			fr := r.frozen(t)
			if fr.Cause != live.CauseWatch || len(fr.Hits) != 1 {
				t.Fatalf("cause %d, hits %+v", fr.Cause, fr.Hits)
			}
			h := fr.Hits[0]
			if h.Watch != w || h.Old != before || h.New != before+1 || h.PC <= at || h.PC > at+16 {
				t.Errorf("hit %+v, want %d to become %d behind %#x", h, before, before+1, at)
			}
			r.Resume(live.Plan{})
			r.gone(t)
			r.reply.ok(t)
		})
	}
}

// TestSetWatchesWhileRunning: a watch is armed in a thread that runs, and
// disarmed.
func TestSetWatchesWhileRunning(t *testing.T) {
	s := newShop(t)
	w := s.payments(t)
	r := s.trap(t, "/account", live.Plan{Stops: []uint64{s.sym.at(t, "account-local")}})
	r.frozen(t)
	r.SetWatches([]live.Watch{w}) // no effect while frozen
	r.Resume(live.Plan{Stops: []uint64{s.sym.at(t, "account-loop")}})
	if fr := r.frozen(t); fr.Cause != live.CauseStop {
		t.Fatalf("cause %d", fr.Cause)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestTooManyWatches: those that find no register are told.
func TestTooManyWatches(t *testing.T) {
	s := newShop(t)
	w := s.payments(t)
	var list []live.Watch
	for i := range live.MaxWatches + 1 {
		list = append(list, live.Watch{Addr: w.Addr + uint64(i), Len: 1})
	}
	r := s.trap(t, "/healthz", live.Plan{Watches: list})
	ev := r.next(t)
	if ev.Passed == nil || ev.Passed.Cause != live.CauseWatch || ev.Passed.Addr != w.Addr+live.MaxWatches {
		t.Errorf("%s", describe(ev))
	}
	r.gone(t)
	r.reply.ok(t)
}
