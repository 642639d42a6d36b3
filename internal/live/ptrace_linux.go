//go:build linux

package live

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waitid's siginfo_t, include/uapi/asm-generic/siginfo.h, x86-64 layout.
type waitInfo struct {
	signo, errno, code int32
	_                  int32
	pid, uid           int32
	status             int32 // exit status, or the signal | event<<8 of a stop
	_                  [100]byte
}

// Values of waitInfo.code.
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// waitStop waits until the tracee tid stops or ends (gone). __WALL: the tracee
// is a thread of another process, no child of ours.
//
// WNOWAIT: a stop that was waited for counts as taken, and if we die then, its
// signal is lost. For an INT3 of the debug-call protocol that would mean that
// the thread goes on with registers that nobody restored. Left waitable, the
// signal is delivered to the service when its tracer dies (kernel/exit.c,
// wait_task_stopped; kernel/signal.c, ptrace_stop), and the landing pad takes
// care of it.
func waitStop(tid int) (sig unix.Signal, event int, gone bool, err error) {
	var info waitInfo
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_PID, uintptr(tid), uintptr(unsafe.Pointer(&info)),
			unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WALL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, 0, false, errno
		}
		break
	}
	switch info.code {
	case cldExited, cldKilled, cldDumped:
		_, err := unix.Wait4(tid, nil, unix.WALL, nil) // reap it
		return 0, 0, true, err
	}
	return unix.Signal(info.status & 0x7f), int(info.status) >> 8, false, nil
}

// siginfo is the part of siginfo_t (x86-64 layout, sigaction(2)) that is used.
type siginfo struct {
	signo, errno, code int32
	_                  int32
	addr               uint64 // si_addr of fault-like signals; si_pid and si_uid of sent ones
	_                  [104]byte
}

// si_code values, include/uapi/asm-generic/siginfo.h.
const (
	siUser    = 0
	siKernel  = 0x80
	trapBrkpt = 1
	trapTrace = 2
	trapPerf  = 6
)

func getSiginfo(tid int) (siginfo, error) {
	var si siginfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(tid), 0, uintptr(unsafe.Pointer(&si)), 0, 0)
	if errno != 0 {
		return si, fmt.Errorf("PTRACE_GETSIGINFO: %w", errno)
	}
	return si, nil
}

func ptrace(request int, tid int, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
