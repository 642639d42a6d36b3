//go:build linux

package live

import (
	"golang.org/x/sys/unix"
)

// stepped is where a single-step led.
type stepped struct {
	regs  Regs
	ret   uint64 // if the instruction was a call: its return address
	fault bool   // the instruction raised a fault and was not executed
}

// step executes one instruction and tells whether it was a call.
func (t *Thread) step() (stepped, error) {
	before, err := getRegs(t.tid)
	if err != nil {
		return stepped{}, t.lost(err)
	}
	return t.stepFrom(before)
}

// stepFrom is step for a tracee whose registers are known.
func (t *Thread) stepFrom(before Regs) (stepped, error) {
	fault, err := t.stepOver()
	if err != nil {
		return stepped{}, err
	}
	after, err := getRegs(t.tid)
	if err != nil {
		return stepped{}, t.lost(err)
	}
	st := stepped{regs: after, fault: fault}
	if !fault && after.Rsp == before.Rsp-8 {
		// A call pushed the address of the instruction behind it; the
		// longest instruction has 15 bytes. A PUSH does not jump.
		ret, err := t.proc.Mem.Uint64(after.Rsp)
		if err != nil {
			return st, err
		}
		if ret > before.Rip && ret <= before.Rip+15 && after.Rip != ret {
			st.ret = ret
		}
	}
	return st, nil
}

// stepOver executes one instruction of a tracee in a ptrace-stop in which no
// breakpoint is armed. fault: the instruction raised a fault instead, which
// will be raised again, and is delivered, when the thread is continued.
func (t *Thread) stepOver() (fault bool, err error) {
	if t.probes.any() {
		regs, err := getRegs(t.tid)
		if err != nil {
			return false, t.lost(err)
		}
		if t.probes.pin(regs.Rip) {
			defer t.probes.unpin()
			return t.stepProbe()
		}
	}
	for {
		t.resumed = unix.PTRACE_SINGLESTEP
		t.noteResume()
		if err := t.lost(ptrace(unix.PTRACE_SINGLESTEP, t.tid, 0)); err != nil {
			return false, err
		}
		s, err := t.wait()
		if err != nil {
			return false, err
		}
		switch {
		case s.stepped(), s.steppedProbe():
			_, err := t.noteHits()
			return false, err
		case s.fault():
			return true, nil
		case s.breakpoint():
			// A watch that the instruction has hit, or a breakpoint's hit that
			// was under way when it was removed.
			if hit, err := t.noteHits(); hit || err != nil {
				return false, err
			}
		default:
			// The signal arrived before the instruction was executed.
			if err := t.deliver(s.sig); err != nil {
				return false, err
			}
		}
	}
}

// deliver runs the thread through the handler of sig and back to the
// instruction it interrupted. Delivering under PTRACE_SINGLESTEP would step
// into the handler; keeping the signal back would make a stop of the world wait
// for as long as we step, since SIGURG is how the runtime asks for it.
//
// The breakpoint must not be let past by a resume flag in the saved flags: a
// signal's return restores it (arch/x86 signal_64.c, FIX_EFLAGS).
func (t *Thread) deliver(sig unix.Signal) error {
	regs, err := getRegs(t.tid)
	if err != nil {
		return t.lost(err)
	}
	before, err := t.current(regs)
	if err != nil {
		return err
	}
	regs.Eflags &^= flagRF
	if err := setRegs(t.tid, regs); err != nil {
		return t.lost(err)
	}
	defer t.bps.clear()
	if _, err := t.bps.set([]uint64{regs.Rip}); err != nil {
		return err
	}
	if err := t.contUnlessOver(sig); err != nil {
		return err
	}
	for {
		s, err := t.wait()
		if err != nil {
			return err
		}
		if !s.breakpoint() {
			if err := t.contUnlessOver(s.sig); err != nil {
				return err
			}
			continue
		}
		if _, err := t.noteHits(); err != nil {
			return err
		}
		was := regs.Rip
		if regs, err = getRegs(t.tid); err != nil {
			return t.lost(err)
		}
		if regs.Rip != was { // a watch, hit by the signal's handler
			if err := t.cont(0); err != nil {
				return err
			}
			regs.Rip = was
			continue
		}
		ours, err := t.requests(regs)
		if err != nil {
			return err
		}
		if now, err := t.current(regs); err != nil || ours || now == before {
			return err
		}
		// The scheduler passes here on the same thread.
		if err := t.contPast(); err != nil {
			return err
		}
	}
}

// contUnlessOver delivers sig, but answers errRelease to a SIGURG if the thread
// is to be let go of.
func (t *Thread) contUnlessOver(sig unix.Signal) error {
	if sig == unix.SIGURG && (t.peek().release || !t.slot.Running()) {
		return errRelease
	}
	return t.cont(sig)
}

// requests says whether a thread that stands at a breakpoint runs the request's
// goroutine. It may run the scheduler meanwhile, on its own stack; another
// goroutine it can only run if the request's has left it.
func (t *Thread) requests(regs Regs) (bool, error) {
	g, err := t.current(regs)
	if err != nil || t.g == 0 || g == t.g {
		return err == nil, err
	}
	m, err := t.proc.Mem.Uint64(g + t.proc.Offsets.GM)
	if err != nil {
		return false, err
	}
	locked, err := t.proc.Mem.Uint64(m + t.proc.Offsets.MLockedG)
	if err != nil {
		return false, err
	}
	if locked != t.g {
		return false, ErrUnlocked
	}
	return false, nil
}

// current reads which goroutine a stopped thread runs: its runtime.g.
func (t *Thread) current(regs Regs) (uint64, error) {
	return t.proc.Mem.Uint64(regs.Fs_base + t.proc.GOffset)
}
