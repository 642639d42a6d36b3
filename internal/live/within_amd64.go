//go:build linux

package live

import (
	"cmp"
	"slices"
)

// advanceWithin single-steps inside the function t.plan.Within and runs over
// the calls it makes. More stops than the hardware holds cost nothing there,
// and no other thread can notice.
func (t *Thread) advanceWithin() (Cause, uint64, error) {
	t.bps.clear()
	if cause, addr, err := t.comeBack(); err != nil || cause != 0 {
		return cause, addr, err
	}
	tryExits := exitsAfter
	for steps := 0; steps < stepLimit; steps++ {
		if steps >= tryExits {
			tryExits = steps + exitsAgain
			regs, err := getRegs(t.tid)
			if err != nil {
				return 0, 0, t.lost(err)
			}
			if done, cause, addr, err := t.runToExits(regs.Rip, false); done {
				return cause, addr, err
			}
		}
		callee, err := t.step()
		if err != nil {
			return 0, 0, err
		}
		if callee.fault {
			return t.leave()
		}
		if len(t.hits) > 0 {
			return CauseWatch, callee.regs.Rip, nil
		}
		if callee.ret != 0 && callee.regs.Rip == t.proc.Births.NewProc {
			if _, err := t.adopt(callee.regs); err != nil {
				return 0, 0, err
			}
			if callee.regs, err = getRegs(t.tid); err != nil { // its stack may have moved
				return 0, 0, t.lost(err)
			}
		}
		recursion := callee.ret != 0 && callee.regs.Rip == t.plan.Within[0]
		if slices.Contains(t.plan.Stops, callee.regs.Rip) || !recursion && t.wanted(callee.regs.Rip) {
			return CauseStop, callee.regs.Rip, nil
		}
		pause, err := t.readMail(func() {})
		if err != nil {
			return 0, 0, err
		}
		if pause {
			return CausePause, 0, nil
		}
		switch {
		case callee.ret != 0 && !within(t.plan.Within, callee.regs.Rip), recursion:
			cause, addr, err := t.runOver(callee, t.overStops)
			if err != nil || cause != 0 {
				return cause, addr, err
			}
			if t.wanted(callee.ret) {
				return CauseStop, callee.ret, nil
			}
			steps += overCost
		case !within(t.plan.Within, callee.regs.Rip):
			// By a return or a jump to where no stop is.
			return t.leave()
		}
	}
	regs, err := getRegs(t.tid)
	if err != nil {
		return 0, 0, t.lost(err)
	}
	if done, cause, addr, err := t.runToExits(regs.Rip, true); done {
		return cause, addr, err
	}
	t.plan.Stops = slices.Concat(t.plan.Fallback, t.plan.Stops)
	return t.advanceFree(false)
}

// comeBack runs to the function being stepped if the thread is in one that it
// called: when the step led to where the request cannot be frozen. Its return
// address is near the top of the stack; if it is not found the thread stays.
func (t *Thread) comeBack() (Cause, uint64, error) {
	regs, err := getRegs(t.tid)
	if err != nil || within(t.plan.Within, regs.Rip) {
		return 0, 0, t.lost(err)
	}
	const depth = 64 // words
	for i := range uint64(depth) {
		sp := regs.Rsp + 8*i
		ret, err := t.proc.Mem.Uint64(sp)
		if err != nil {
			break // the end of the stack
		}
		if !within(t.plan.Within, ret) || ret == t.plan.Within[0] {
			continue
		}
		regs.Rsp = sp // as it was at the call
		cause, addr, err := t.runOver(stepped{regs: regs, ret: ret}, t.overStops)
		if err == nil && cause == 0 && t.wanted(ret) {
			return CauseStop, ret, nil
		}
		return cause, addr, err
	}
	return 0, 0, nil
}

// leave lets a thread run that goes away from the function being stepped, by a
// panic or a jump: what is outside matters most, then where the function ends.
func (t *Thread) leave() (Cause, uint64, error) {
	var outside, inside []uint64
	for _, a := range slices.Concat(t.plan.Stops, t.plan.Frame) {
		if within(t.plan.Within, a) {
			inside = append(inside, a)
		} else {
			outside = append(outside, a)
		}
	}
	slices.SortFunc(inside, func(a, b uint64) int { return cmp.Compare(b, a) })
	t.plan.Stops, t.plan.Frame = append(outside, inside...), nil
	return t.advanceFree(false)
}

// overStops says what to watch besides its return while the callee c runs, the
// most important first: stops inside it, where a step into it ends; other stops
// outside the function being stepped; stops inside that, for recursion; and
// where the frame returns to, for a panic.
func (t *Thread) overStops(c stepped) []uint64 {
	callee := t.proc.Func(c.regs.Rip)
	rank := func(a uint64) int {
		switch {
		case within(callee, a):
			return 0
		case !within(t.plan.Within, a):
			return 1
		}
		return 2
	}
	stops := slices.Clone(t.plan.Stops)
	slices.SortStableFunc(stops, func(a, b uint64) int { return rank(a) - rank(b) })
	for _, a := range t.plan.Frame {
		if !within(t.plan.Within, a) {
			stops = append(stops, a)
		}
	}
	return slices.DeleteFunc(stops, func(a uint64) bool { return a == c.ret })
}
