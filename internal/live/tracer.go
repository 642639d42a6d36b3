//go:build linux && amd64

package live

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

var (
	// errRelease ends the tracing loop on request.
	errRelease = errors.New("released")
	// errLate: the request has gone on before its thread was seized.
	errLate = errors.New("the request has gone on")
)

// ErrUnlocked means that the request's goroutine has left its thread: the
// handler undid a lock that is not its own.
var ErrUnlocked = errors.New("the handler called runtime.UnlockOSThread more often than LockOSThread, so its goroutine has left the thread that was traced")

// trace is the tracing goroutine. It never unlocks its operating system thread,
// which therefore ends with it.
func (t *Thread) trace() {
	runtime.LockOSThread()
	defer close(t.events)
	t.tracer.Store(int32(unix.Gettid()))
	defer t.tracer.Store(0)
	defer t.noteResume()
	err := t.seize()
	if err == nil {
		err = t.follow()
	}
	if errors.Is(err, ErrGone) {
		t.leaveExec() // first: a new program may be waiting to be left alone
	}
	t.bps.clear()
	t.dropWatches()
	t.probes.end()
	switch {
	case errors.Is(err, errRelease):
		err = t.detach()
	case errors.Is(err, errLate):
		err = nil // as for one that goes on a moment later
	case errors.Is(err, ErrGone):
	default:
		err = errors.Join(err, t.bail())
	}
	t.report(Event{Gone: &Gone{Err: err}})
}

// seize attaches without stopping (PTRACE_SEIZE, ptrace(2)); no options: not
// PTRACE_O_EXITKILL, since the service must survive us. perf breakpoints can be
// set on a running thread, so it first stops at the first breakpoint.
func (t *Thread) seize() error {
	// First, since it takes milliseconds: what lies between a breakpoint and the
	// answer must be short. Should we be stopped there the service gives up
	// waiting, and the thread goes on with our breakpoints to other requests.
	t.probes.run(wanted{t.plan.Probes, t.plan.Returns})
	if !t.slot.Running() {
		return errLate // the thread may run another one by now
	}
	if err := ptrace(unix.PTRACE_SEIZE, t.tid, 0); err != nil {
		return fmt.Errorf("PTRACE_SEIZE thread %d: %w", t.tid, err)
	}
	t.armWatches()
	t.arm(t.plan.Stops)
	if err := t.slot.Accept(); err != nil {
		return err
	}
	// The service waits for the answer in a futex: wake it.
	if err := unix.Tgkill(t.proc.PID, t.tid, unix.SIGURG); err != nil {
		return t.lost(fmt.Errorf("wake thread %d: %w", t.tid, err))
	}
	return nil
}

// arm sets as many of addrs as the hardware holds and notes the others.
func (t *Thread) arm(addrs []uint64) {
	var left []uint64
	if room := HardwareSlots - len(t.watches); len(addrs) > room {
		addrs, left = addrs[:room], addrs[room:]
	}
	if t.awaitsBirths() {
		if len(addrs)+len(t.watches) < HardwareSlots {
			addrs = append(slices.Clip(addrs), t.proc.Births.NewProc)
		} else {
			t.noteUntouched(NoHardware)
		}
	}
	// The kernel refuses when somebody else uses debug registers, or when we
	// are out of descriptors.
	refused, why := t.bps.set(addrs)
	for _, a := range refused {
		if !t.unarmed[a] && slices.Contains(t.plan.Stops, a) {
			t.report(Event{Passed: &Passed{Cause: CauseStop, Addr: a, G: t.g, Why: why.Error()}})
		}
	}
	for _, a := range append(refused, left...) {
		if !slices.Contains(t.plan.Stops, a) || within(t.plan.Within, a) {
			continue // of the step's own, or watched by single-stepping, but for recursion
		}
		if t.unarmed == nil {
			t.unarmed = make(map[uint64]bool)
		}
		t.unarmed[a] = true
	}
}

// follow runs, freezes and thaws the thread until it is to be let go of, with
// the thread in a ptrace-stop if it returns errRelease.
func (t *Thread) follow() error {
	running := true // until the first wait the thread runs
	for {
		cause, addr, err := t.advance(running)
		if err != nil {
			return err
		}
		running, t.last = false, cause
		if cause == CauseStop {
			stop, err := t.detour(addr)
			if err != nil {
				return err
			}
			if !stop {
				continue
			}
		}
		end, err := t.settle(cause, addr)
		if err != nil {
			return err
		}
		cause, addr, t.last = end.cause, end.addr, end.cause
		hits := t.hits
		t.hits = nil
		if end.state == nil {
			t.late = nil
			if cause == CauseWatch {
				addr = hits[len(hits)-1].Watch.Addr
			}
			t.report(Event{Passed: &Passed{Cause: cause, Addr: addr, G: t.g, Why: end.why}})
			continue
		}
		t.report(Event{Frozen: &Frozen{
			Cause: cause, Addr: addr, State: t.shown(*end.state), Strayed: end.strayed, Returned: t.returning,
			Unarmed: slices.Collect(maps.Keys(t.unarmed)), Hits: hits,
		}})
		t.unarmed = nil
		before := t.plan
		release, err := t.hold()
		if err != nil {
			return err
		}
		if err := t.thaw(end.state); err != nil {
			return err
		}
		if release {
			return errRelease
		}
		if err := t.noteBase(before); err != nil {
			return err
		}
	}
}

