//go:build linux && amd64

package backend

import (
	"go/parser"
	"slices"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// breakpoint is one as Delve keeps it, with one breaklet for each kind.
func breakpoint(logicalID int, kinds ...proc.BreakpointKind) *proc.Breakpoint {
	bp := &proc.Breakpoint{}
	for _, k := range kinds {
		bp.Breaklets = append(bp.Breaklets, &proc.Breaklet{Kind: k, LogicalID: logicalID})
	}
	return bp
}

func TestWatched(t *testing.T) {
	for _, c := range []struct {
		name string
		bp   *proc.Breakpoint
		rank int
		ok   bool
	}{
		{"the user's", breakpoint(1, proc.UserBreakpoint), 1, true},
		{"unrecovered panic", breakpoint(-1, proc.UserBreakpoint), 0, false},
		{"fatal throw", breakpoint(-2, proc.UserBreakpoint), 0, false},
		{"deferred call", breakpoint(0, proc.NextDeferBreakpoint), 0, true},
		{"next", breakpoint(0, proc.NextBreakpoint), 2, true},
		{"step into", breakpoint(0, proc.StepBreakpoint), 2, true},
		{"body of a range over a function", breakpoint(0, proc.StepIntoRangeOverFuncBodyBreakpoint), 2, true},
		{"the user's and next", breakpoint(3, proc.NextBreakpoint, proc.UserBreakpoint), 1, true},
		{"unrecovered panic and next", breakpoint(-1, proc.UserBreakpoint, proc.NextBreakpoint), 2, true},
		{"next and deferred call", breakpoint(0, proc.NextBreakpoint, proc.NextDeferBreakpoint), 0, true},
		{"plugin.Open", breakpoint(0, proc.PluginOpenBreakpoint), 0, false},
		{"shared library", breakpoint(0, proc.SharedLibBreakpoint), 0, false},
		{"a new goroutine", breakpoint(0, proc.StepIntoNewProcBreakpoint), 0, false},
		{"inactivated next", breakpoint(0, proc.NextInactivatedBreakpoint), 0, false},
		{"no breaklets", breakpoint(0), 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rank, ok := watched(c.bp)
			if ok != c.ok || ok && rank != c.rank {
				t.Errorf("watched = %d, %t, want %d, %t", rank, ok, c.rank, c.ok)
			}
		})
	}
}

// at makes a process that stands at pc, with breakpoints.
func at(pc uint64, bps map[uint64]*proc.Breakpoint) *Process {
	p := New(Config{Func: func(pc uint64) [2]uint64 { return [2]uint64{pc &^ 0xff, pc&^0xff + 0x100} }})
	p.bps.M = bps
	p.thread.regs = newRegisters(live.State{Regs: live.Regs{Rip: pc}})
	return p
}

// ofFrame is a breakpoint of a step that counts in one frame only, as Delve
// makes it.
func ofFrame(t *testing.T, id int, kinds ...proc.BreakpointKind) *proc.Breakpoint {
	t.Helper()
	cond, err := parser.ParseExpr("runtime.curg.goid == 1 && runtime.frameoff == 64")
	if err != nil {
		t.Fatal(err)
	}
	bp := breakpoint(id, kinds...)
	for _, b := range bp.Breaklets {
		if b.Kind == proc.NextBreakpoint {
			b.Cond = cond
		}
	}
	return bp
}

