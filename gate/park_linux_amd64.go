package gate

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// heldSlice is the least that one futex wait of a frozen request is bounded by, in
// ns. The agent ends it by clearing the word and sending the thread a SIGURG.
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
// It goes on by itself when the agent is dead: it has given no sign of life for
// a while, and the thread has no tracer. A stopped agent still is the tracer,
// and would have to take the next INT3 of the protocol; without one the landing
// pad does.
//
//go:noinline
func park() {
	tid := int32(syscall.Gettid())
	for {
		s := heldSlot(tid)
		if s == nil {
			return
		}
		futexWait(&s.held, 1, untilSilent(monotonic()-atomic.LoadInt64(&theBoard.beat)))
		if monotonic()-atomic.LoadInt64(&theBoard.beat) > silence && !traced() {
			atomic.StoreUint32(&s.held, 0)
			return
		}
	}
}

// silence is how long an agent gives no sign of life, in ns, before a frozen
// request looks whether it has died.
const silence = 1_000_000_000

// untilSilent is how long to wait, in ns, until an agent whose last sign of life is
// age old has been silent for too long. Each wait that ends without need costs the
// others: the thread takes a P to find out, and the system call that it begins next
// keeps that until sysmon takes it away, in its second look, which are 10 ms apart
// when nothing else happens (runtime/proc.go, sysmon and retake). Ten a second were
// some percents of the throughput of a service with two processors.
func untilSilent(age int64) int64 {
	return min(max(silence-age, heldSlice), silence)
}

var (
	statusPath = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 't', 'h', 'r', 'e', 'a', 'd', '-', 's', 'e', 'l', 'f', '/', 's', 't', 'a', 't', 'u', 's', 0}
	untraced   = [...]byte{'T', 'r', 'a', 'c', 'e', 'r', 'P', 'i', 'd', ':', '\t', '0', '\n'}
)

// traced reports whether the calling thread has a tracer, see proc_pid_status(5),
// without allocating. If that cannot be known, it has one.
func traced() bool {
	const cwd = ^uintptr(99) // AT_FDCWD, -100
	fd, _, errno := syscall.Syscall6(syscall.SYS_OPENAT, cwd, uintptr(unsafe.Pointer(&statusPath)), syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return true
	}
	var buf [4096]byte
	n, _, errno := syscall.Syscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&buf)), uintptr(len(buf)))
	syscall.Syscall(syscall.SYS_CLOSE, fd, 0, 0)
	if errno != 0 {
		return true
	}
	for i := 0; i+len(untraced) <= int(n); i++ {
		if [len(untraced)]byte(buf[i:i+len(untraced)]) == untraced {
			return false
		}
	}
	return true
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
