package gate

import (
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The landing pad: what the service does with a SIGTRAP that was on its way
// when the agent died. A single-step, a hardware breakpoint or an INT3 of the
// debug-call protocol makes the kernel signal the thread; the agent takes that
// signal as its tracer, but if it is killed at that moment the signal reaches
// the service, and the Go runtime would throw. pad, in assembly, lets such a
// thread go on instead, and restores what only the agent knew from the journal.
// Every other SIGTRAP reaches the runtime as it would without us.

// padEntry returns the address of pad, which is no Go function.
func padEntry() uintptr

// runtimeTrap is the runtime's own handler for SIGTRAP, where pad jumps with
// what is not ours. Set before pad is installed and never cleared: a thread may
// be in pad while it is being removed.
var runtimeTrap uintptr

// perfMark is what an agent has the kernel put into the signals of its breakpoints:
// perf_event_attr.sig_data, which comes as si_perf_data. Agents have it in
// internal/live.
const perfMark = 0x6272_6574_6f6d_6572

// sigaction is the kernel's struct sigaction on amd64.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// pads counts the offers that need the pad.
var pads struct {
	mu    sync.Mutex
	on    bool // pad is installed
	users int
	old   sigaction // the action to put back
}

// usePad makes sure that pad is installed, until the matching unusePad. It
// reports false if it cannot be: then nothing may be traced.
func usePad() bool {
	pads.mu.Lock()
	defer pads.mu.Unlock()
	if !pads.on {
		if !installPad() {
			return false
		}
		pads.on = true
	}
	pads.users++
	return true
}

func unusePad() {
	pads.mu.Lock()
	defer pads.mu.Unlock()
	pads.users--
}

// removePad ends what an agent began: once no thread needs the pad, it puts the
// runtime's action back, and says so on the board, so that the requests that
// follow cost nothing.
func removePad() {
	pads.mu.Lock()
	defer pads.mu.Unlock()
	if pads.users > 0 {
		return
	}
	defer atomic.CompareAndSwapUint32(&theBoard.armed, armedEnding, armedNo)
	if !pads.on {
		return
	}
	var now sigaction
	if !rtSigaction(nil, &now) {
		return
	}
	if now.handler == padEntry() { // else somebody replaced it, and it is not ours to undo
		rtSigaction(&pads.old, nil)
	}
	pads.on = false
}

// installPad replaces the handler in the action that is in force, which is the
// runtime's: its flags, mask and return trampoline stay, so that pad may jump
// to it.
func installPad() bool {
	if !rtSigaction(nil, &pads.old) {
		return false
	}
	const sigDefault, sigIgnore = 0, 1
	if pads.old.handler == sigDefault || pads.old.handler == sigIgnore {
		return false // no handler to hand on to
	}
	if pads.old.handler != padEntry() {
		atomic.StoreUintptr(&runtimeTrap, pads.old.handler)
	}
	act := pads.old
	act.handler = padEntry()
	return rtSigaction(&act, nil)
}

// rtSigaction is rt_sigaction(2) for SIGTRAP.
func rtSigaction(act, old *sigaction) bool {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGTRAP),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(uint64(0)), 0, 0)
	return errno == 0
}