func TestPlanOrder(t *testing.T) {
	plan := at(0x1000, map[uint64]*proc.Breakpoint{
		0x1080: ofFrame(t, 0, proc.NextBreakpoint),
		0x1040: ofFrame(t, 0, proc.NextBreakpoint),
		0x2000: ofFrame(t, 0, proc.NextBreakpoint),
		0x1060: ofFrame(t, 4, proc.NextBreakpoint, proc.UserBreakpoint),
		0x3000: breakpoint(0, proc.NextDeferBreakpoint),
		0x3800: breakpoint(0, proc.StepBreakpoint),
		0x5000: breakpoint(2, proc.UserBreakpoint),
		0x4000: breakpoint(1, proc.UserBreakpoint),
		0x6000: breakpoint(-1, proc.UserBreakpoint),
		0x1010: breakpoint(0, proc.PluginOpenBreakpoint),
	}).plan()
	if want := []uint64{0x3000, 0x1060, 0x4000, 0x5000, 0x3800}; !slices.Equal(plan.Stops, want) {
		t.Errorf("Stops = %x, want %x: deferred calls, the user's, what is stepped into, each by address", plan.Stops, want)
	}
	if want := []uint64{0x1040, 0x1080, 0x2000}; !slices.Equal(plan.Frame, want) {
		t.Errorf("Frame = %x, want %x: the lines being stepped and the return", plan.Frame, want)
	}
	if want := [2]uint64{0x1000, 0x1100}; plan.Within != want {
		t.Errorf("Within = %x, want %x", plan.Within, want)
	}
	if want := []uint64{0x1040, 0x1080, 0x2000}; !slices.Equal(plan.Fallback, want) {
		t.Errorf("Fallback = %x, want %x", plan.Fallback, want)
	}
	if plan.UntilText != nil || plan.OverText != nil {
		t.Error("the plan steps until some text")
	}
}

// TestPlanWithoutStepping: single-stepping is for steps that the hardware
// cannot do.
func TestPlanWithoutStepping(t *testing.T) {
	user := func(n int) map[uint64]*proc.Breakpoint {
		m := make(map[uint64]*proc.Breakpoint)
		for i := range n {
			m[0x4000+uint64(i)] = breakpoint(i+1, proc.UserBreakpoint)
		}
		return m
	}
	next := user(3)
	next[0x1040] = breakpoint(0, proc.NextBreakpoint)
	for name, bps := range map[string]map[uint64]*proc.Breakpoint{
		"nothing":                       nil,
		"five of the user's":            user(5),
		"a step that fits":              next,
		"a step in what is not watched": {0x1: breakpoint(0, proc.NextInactivatedBreakpoint)},
	} {
		t.Run(name, func(t *testing.T) {
			plan := at(0x1000, bps).plan()
			if plan.Within != [2]uint64{} || plan.Fallback != nil {
				t.Errorf("Within = %x, Fallback = %x", plan.Within, plan.Fallback)
			}
			if watchedOnes := len(plan.Stops); watchedOnes != len(bps) && name != "a step in what is not watched" {
				t.Errorf("%d stops of %d", watchedOnes, len(bps))
			}
			if plan.Stops == nil {
				t.Error("Stops is nil")
			}
		})
	}
}

func TestNearest(t *testing.T) {
	fn := [2]uint64{0x1000, 0x1100}
	for _, c := range []struct {
		name  string
		stops []uint64
		pc    uint64
		want  []uint64
	}{
		{"none", nil, 0x1010, nil},
		{"only behind", []uint64{0x1000, 0x1008}, 0x1010, nil},
		{"pc itself does not count", []uint64{0x1010, 0x1011}, 0x1010, []uint64{0x1011}},
		{"the next three, by address", []uint64{0x10f0, 0x1020, 0x1040, 0x1030, 0x1008}, 0x1010, []uint64{0x1020, 0x1030, 0x1040}},
		{"and the first outside", []uint64{0x2000, 0x3000, 0x10f0, 0x1020, 0x1040, 0x1030}, 0x1010, []uint64{0x1020, 0x1030, 0x1040, 0x2000}},
		{"the end of the function is outside", []uint64{0x1100, 0xfff}, 0x1010, []uint64{0x1100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			stops := slices.Clone(c.stops)
			if got := nearest(stops, fn, c.pc); !slices.Equal(got, c.want) {
				t.Errorf("nearest = %x, want %x", got, c.want)
			}
			if len(c.want) > live.HardwareSlots {
				t.Error("more than the hardware holds")
			}
			if !slices.Equal(stops, c.stops) {
				t.Errorf("the stops became %x", stops)
			}
		})
	}
}
