//go:build linux

package live

import (
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// stepLimit bounds the single-steps of one Plan; behind it Fallback is
	// armed and the thread runs. A step costs some microseconds.
	stepLimit = 20_000
	// exitsAfter is how many single-steps of a Plan show that a line is long
	// enough to look for its exits, which costs as much as some steps, and
	// exitsAgain when to look again, from where the thread is then.
	exitsAfter = 100
	exitsAgain = 4_000
	// textLimit bounds the way to UntilText: a router may be long.
	textLimit = 400_000
	// overCost is what running over a call counts against the limits.
	overCost = 10
)

// advance moves the thread under t.plan until there is a reason to freeze it,
// and leaves it in a ptrace-stop then. errRelease: in a ptrace-stop, too.
func (t *Thread) advance(running bool) (Cause, uint64, error) {
	if !running {
		t.armWatches()
		// A watch stops behind an access, which may be in front of a stop.
		if t.last == CauseWatch {
			regs, err := getRegs(t.tid)
			if err != nil {
				return 0, 0, t.lost(err)
			}
			if t.wanted(regs.Rip) {
				return CauseStop, regs.Rip, nil
			}
		}
	}
	if running && t.plan.UntilText != nil {
		if err := t.awaitWake(); err != nil {
			return 0, 0, err
		}
		running = false
	}
	switch {
	case t.plan.UntilText != nil:
		return t.advanceToText()
	case t.plan.Within[1] != 0:
		return t.advanceWithin()
	}
	return t.advanceFree(running)
}

// awaitWake waits for the stop at which stepping begins: the SIGURG that seize
// sent to wake the service's wait for the answer.
func (t *Thread) awaitWake() error {
	for {
		s, err := t.wait()
		if err != nil {
			return err
		}
		if s.sig == unix.SIGURG {
			t.noteGoroutine()
			return nil
		}
		if err := t.cont(s.sig); err != nil {
			return err
		}
	}
}

// noteGoroutine remembers the request's goroutine at the first opportunity, the
// wake from the wait for the answer: the gate waits on the goroutine itself.
// Later the thread may run the scheduler.
func (t *Thread) noteGoroutine() {
	if t.g != 0 {
		return
	}
	if regs, err := getRegs(t.tid); err == nil {
		_, _ = t.goroutineOn(regs) // an error means: not yet
	}
}

// advanceFree runs to one of the Stops at full speed.
func (t *Thread) advanceFree(running bool) (Cause, uint64, error) {
	if !running {
		// Leave the instruction first: it may have a breakpoint, and a resume
		// flag does not survive the runtime's asynchronous preemption, whose
		// signal may come here.
		if _, err := t.stepOver(); err != nil {
			return 0, 0, err
		}
		regs, err := getRegs(t.tid)
		if err != nil {
			return 0, 0, t.lost(err)
		}
		if len(t.hits) > 0 {
			return CauseWatch, regs.Rip, nil
		}
		if t.wanted(regs.Rip) {
			return CauseStop, regs.Rip, nil
		}
	}
	rearm := func() { t.arm(slices.Concat(t.plan.Stops, t.plan.Frame)) }
	none := func(Regs) verdict { return noVerdict }
	if running {
		return t.runTo(rearm, none)
	}
	return t.runFrom(rearm, none)
}

// runFrom is runTo for a tracee in a ptrace-stop. It looks at the mail first:
// the signals of earlier posts may have been taken while the thread was thawed
// or stepped.
func (t *Thread) runFrom(rearm func(), judge func(Regs) verdict) (Cause, uint64, error) {
	rearm()
	pause, err := t.readMail(rearm)
	if err != nil {
		return 0, 0, err
	}
	if pause {
		return CausePause, 0, nil
	}
	if err := t.cont(0); err != nil {
		return 0, 0, err
	}
	return t.runTo(rearm, judge)
}

// contPast continues past a breakpoint at the current instruction that is no
// reason to stop: the resume flag keeps it from triggering once (Intel SDM vol.
// 3, 17.3.1.1). Should it trigger again, it is passed again.
func (t *Thread) contPast() error {
	regs, err := getRegs(t.tid)
	if err != nil {
		return t.lost(err)
	}
	regs.Eflags |= flagRF
	if err := setRegs(t.tid, regs); err != nil {
		return t.lost(err)
	}
	return t.cont(0)
}

// verdict is what a breakpoint means to whoever runs the thread.
type verdict int

const (
	noVerdict verdict = iota // a reason to stop if it is one of the plan's
	arrived                  // the place that was run to
	passed                   // no reason to stop
)

