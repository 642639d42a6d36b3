//go:build linux && amd64

package live_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/live"
)

// forbid has requests not be frozen in functions of the service either.
func (s *service) forbid(functions ...string) {
	s.proc.NoFreeze = func(pc uint64) bool {
		return s.sym.runtime(pc) || slices.Contains(functions, s.sym.around(pc).name)
	}
}

// returnAddress is where the function goes on that called the one in which a
// request is frozen, behind its prologue.
func (s *service) returnAddress(t *testing.T, fr *live.Frozen) uint64 {
	t.Helper()
	ret, err := s.proc.Mem.Uint64(fr.State.Regs.Rbp + 8)
	if err != nil {
		t.Fatal(err)
	}
	return ret
}

// TestStepToWhereNothingIsFrozen: a step that ends where its function returns to,
// in code in which no request can be frozen, ends where that returns to.
func TestStepToWhereNothingIsFrozen(t *testing.T) {
	for _, c := range []struct {
		name   string
		forbid []string
		stops  []string // of the user's, by marks
		passed []string // of these
		in     string   // where the request is frozen
		strays bool     // it is for the step
	}{
		{"one function", []string{"main.stepLevel2"}, nil, nil, "main.stepLevel1", true},
		{"two functions", []string{"main.stepLevel2", "main.stepLevel1"}, nil, nil, "main.(*api).steps", true},
		{"none", nil, nil, nil, "main.stepLevel2", false},
		{"a breakpoint on the way", []string{"main.stepLevel2"}, []string{"steps-level1-end"}, nil, "main.stepLevel1", true},
		{"a breakpoint where it cannot be frozen", []string{"main.stepLevel2", "main.stepLevel1"}, []string{"steps-level1-end", "steps-back"}, []string{"steps-level1-end"}, "main.(*api).steps", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, "-gc", "20ms")
			s.forbid(c.forbid...)
			start := s.sym.at(t, "steps-level3-end")
			r := s.trap(t, "/steps", live.Plan{Stops: []uint64{start}})
			fr := r.frozen(t)
			plan := live.Plan{Frame: []uint64{s.returnAddress(t, fr)}}
			for _, mark := range c.stops {
				plan.Stops = append(plan.Stops, s.sym.at(t, mark))
			}
			r.Resume(plan)
			var passed []uint64
			ev := r.next(t)
			for ; ev.Passed != nil; ev = r.next(t) {
				passed = append(passed, ev.Passed.Addr)
			}
			if ev.Frozen == nil {
				t.Fatalf("not frozen but %s", describe(ev))
			}
			fr = ev.Frozen
			if name := s.sym.around(fr.State.Regs.Rip).name; !strings.HasPrefix(name, c.in) || fr.Cause != live.CauseStop {
				t.Errorf("frozen in %s (cause %d), want %s", name, fr.Cause, c.in)
			}
			if fr.Strayed != c.strays || fr.Addr != plan.Frame[0] {
				t.Errorf("for %#x, strayed %t; want %#x, %t", fr.Addr, fr.Strayed, plan.Frame[0], c.strays)
			}
			for _, mark := range c.passed {
				if !slices.Contains(passed, s.sym.at(t, mark)) {
					t.Errorf("nothing was said of %s: %x", mark, passed)
				}
			}
			r.Resume(live.Plan{})
			r.gone(t)
			r.reply.ok(t)
		})
	}
}

// TestStepOutOfWhatIsInlined: where only a part of a function forbids it, as where
// the runtime is inlined, the request is frozen behind that, and what is called
// there is run over.
func TestStepOutOfWhatIsInlined(t *testing.T) {
	s := newShop(t)
	start, end := s.sym.at(t, "steps-level1"), s.sym.at(t, "steps-level1-end")
	forbidden := s.sym.at(t, "steps-call2")
	s.proc.NoFreeze = func(pc uint64) bool {
		return s.sym.runtime(pc) || pc >= forbidden && pc < forbidden+64
	}
	r := s.trap(t, "/steps", live.Plan{Stops: []uint64{start}})
	depth := s.depth(t, r.frozen(t))
	r.Resume(live.Plan{Frame: []uint64{forbidden, end}, Within: s.sym.bounds(start)})
	fr := r.frozen(t)
	pc := fr.State.Regs.Rip
	if d := s.depth(t, fr); fr.Addr != forbidden || fr.Strayed || d != depth || pc < forbidden+64 || !strings.HasPrefix(s.sym.around(pc).name, "main.stepLevel1") {
		t.Errorf("frozen at %#x for %#x, %d bytes deep, strayed %t; want it behind %#x, %d bytes deep", pc, fr.Addr, d, fr.Strayed, forbidden+64, depth)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}
