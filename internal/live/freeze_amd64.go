//go:build linux

package live

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// stackNeed is the free stack that the debug call protocol asks for
	// (runtime/asm_amd64.s, debugCallV2, step 1).
	stackNeed = 256
	// freezeSteps bounds the search for a safe point. Unsafe points are
	// prologues, write barriers and the like: a few instructions.
	freezeSteps = 2000
)

// Values of R12 at the INT3s of the debug call protocol
// (runtime/asm_amd64.s, debugCallV2).
const (
	callReady    = 0  // the frame is open: make the call
	callReturned = 1  // the function returned
	callRefused  = 8  // the reason is on the stack
	callRestore  = 16 // restore all registers but RIP and RSP
)

// freeze parks the goroutine of a tracee in a ptrace-stop. Afterwards the
// thread runs, asleep in the gate's wait function. Where the runtime refuses
// ("call not at safe point") the thread is single-stepped to a place where it
// does not; if there is none near, st is nil, why tells, and the tracee is in a
// ptrace-stop, ready to go on.
func (t *Thread) freeze() (st *State, why string, err error) {
	t.bps.clear() // the runtime's own code must not stop while it parks us
	for range freezeSteps {
		// Not stepping out of such a place: through the runtime that would be
		// slow under locks that the whole service may wait for, and assembly
		// can be long.
		regs, err := getRegs(t.tid)
		if err != nil {
			return nil, "", t.lost(err)
		}
		inlined := t.proc.NoFreeze(regs.Rip)
		if inlined {
			why = "the Go runtime cannot park it there: it is in the runtime or in assembly"
			if t.proc.NoFreeze(t.proc.Func(regs.Rip)[0]) {
				return nil, why, nil // no: it is not only some instructions
			}
		} else {
			st, why, err = t.inject(regs)
			if st != nil {
				t.dropWatches() // what this thread does until it is thawed is not the request's
				t.probes.pause()
			}
			if err != nil || st != nil {
				return st, why, err
			}
		}
		at, err := t.stepFrom(regs)
		if err != nil {
			return nil, "", err
		}
		if at.fault {
			return nil, "the instruction raises a fault", nil
		}
		if at.ret != 0 && (inlined || t.proc.NoFreeze(at.regs.Rip)) {
			// The prologue's call to grow the stack, or an allocation: let
			// it come back.
			t.passHits = true // they are noted
			_, _, err := t.runOver(at, func(stepped) []uint64 { return nil })
			t.passHits = false
			if err != nil {
				return nil, "", err
			}
		}
		if t.peek().release || !t.slot.Running() {
			return nil, "", errRelease
		}
	}
	return nil, why, nil
}

// inject tries the call of the wait function once, at the current instruction.
//
// State before: ptrace-stop in user code. State after: as freeze, or unchanged
// if st is nil.
func (t *Thread) inject(regs Regs) (st *State, why string, err error) {
	st, at, why, err := t.openCall(regs)
	if err != nil || st == nil {
		return nil, why, err
	}
	return st, "", t.enterPark(at)
}

// openCall leads the thread from regs to where the protocol has it make a call,
// with registers at; unchanged if st is nil. Either way it is in a ptrace-stop.
func (t *Thread) openCall(regs Regs) (st *State, at Regs, why string, err error) {
	g, err := t.goroutineOn(regs)
	if err != nil {
		return nil, at, err.Error(), nil
	}
	if why, err := t.parkable(g); why != "" || err != nil {
		return nil, at, why, err
	}
	regs.Eflags &^= flagRF | flagTF // RF: set by the kernel at a breakpoint; what it says is over
	xs, err := getXState(t.tid)
	if err != nil {
		return nil, at, "", t.lost(err)
	}
	if err := t.slot.Journal(regs.Rip, regs.Eflags, xs); err != nil {
		return nil, at, err.Error(), nil
	}
	// Protocol steps 2 to 5: push PC; frame size 0 at SP-16 after the push.
	in := regs
	in.Rsp -= 8
	if err := errors.Join(t.proc.Mem.PutUint64(in.Rsp-16, 0), t.proc.Mem.PutUint64(in.Rsp, regs.Rip)); err != nil {
		return nil, at, "", err
	}
	jump(&in, t.proc.DebugCall[0])
	in.Eflags &^= flagTF | flagDF
	if err := setRegs(t.tid, in); err != nil {
		return nil, at, "", t.lost(err)
	}
	if at, err = t.callStop(); err != nil {
		return nil, at, "", err
	}
	st = &State{Regs: regs, XState: xs, G: g}
	switch at.R12 {
	case callReady:
		return st, at, "", nil
	case callRefused:
		why = t.refusal(at)
		if at, err = t.callStop(); err != nil {
			return nil, at, "", err
		}
		return nil, at, why, t.home(st, at)
	}
	return nil, at, "", fmt.Errorf("debug call protocol: R12 is %d at the first stop", at.R12)
}

