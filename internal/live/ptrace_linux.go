//go:build linux

package live

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waitStatus waits until the tracee tid changes state. __WALL: the tracee is a
// thread of another process, no child of ours.
func waitStatus(tid int) (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(tid, &ws, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		return ws, err
	}
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
