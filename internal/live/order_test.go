//go:build linux && amd64

package live

import (
	"slices"
	"testing"
)

// TestOverStops: while a call is run over, the hardware holds four addresses.
// Which ones are left out must not be chance.
func TestOverStops(t *testing.T) {
	const (
		ret       = 0x1010 // in the function being stepped, behind the call
		callee    = 0x2000
		inCallee  = 0x2010
		user      = 0x3000
		user2     = 0x2fff
		sameFunc  = 0x1020
		sameFunc2 = 0x1030
		caller    = 0x4000
	)
	proc := &Process{Func: func(pc uint64) [2]uint64 {
		switch {
		case pc >= 0x1000 && pc < 0x1100:
			return [2]uint64{0x1000, 0x1100}
		case pc >= 0x2000 && pc < 0x2100:
			return [2]uint64{0x2000, 0x2100}
		}
		return [2]uint64{}
	}}
	for _, c := range []struct {
		name               string
		stops, frame, want []uint64
	}{
		{"none", nil, nil, nil},
		{"the return, which is watched anyway", []uint64{ret}, []uint64{ret}, nil},
		{"step into behind the prologue", []uint64{sameFunc, user, inCallee}, nil, []uint64{inCallee, user, sameFunc}},
		{"outside before inside", []uint64{sameFunc, sameFunc2, user}, nil, []uint64{user, sameFunc, sameFunc2}},
		{"equal ones keep their order", []uint64{user, user2, sameFunc2, sameFunc}, nil, []uint64{user, user2, sameFunc2, sameFunc}},
		{"callee's entry", []uint64{user, callee}, nil, []uint64{callee, user}},
		{"the frame's own lines are not watched", []uint64{user}, []uint64{sameFunc, sameFunc2}, []uint64{user}},
		{"but where it returns to, last", []uint64{sameFunc, user}, []uint64{sameFunc2, caller}, []uint64{user, sameFunc, caller}},
	} {
		t.Run(c.name, func(t *testing.T) {
			th := &Thread{proc: proc, plan: Plan{
				Stops: slices.Clone(c.stops), Frame: slices.Clone(c.frame), Within: [2]uint64{0x1000, 0x1100},
			}}
			if got := th.overStops(stepped{ret: ret, regs: Regs{Rip: callee}}); !slices.Equal(got, c.want) {
				t.Errorf("overStops = %x, want %x", got, c.want)
			}
			if !slices.Equal(th.plan.Stops, c.stops) || !slices.Equal(th.plan.Frame, c.frame) {
				t.Errorf("the plan became %x, %x", th.plan.Stops, th.plan.Frame)
			}
		})
	}
}

// TestArmNotesWhatDoesNotFit: but for what single-stepping watches anyway, and
// for the step's own addresses.
func TestArmNotesWhatDoesNotFit(t *testing.T) {
	th := &Thread{
		proc: &Process{},
		plan: Plan{
			Within: [2]uint64{0x1000, 0x1100},
			Stops:  []uint64{0x1010, 0x2000, 0x2001, 0x2003, 0x1020},
			Frame:  []uint64{0x2002},
		},
		bps:    breakpoints{tid: -1}, // no such thread: the kernel refuses all
		events: make(chan Event, 16),
	}
	th.arm([]uint64{0x1010, 0x2000, 0x2001, 0x2002, 0x2003, 0x1020})
	for addr, want := range map[uint64]bool{0x1010: false, 0x1020: false, 0x2000: true, 0x2001: true, 0x2002: false, 0x2003: true} {
		if th.unarmed[addr] != want {
			t.Errorf("%#x noted as unarmed: %t", addr, !want)
		}
	}
	// That the kernel refused what the hardware should hold is told at once.
	refused := make(map[uint64]bool)
	for len(th.events) > 0 {
		if p := (<-th.events).Passed; p != nil && p.Why != "" {
			refused[p.Addr] = true
		}
	}
	if !refused[0x2000] || !refused[0x2001] || refused[0x2002] || refused[0x2003] {
		t.Errorf("told of %v", refused)
	}
}

// TestReportNeverBlocks: a reader that sleeps loses Passed events, never a
// Frozen or Gone.
func TestReportNeverBlocks(t *testing.T) {
	th := &Thread{events: make(chan Event, 16)}
	for range 100 {
		th.report(Event{Passed: &Passed{}})
	}
	th.report(Event{Frozen: &Frozen{}})
	for range 100 {
		th.report(Event{Passed: &Passed{}})
	}
	th.report(Event{Gone: &Gone{}})
	close(th.events)
	var frozen, gone int
	for ev := range th.events {
		switch {
		case ev.Frozen != nil:
			frozen++
		case ev.Gone != nil:
			gone++
		}
	}
	if frozen != 1 || gone != 1 {
		t.Errorf("%d Frozen, %d Gone delivered", frozen, gone)
	}
}