// goroutineOn finds the goroutine that regs run, and refuses where that is not
// the request's, or the stack pointer is not on its stack: the thread is in the
// scheduler, in a signal handler, in the vDSO or in C. There nothing may even be
// written below the stack pointer: C has live data there (the red zone of the
// System V ABI).
func (t *Thread) goroutineOn(regs Regs) (uint64, error) {
	g, err := t.current(regs)
	if err != nil {
		return 0, err
	}
	if t.g == 0 {
		m, err := t.proc.Mem.Uint64(g + t.proc.Offsets.GM)
		if err != nil {
			return 0, err
		}
		curg, err := t.proc.Mem.Uint64(m + t.proc.Offsets.MCurg)
		if err != nil {
			return 0, err
		}
		t.g = curg // the gate has locked the thread to this goroutine
	}
	if g != t.g {
		return 0, errors.New("the thread runs something else than the request's goroutine")
	}
	lo, hi, err := t.stackOf(g)
	if err != nil {
		return 0, err
	}
	if regs.Rsp < lo+stackNeed || regs.Rsp > hi {
		return 0, errors.New("not on the goroutine's stack")
	}
	return g, nil
}

// Values of the runtime's states (runtime/runtime2.go).
const (
	gRunning = 2
	pRunning = 1
)

// parkable asks what the runtime asks before it preempts a goroutine
// (runtime/preempt.go, canPreemptM) and debugCallCheck does not, since a
// debugger that stops the world does no harm there: that the goroutine runs, on
// a P, and that nobody has pinned it. In a system call the thread has no P to
// start the injected call with; and code between procPin and procUnpin, as in
// sync.Pool, relies on staying on its P.
func (t *Thread) parkable(g uint64) (why string, err error) {
	rt := &t.proc.Offsets
	mem := t.proc.Mem
	status, err := mem.Uint32(g + rt.GStatus)
	if err != nil {
		return "", err
	}
	if status != gRunning {
		return "the goroutine is in a system call or about to stop", nil
	}
	m, err := mem.Uint64(g + rt.GM)
	if err != nil {
		return "", err
	}
	locks, err1 := mem.Uint32(m + rt.MLocks)
	mallocing, err2 := mem.Uint32(m + rt.MMallocing)
	preemptoff, err3 := mem.Uint64(m + rt.MPreemptOff + 8) // the string's length
	p, err4 := mem.Uint64(m + rt.MP)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return "", err
	}
	if p == 0 {
		return "the thread has no P", nil
	}
	pStatus, err := mem.Uint32(p + rt.PStatus)
	if err != nil {
		return "", err
	}
	if locks != 0 || mallocing != 0 || preemptoff != 0 || pStatus != pRunning {
		return "the goroutine is pinned to its P", nil
	}
	return "", nil
}

// stackOf reads g.stack, the first field of runtime.g (runtime/runtime2.go:
// its offset is known to the linker, so it does not move).
func (t *Thread) stackOf(g uint64) (lo, hi uint64, err error) {
	if lo, err = t.proc.Mem.Uint64(g); err != nil {
		return 0, 0, err
	}
	hi, err = t.proc.Mem.Uint64(g + 8)
	return lo, hi, err
}

// enterPark makes the call: the thread stands behind the INT3 of the call
// frame. Push the PC, jump to the wait function, run.
func (t *Thread) enterPark(at Regs) error {
	t.calls = calling{frame: at.Rip}
	if err := t.slot.SetHeld(true); err != nil {
		return err
	}
	at.Rsp -= 8
	if err := t.proc.Mem.PutUint64(at.Rsp, at.Rip); err != nil {
		return err
	}
	jump(&at, t.proc.Park)
	if err := setRegs(t.tid, at); err != nil {
		return t.lost(err)
	}
	return t.cont(0)
}

// hold waits, with the thread asleep in the wait function, until it is to go
// on, and clears the held word then.
func (t *Thread) hold() (release bool, err error) {
	for {
		m := t.peek()
		if m.release || m.resume != nil {
			t.take(func(m *mail) {
				if m.resume != nil {
					t.plan = *m.resume
				}
				m.resume = nil
			})
			if !m.release {
				t.probes.run(wanted{t.plan.Probes, t.plan.Returns}) // now, since the thread has no P to hold meanwhile
			}
			if err := t.slot.SetHeld(false); err != nil {
				return false, err
			}
			return m.release, unix.Tgkill(t.proc.PID, t.tid, unix.SIGURG)
		}
		if m.call != nil {
			t.take(func(m *mail) { m.call = nil })
			done, err := t.makeCall(*m.call)
			if err != nil {
				return false, err
			}
			if !errors.Is(done.Err, errRelease) {
				t.report(Event{Called: done})
			}
			continue
		}
		s, err := t.wait()
		if err != nil {
			return false, err
		}
		if err := t.cont(s.sig); err != nil {
			return false, err
		}
	}
}

