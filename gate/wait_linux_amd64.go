package gate

import (
	"syscall"
	"unsafe"
)

const (
	clockMonotonic = 1 // CLOCK_MONOTONIC, include/uapi/linux/time.h
	futexWaitOp    = 0 // FUTEX_WAIT, include/uapi/linux/futex.h
)

// monotonic returns CLOCK_MONOTONIC in ns, the clock that the agent's lease is
// measured with. The standard library gives it only relative to a secret start,
// so this is the system call, past the vDSO; it is used for matching requests
// only. The call cannot fail: the clock exists and the address is good.
func monotonic() int64 {
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Sec*1e9 + ts.Nsec
}

// futexWait sleeps while *word is value, for at most ns. It also returns for no
// reason: the agent wakes the thread with a signal, and starting or ending a
// trace interrupts the call as well. Callers look again.
//
// It goes through Syscall6 so that the runtime hands the P on: the thread may
// be seized, stopped and resumed in here, and must not hold up anyone. The
// futex is not FUTEX_PRIVATE, so that another process could wake it, too.
func futexWait(word *uint32, value uint32, ns int64) {
	ts := syscall.NsecToTimespec(ns)
	syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWaitOp,
		uintptr(value), uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// wakeTracer sends the calling thread a SIGURG. If it is traced, that is a
// signal-delivery-stop, which the tracer's wait4 returns at once, where it
// would otherwise have to poll. If it is not, the runtime takes the signal for
// a preemption request that is no longer needed (runtime/signal_unix.go,
// doSigPreempt).
//
// Syscall and not RawSyscall, which syscall.Tgkill uses: the stop happens before
// the call returns, and must not happen while holding a P.
func wakeTracer(tid int) {
	syscall.Syscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(tid), uintptr(syscall.SIGURG))
}