// detach lets go of a tracee that is in a ptrace-stop. The service is told
// first: it waits in a futex that looks at the word again when it is resumed.
func (t *Thread) detach() error {
	if err := t.slot.Released(); err != nil {
		return err
	}
	t.sendAgain(unix.SIGURG) // the stop may be one for it
	if err := ptrace(unix.PTRACE_DETACH, t.tid, 0); err != nil {
		return fmt.Errorf("PTRACE_DETACH: %w", err)
	}
	return nil
}

// bail lets go of a tracee in whatever state an unexpected error left it, so that
// no signal of ours is left under way: the kernel would deliver it when we end.
// If the thread is inside the freeze protocol the service's landing pad takes it
// home.
func (t *Thread) bail() error {
	err := errors.Join(t.slot.SetHeld(false), t.slot.Released())
	t.sendAgain(unix.SIGURG) // as in detach
	if ptrace(unix.PTRACE_DETACH, t.tid, 0) == nil {
		return err
	}
	// It runs (or was never seized: then this fails, too).
	if ptrace(unix.PTRACE_INTERRUPT, t.tid, 0) != nil {
		return err
	}
	if _, _, gone, werr := waitStop(t.tid); gone || werr != nil {
		return errors.Join(err, werr)
	}
	return errors.Join(err, t.lost(ptrace(unix.PTRACE_DETACH, t.tid, 0)))
}

// leaveExec lets go of a tracee that has replaced its program by execve(2): it
// took over the id of its process, under which it is traced on. It would be let
// go of when this operating system thread ends, which on a busy machine has taken
// more than a second. A failure means that there was no exec, or that the main
// thread is traced by another of our threads or by nobody.
func (t *Thread) leaveExec() {
	leader := t.proc.PID
	if leader == t.tid || ptrace(unix.PTRACE_INTERRUPT, leader, 0) != nil {
		return
	}
	sig, event, gone, err := waitStop(leader)
	if gone || err != nil {
		return
	}
	if event == unix.PTRACE_EVENT_STOP {
		sig = 0 // our own interrupt
	}
	_ = ptrace(unix.PTRACE_DETACH, leader, uintptr(sig))
}

// stop is a ptrace-stop of the tracee.
type stop struct {
	sig  unix.Signal
	info siginfo
}

func (s stop) breakpoint() bool { return s.sig == unix.SIGTRAP && s.info.code == trapPerf }

// stepped: TRAP_TRACE, or TRAP_BRKPT behind a system call instruction
// (arch/x86 user_single_step_report).
func (s stop) stepped() bool {
	return s.sig == unix.SIGTRAP && (s.info.code == trapTrace || s.info.code == trapBrkpt)
}

// steppedProbe: the kernel's own signal behind an instruction that was stepped and
// has a uprobe after all, another request's or one that is just being removed. It
// must not reach the service. See stepProbe.
func (s stop) steppedProbe() bool { return s.sig == unix.SIGTRAP && s.info.code == siUser }

func (s stop) int3() bool { return s.sig == unix.SIGTRAP && s.info.code == siKernel }

// fault says whether the stop is for a signal raised by the instruction itself,
// which therefore comes back if it is not delivered.
func (s stop) fault() bool {
	switch s.sig {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL:
		return s.info.code > 0
	}
	return false
}

// wait waits for the next signal-delivery-stop. Group stops (job control) are
// left to take effect.
func (t *Thread) wait() (stop, error) {
	for {
		sig, event, gone, err := waitStop(t.tid)
		if err != nil {
			return stop{}, fmt.Errorf("%w: waitid: %w", ErrGone, err)
		}
		if gone {
			return stop{}, ErrGone
		}
		t.noteStop()
		if event == unix.PTRACE_EVENT_STOP {
			if err := t.groupStop(sig); err != nil {
				return stop{}, err
			}
			continue
		}
		si, err := getSiginfo(t.tid)
		if err != nil {
			return stop{}, t.lost(err)
		}
		return stop{sig: sig, info: si}, nil
	}
}

// groupStop answers a PTRACE_EVENT_STOP. For a stopping signal PTRACE_LISTEN
// keeps the thread stopped with its process and reports the SIGCONT; SIGTRAP
// means that the process was continued: then the thread goes on as it was last
// resumed, or a step would become a run.
func (t *Thread) groupStop(sig unix.Signal) error {
	t.noteResume()
	if sig == unix.SIGTRAP {
		return t.lost(ptrace(t.resumed, t.tid, 0))
	}
	t.listening.Store(true)
	return t.lost(ptrace(unix.PTRACE_LISTEN, t.tid, 0))
}

// cont resumes the tracee, delivering sig unless it is 0.
func (t *Thread) cont(sig unix.Signal) error {
	t.resumed = unix.PTRACE_CONT
	t.noteResume()
	return t.lost(ptrace(unix.PTRACE_CONT, t.tid, uintptr(sig)))
}

// lost turns ESRCH, "the tracee is not there or not stopped", which for a
// tracee that we know to be stopped means that it was killed, into ErrGone.
func (t *Thread) lost(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return err
}