// thaw follows the thread out of the wait function back to where it was frozen,
// and leaves it there in a ptrace-stop with its registers restored.
func (t *Thread) thaw(st *State) error {
	at, err := t.nextCallStop()
	if err == nil && t.calls.on {
		at, err = t.leaveCalls()
	}
	if err != nil {
		return err
	}
	if at.R12 != callReturned {
		return fmt.Errorf("debug call protocol: R12 is %d when the call should have returned", at.R12)
	}
	if at, err = t.callStop(); err != nil {
		return err
	}
	return t.home(st, at)
}

// home ends the protocol at its last stop, at: it restores all registers but RIP
// and RSP, lets debugCallV2 pop the pointers, which the runtime may have
// changed, and return: 17 instructions, of which an ADDQ that moves SP changes
// the flags (the assembler makes it; runtime/asm_amd64.s asks for the contrary),
// so these are set at the very end.
//
// All this can be taken over by the service's landing pad if we are killed.
// Hence RIP is not simply set to where the thread came from, by which the pad
// would not know the signal of this stop; and hence the thread is stepped with
// the trap flag, which stays, and not with PTRACE_SINGLESTEP, which ends with
// us.
func (t *Thread) home(st *State, at Regs) error {
	if at.R12 != callRestore {
		return fmt.Errorf("debug call protocol: R12 is %d instead of %d", at.R12, callRestore)
	}
	if err := setXState(t.tid, st.XState); err != nil {
		return t.lost(err)
	}
	if err := t.slot.SetHoming(true); err != nil {
		return err
	}
	r := st.Regs
	r.Rip, r.Rsp, r.Orig_rax = at.Rip, at.Rsp, at.Orig_rax
	r.Eflags |= flagTF
	if err := setRegs(t.tid, r); err != nil {
		return t.lost(err)
	}
	var sig unix.Signal
	for range homeStops {
		if err := t.cont(sig); err != nil {
			return err
		}
		s, err := t.wait()
		if err != nil {
			return err
		}
		if sig = s.sig; !s.stepped() {
			continue // deliver it: its return restores the trap flag
		}
		sig = 0
		regs, err := getRegs(t.tid)
		if err != nil {
			return t.lost(err)
		}
		if regs.Rip == st.Regs.Rip {
			regs.Eflags = st.Regs.Eflags
			if err := setRegs(t.tid, regs); err != nil {
				return t.lost(err)
			}
			return t.slot.SetHoming(false)
		}
	}
	return errors.New("debug call protocol: the call did not return to where it was made")
}

// homeStops bounds the stops on the way home: 17 steps and some signals.
const homeStops = 1000

// callStop continues to the protocol's next INT3.
func (t *Thread) callStop() (Regs, error) {
	if err := t.cont(0); err != nil {
		return Regs{}, err
	}
	return t.nextCallStop()
}

// nextCallStop waits for the protocol's next INT3, delivering every signal on
// the way: one of them may be the runtime's preemption that a stop of the world
// waits for.
func (t *Thread) nextCallStop() (Regs, error) {
	for {
		s, err := t.wait()
		if err != nil {
			return Regs{}, err
		}
		if s.int3() {
			regs, err := getRegs(t.tid)
			if err != nil {
				return regs, t.lost(err)
			}
			if t.inProtocol(regs.Rip - 1) {
				return regs, nil
			}
		}
		if s.breakpoint() {
			s.sig = 0 // a hit that was under way when the breakpoint was removed
		}
		if err := t.cont(s.sig); err != nil {
			return Regs{}, err
		}
	}
}

func (t *Thread) inProtocol(pc uint64) bool {
	return within(t.proc.DebugCall, pc) || within(t.proc.CallFrame, pc) || t.calls.on && pc == t.proc.Trap
}

func within(r [2]uint64, pc uint64) bool { return r[0] <= pc && pc < r[1] }

// refusal reads the runtime's reason: a string at the top of the stack.
func (t *Thread) refusal(at Regs) string {
	const unknown = "the runtime refused"
	ptr, err := t.proc.Mem.Uint64(at.Rsp)
	if err != nil {
		return unknown
	}
	n, err := t.proc.Mem.Uint64(at.Rsp + 8)
	if err != nil || n > 256 {
		return unknown
	}
	buf := make([]byte, n)
	if _, err := t.proc.Mem.ReadMemory(buf, ptr); err != nil {
		return unknown
	}
	return string(buf)
}
