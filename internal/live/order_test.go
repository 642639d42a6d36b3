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
		name        string
		stops, want []uint64
	}{
		{"none", nil, []uint64{ret}},
		{"the return is a stop itself", []uint64{ret}, []uint64{ret}},
		{"step into behind the prologue", []uint64{sameFunc, user, inCallee}, []uint64{ret, inCallee, user, sameFunc}},
		{"outside before inside", []uint64{sameFunc, sameFunc2, user}, []uint64{ret, user, sameFunc, sameFunc2}},
		{"equal ones keep their order", []uint64{user, user2, sameFunc2, sameFunc}, []uint64{ret, user, user2, sameFunc2, sameFunc}},
		{"callee's entry", []uint64{user, callee}, []uint64{ret, callee, user}},
	} {
		t.Run(c.name, func(t *testing.T) {
			th := &Thread{proc: proc, plan: Plan{Stops: slices.Clone(c.stops), Within: [2]uint64{0x1000, 0x1100}}}
			if got := th.overStops(stepped{ret: ret, regs: Regs{Rip: callee}}); !slices.Equal(got, c.want) {
				t.Errorf("overStops = %x, want %x", got, c.want)
			}
			if !slices.Equal(th.plan.Stops, c.stops) {
				t.Errorf("the plan's stops became %x", th.plan.Stops)
			}
		})
	}
}

// TestArmNotesWhatDoesNotFit: but for what single-stepping watches anyway.
func TestArmNotesWhatDoesNotFit(t *testing.T) {
	th := &Thread{plan: Plan{Within: [2]uint64{0x1000, 0x1100}}, bps: breakpoints{tid: -1}} // no such thread: all are refused
	th.arm([]uint64{0x1010, 0x2000, 0x2001, 0x2002, 0x2003, 0x1020})
	for addr, want := range map[uint64]bool{0x1010: false, 0x1020: false, 0x2000: true, 0x2003: true} {
		if th.unarmed[addr] != want {
			t.Errorf("%#x noted as unarmed: %t", addr, !want)
		}
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
