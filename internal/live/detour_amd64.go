//go:build linux

package live

import "slices"

// Detour says how to go on from an address in the runtime, where no request can
// be frozen, to a place that stands for it.
type Detour struct {
	// Calls are the call instructions in that function which lead out of the
	// runtime: the thread runs on to the next one and into what it calls.
	Calls []uint64
	// End, if not 0, is where the thread goes if it makes none of the calls: the
	// process ends there. The thread runs on, and Passed tells EndWhy.
	End    uint64
	EndWhy string
	// Result: the function is run until it returns, and it is a stop only if its
	// first result is not 0 (ABIInternal: in RAX).
	Result bool
}

// detour takes a thread that has just reached the stop addr, in a ptrace-stop, to
// where it can be frozen for it. It answers whether it is one after all; if not,
// the thread stands behind the call of the function, with no breakpoint armed.
//
// Nothing of the user's runs on the way, so that no other stop is watched.
func (t *Thread) detour(addr uint64) (stop bool, err error) {
	d, ok := t.proc.Detours[addr]
	if !ok {
		return true, nil
	}
	regs, err := getRegs(t.tid)
	if err != nil || regs.Rip != addr {
		return true, t.lost(err) // it was made already
	}
	if d.Result {
		return t.detourResult(regs)
	}
	return t.detourCall(addr, d)
}

// detourResult runs to the return of the function that was just entered. The
// return is told as in runOver.
func (t *Thread) detourResult(regs Regs) (bool, error) {
	ret, err := t.proc.Mem.Uint64(regs.Rsp)
	if err != nil {
		return false, err
	}
	g, err := t.current(regs)
	if err != nil {
		return false, err
	}
	_, hi, err := t.stackOf(g)
	if err != nil {
		return false, err
	}
	depth := hi - (regs.Rsp + 8)
	err = t.detourTo([]uint64{ret}, func(now Regs) bool {
		_, hi, err := t.stackOf(g)
		return err == nil && hi-now.Rsp <= depth
	})
	if err != nil {
		return false, err
	}
	regs, err = getRegs(t.tid)
	return regs.Rax != 0, t.lost(err)
}

// detourTo runs to one of addrs where there says that it is the right frame. A
// pause waits until it is over, and is kept.
func (t *Thread) detourTo(addrs []uint64, there func(Regs) bool) error {
	paused := false
	t.passHits = true
	defer func() {
		t.passHits = false
		t.bps.clear()
		if paused {
			t.take(func(m *mail) { m.pause = true })
		}
	}()
	for {
		cause, _, err := t.runFrom(func() { t.arm(addrs) }, func(regs Regs) verdict {
			if slices.Contains(addrs, regs.Rip) && there(regs) {
				return arrived
			}
			return passed
		})
		if err != nil || cause == 0 {
			return err
		}
		paused = true
	}
}

// detourCall runs to the next of the call instructions and into the function that
// it calls, passing those in which the request cannot be frozen either.
func (t *Thread) detourCall(addr uint64, d Detour) (bool, error) {
	stops := d.Calls
	if d.End != 0 {
		stops = append(slices.Clone(stops), d.End)
	}
	for {
		if err := t.detourTo(stops, func(Regs) bool { return true }); err != nil {
			return false, err
		}
		at, err := t.step()
		if err != nil {
			return false, err
		}
		switch {
		case at.ret == 0 && d.End != 0 && within(t.proc.Func(d.End), at.regs.Rip):
			t.report(Event{Passed: &Passed{Cause: CauseStop, Addr: addr, G: t.g, Why: d.EndWhy}})
			return false, nil
		case !at.fault && !t.proc.NoFreeze(at.regs.Rip):
			return true, nil
		}
	}
}