// runTo waits for a running tracee to reach one of the plan's stops, or a place
// that judge says was arrived at (then the cause is 0). rearm is called when the
// Stops have been replaced meanwhile. Every signal but our own is delivered.
func (t *Thread) runTo(rearm func(), judge func(Regs) verdict) (Cause, uint64, error) {
	for {
		s, err := t.wait()
		if err != nil {
			return 0, 0, err
		}
		if before, hit := t.probes.hit(); hit {
			if !t.slot.Running() {
				return 0, 0, errRelease
			}
			if cause, addr, err := t.atProbe(s, before); err != nil || cause != 0 {
				return cause, addr, err
			}
		}
		switch {
		case s.breakpoint():
			regs, err := getRegs(t.tid)
			if err != nil {
				return 0, 0, t.lost(err)
			}
			if !t.slot.Running() {
				return 0, 0, errRelease
			}
			hits, err := t.newHits()
			if err != nil {
				return 0, 0, err
			}
			ours, err := t.requests(regs)
			if err != nil {
				return 0, 0, err
			}
			if t.judgeHits(hits, ours) {
				return CauseWatch, regs.Rip, nil
			}
			if ours && regs.Rip == t.proc.Births.NewProc {
				if pause, err := t.birth(regs, rearm); pause || err != nil {
					return CausePause, 0, err
				}
				continue
			}
			switch v := judge(regs); {
			case ours && v == arrived:
				return 0, 0, nil
			case ours && v != passed && t.wanted(regs.Rip):
				stop, err := t.detour(regs.Rip)
				if stop || err != nil {
					return CauseStop, regs.Rip, err
				}
				rearm()
				if err := t.cont(0); err != nil {
					return 0, 0, err
				}
				continue
			}
			if err := t.contPast(); err != nil {
				return 0, 0, err
			}
		case s.sig == unix.SIGURG:
			if !t.slot.Running() {
				return 0, 0, errRelease
			}
			t.noteGoroutine()
			pause, err := t.readMail(rearm)
			if err != nil {
				return 0, 0, err
			}
			if pause {
				t.sendAgain(s.sig)
				return CausePause, 0, nil
			}
			// Also if it was ours, see sendAgain.
			if err := t.cont(s.sig); err != nil {
				return 0, 0, err
			}
		default:
			if err := t.cont(s.sig); err != nil {
				return 0, 0, err
			}
		}
	}
}

// sendAgain has a signal come again that was taken for a stop of ours and is not
// delivered. A SIGURG may have been the runtime's as well, since they do not queue:
// the runtime sends a thread no other one before its handler has seen that
// (runtime/signal_unix.go, preemptM), and would wait without an end for a loop
// without calls to stop for it.
func (t *Thread) sendAgain(sig unix.Signal) { _ = unix.Tgkill(t.proc.PID, t.tid, sig) } // fails if the thread is gone

// readMail acts on what other goroutines asked while the thread moved. err is
// errRelease if the thread is to be let go of.
func (t *Thread) readMail(rearm func()) (pause bool, err error) {
	m := t.peek()
	if m.release {
		return false, errRelease
	}
	if m.stops == nil && m.watches == nil && m.probes == nil && m.off == nil && !m.pause {
		return false, nil
	}
	t.take(func(m *mail) { m.stops, m.watches, m.probes, m.off, m.pause = nil, nil, nil, nil, false })
	for _, off := range m.off {
		t.report(Event{Passed: &Passed{Cause: CauseProbes, Addrs: off.Addrs, G: t.g, Why: off.Why}})
	}
	if m.probes != nil {
		t.plan.Probes, t.plan.Returns = m.probes.probes, m.probes.returns
	}
	if m.watches != nil {
		t.plan.Watches = *m.watches
		t.bps.clear() // they come first
		t.armWatches()
		rearm()
	}
	if m.stops != nil {
		t.plan.Stops = *m.stops
		rearm()
	}
	return m.pause, nil
}

// advanceToText single-steps to the first instruction that UntilText wants.
func (t *Thread) advanceToText() (Cause, uint64, error) {
	t.bps.clear()
	for steps := 0; steps < textLimit; steps++ {
		at, err := t.step()
		if err != nil {
			return 0, 0, err
		}
		if at.fault {
			break
		}
		if len(t.hits) > 0 {
			return CauseWatch, at.regs.Rip, nil
		}
		if t.plan.UntilText(at.regs.Rip) {
			return CauseText, at.regs.Rip, nil
		}
		pause, err := t.readMail(func() {})
		if err != nil {
			return 0, 0, err
		}
		if pause {
			return CausePause, 0, nil
		}
		if at.ret != 0 && t.plan.OverText(at.regs.Rip) {
			cause, addr, err := t.runOver(at, t.overStops)
			if err != nil || cause != 0 {
				return cause, addr, err
			}
			if t.plan.UntilText(at.ret) {
				return CauseText, at.ret, nil
			}
			steps += overCost
		}
	}
	return t.advanceFree(false)
}

// wanted says whether pc is one of the plan's stops.
func (t *Thread) wanted(pc uint64) bool {
	return slices.Contains(t.plan.Stops, pc) || slices.Contains(t.plan.Frame, pc) || slices.Contains(t.plan.Probes, pc)
}

// runOver runs a function that was just entered until it returns (cause 0) or
// one of the stops is reached that watch names for it. The return is told from that of a recursive call
// by the stack depth, counted from the stack's upper end: the runtime may move
// the stack meanwhile (runtime/stack.go, copystack) and keeps that distance.
func (t *Thread) runOver(c stepped, watch func(stepped) []uint64) (Cause, uint64, error) {
	g, err := t.proc.Mem.Uint64(c.regs.Fs_base + t.proc.GOffset)
	if err != nil {
		return 0, 0, err
	}
	_, hi, err := t.stackOf(g)
	if err != nil {
		return 0, 0, err
	}
	depth := hi - (c.regs.Rsp + 8)
	cause, addr, err := t.runFrom(func() { t.arm(append([]uint64{c.ret}, watch(c)...)) }, func(regs Regs) verdict {
		if regs.Rip != c.ret {
			return noVerdict
		}
		if _, hi, err := t.stackOf(g); err == nil && hi-regs.Rsp <= depth {
			return arrived
		}
		if slices.Contains(t.plan.Stops, c.ret) {
			return noVerdict // of a recursive call, where a user's breakpoint is, too
		}
		return passed
	})
	t.bps.clear()
	return cause, addr, err
}
