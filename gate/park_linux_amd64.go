package gate

import (
	"sync/atomic"
	"syscall"
)

// heldSlice bounds one futex wait of a frozen request, in ns. The agent ends it
// by clearing the word and sending the thread a SIGURG.
const heldSlice = 100_000_000

// park is where a frozen request waits. Nothing in the service calls it: at a
// stop the agent makes the request's thread call it with the runtime's
// debug-call protocol (runtime/asm_amd64.s, debugCallV2), which runs it on a
// goroutine of its own, locked to that thread, while the request's goroutine is
// parked. The agent knows it by its symbol; it takes and returns nothing.
//
// It allocates nothing and takes no lock: the request may have been stopped
// anywhere, holding any lock of the service. Waiting in a system call, it has
// no P, so the garbage collector and the scheduler do without it.
//
//go:noinline
func park() {
	tid := int32(syscall.Gettid())
	for {
		s := heldSlot(tid)
		if s == nil {
			return
		}
		futexWait(&s.held, 1, heldSlice)
	}
}

// heldSlot returns the slot of thread tid if the agent holds it, else nil.
func heldSlot(tid int32) *slot {
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		if atomic.LoadUint32(&s.held) == 1 && atomic.LoadInt32(&s.tid) == tid {
			return s
		}
	}
	return nil
}

// The linker drops functions that nothing refers to: this is the reference that
// keeps park in the binary.
func init() { keep(park) }

// keep does nothing with f, but the compiler, not inlining it, cannot know.
//
//go:noinline
func keep(f func()) {}
