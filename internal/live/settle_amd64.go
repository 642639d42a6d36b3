//go:build linux

package live

import (
	"slices"
)

// settled is how a thread came to rest for a cause.
type settled struct {
	cause   Cause
	addr    uint64
	state   *State // nil: it could not be frozen, why tells
	why     string
	strayed bool // see Frozen
}

// maxReturns bounds the functions that a step's end may be led out of.
const maxReturns = 16

// settle freezes a thread that advance has left at addr for cause.
//
// Where a step ends in code in which the request cannot be frozen, its function
// has returned as a rule: nothing of the plan lies ahead then, and the thread
// would run to the end of the request. It is taken on to where the innermost
// function goes on that it can be frozen in, unless something else is a reason to
// stop on the way.
func (t *Thread) settle(cause Cause, addr uint64) (settled, error) {
	s := settled{cause: cause, addr: addr}
	out := false // it is on the way from addr
	for range maxReturns {
		if s.cause == CauseWatch {
			if err := t.returnToUser(); err != nil {
				return s, err
			}
		}
		ends, depth, err := t.endsStep(s.cause, s.addr)
		if err != nil {
			return s, err
		}
		s.state, s.why, err = t.freeze()
		if err != nil {
			return s, err
		}
		own := s.cause == CauseStop && s.addr == addr
		if s.state != nil {
			s.strayed = own && (out || ends && t.elsewhere(s.state.Regs, addr, depth))
			return s, nil
		}
		if !out {
			if gone, err := t.frameGone(); err != nil || !ends || !gone {
				return s, err // what is left of the plan lies ahead
			}
		}
		if !own && s.cause != CauseWatch {
			t.report(Event{Passed: &Passed{Cause: s.cause, Addr: s.addr, G: t.g, Why: s.why}})
		}
		came, cause, at, err := t.runOut()
		if err != nil || !came {
			return s, err
		}
		out, s.cause, s.addr = true, CauseStop, addr
		if cause != 0 {
			s.cause, s.addr = cause, at
		}
	}
	return s, nil
}

// noteBase remembers how deep the stack of a thawed thread is that is about to be
// stepped: the frame being stepped has returned when less of it is used. A step
// that goes on, since what it stopped for was a deeper call of its function, keeps
// its own.
func (t *Thread) noteBase(before Plan) error {
	if len(t.plan.Frame) == 0 {
		t.base = 0
		return nil
	}
	depth, err := t.depth()
	if err != nil {
		return err
	}
	if t.base == 0 || !slices.Equal(before.Frame, t.plan.Frame) {
		t.base = depth
	}
	t.base = min(t.base, depth)
	return nil
}

// depth is how much of its stack a stopped thread uses, counted from the upper
// end: that stays when the runtime moves the stack.
func (t *Thread) depth() (uint64, error) {
	regs, err := getRegs(t.tid)
	if err != nil {
		return 0, t.lost(err)
	}
	if _, err := t.goroutineOn(regs); err != nil {
		return 0, nil
	}
	_, hi, err := t.stackOf(t.g)
	return hi - regs.Rsp, err
}

// endsStep says whether a stop is one of the step's own, in the frame being
// stepped or in one that called it, and how deep the stack is there.
func (t *Thread) endsStep(cause Cause, addr uint64) (ends bool, depth uint64, err error) {
	if cause != CauseStop || t.base == 0 || !slices.Contains(t.plan.Frame, addr) {
		return false, 0, nil
	}
	depth, err = t.depth()
	return depth != 0 && depth <= t.base, depth, err
}

// frameGone says whether the frame being stepped has returned.
func (t *Thread) frameGone() (bool, error) {
	depth, err := t.depth()
	return depth != 0 && depth < t.base, err
}

// elsewhere says whether regs are in another frame than that which stopped at addr,
// with the stack depth bytes deep.
func (t *Thread) elsewhere(regs Regs, addr, depth uint64) bool {
	_, hi, err := t.stackOf(t.g)
	return err == nil && regs.Rip != addr && (!within(t.proc.Func(addr), regs.Rip) || hi-regs.Rsp != depth)
}

// runOut runs a thread, whose frame being stepped has returned to where it cannot
// be frozen, to where the innermost function outside of that goes on, or to
// another of the plan's stops: then with its cause. came is false if no such
// function is on the stack.
func (t *Thread) runOut() (came bool, cause Cause, addr uint64, err error) {
	regs, err := getRegs(t.tid)
	if err != nil {
		return false, 0, 0, t.lost(err)
	}
	_, hi, err := t.stackOf(t.g)
	if err != nil {
		return false, 0, 0, err
	}
	depths := t.returnsTo(regs, hi)
	if len(depths) == 0 {
		return false, 0, 0, nil
	}
	defer t.bps.clear()
	cause, addr, err = t.runFrom(func() { t.arm(t.outStops(depths, regs.Rip)) }, func(r Regs) verdict {
		_, hi, err := t.stackOf(t.g)
		switch used := hi - r.Rsp; {
		case err != nil:
			return passed
		case slices.Contains(depths[r.Rip], used):
			return arrived
		case slices.Contains(t.plan.Frame, r.Rip) && used > t.base:
			return passed // of a deeper call
		}
		return noVerdict
	})
	return err == nil, cause, addr, err
}

// outStops are what to watch on the way out from pc: the two nearest of the places
// to return to, the innermost of which may be one that a panic leads past; what the
// step itself waits for in callers; the plan's stops.
func (t *Thread) outStops(depths map[uint64][]uint64, pc uint64) []uint64 {
	var returns []uint64
	for a := range depths {
		returns = append(returns, a)
	}
	slices.SortFunc(returns, func(a, b uint64) int { // the deepest first
		return int(int64(slices.Max(depths[b]) - slices.Max(depths[a])))
	})
	const nearest = 2
	n := min(nearest, len(returns))
	stops := slices.Clone(returns[:n])
	frame := slices.DeleteFunc(slices.Clone(t.plan.Frame), t.proc.NoFreeze)
	for _, a := range slices.Concat(frame, t.plan.Stops, returns[n:]) {
		if a != pc && !slices.Contains(stops, a) && !within(t.plan.Within, a) {
			stops = append(stops, a)
		}
	}
	return stops
}
