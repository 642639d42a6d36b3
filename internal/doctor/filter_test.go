//go:build linux && amd64

package doctor

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Seccomp filters, see seccomp(2). The offsets are of struct seccomp_data.
const (
	offNumber = 0
	offArgs   = 16 // eight bytes each, low word first
)

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func give(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// equal skips the next skip instructions unless the loaded word is k.
func equal(k uint32, skip uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: skip}
}

func allowing() []unix.SockFilter { return []unix.SockFilter{give(unix.SECCOMP_RET_ALLOW)} }

// refusing refuses system calls, as container profiles do.
func refusing(numbers ...uint32) []unix.SockFilter {
	code := []unix.SockFilter{load(offNumber)}
	for _, number := range numbers {
		code = append(code, equal(number, 1), give(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	return append(code, allowing()...)
}

// watching kills the process if it traces another, writes its memory, sends it
// a signal or sets a breakpoint in it. Only the ids that name nobody or itself
// may be given to those calls.
func watching() []unix.SockFilter {
	const nobody, minusOne = 0, 1<<32 - 1
	self := uint32(os.Getpid())
	var code []unix.SockFilter
	for _, c := range []struct{ number, arg, may, orMay uint32 }{
		{unix.SYS_PTRACE, 1, nobody, nobody},
		{unix.SYS_PROCESS_VM_WRITEV, 0, nobody, nobody},
		{unix.SYS_PERF_EVENT_OPEN, 1, nobody, minusOne}, // 0 is the calling thread
		{unix.SYS_KILL, 0, self, self},
		{unix.SYS_TGKILL, 0, self, minusOne},
		{unix.SYS_RT_SIGQUEUEINFO, 0, self, self},
		{unix.SYS_RT_TGSIGQUEUEINFO, 0, self, self},
	} {
		code = append(code,
			load(offNumber), equal(c.number, 6),
			load(offArgs+8*c.arg),
			equal(c.may, 1), give(unix.SECCOMP_RET_ALLOW),
			equal(c.orMay, 1), give(unix.SECCOMP_RET_ALLOW),
			give(unix.SECCOMP_RET_KILL_PROCESS))
	}
	return append(code, allowing()...)
}

// filter puts every thread of this process behind code. TSYNC takes
// no_new_privs over to the other threads, too (kernel/seccomp.c,
// seccomp_sync_threads).
func filter(code []unix.SockFilter) (err error) {
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	onThread(func() {
		if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return
		}
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
		if errno != 0 {
			err = fmt.Errorf("seccomp: %w", errno)
		}
	})
	return err
}
