//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// probe is a system call that the agent needs, made with an argument that the
// kernel refuses with a known error before it does anything. Another error
// comes from something in front of the kernel: a seccomp filter.
type probe struct {
	name string
	want unix.Errno
	call func() unix.Errno
}

// Each comment names where the kernel looks at the argument.
var probes = []probe{
	// kernel/ptrace.c: there is no task 0. No process is named.
	{"ptrace", unix.ESRCH, func() unix.Errno { return call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 0, 0, 0, 0, 0) }},
	// mm/process_vm_access.c, process_vm_rw: flags must be 0.
	{"process_vm_readv", unix.EINVAL, func() unix.Errno { return call(unix.SYS_PROCESS_VM_READV, 0, 0, 0, 0, 0, 1) }},
	{"process_vm_writev", unix.EINVAL, func() unix.Errno { return call(unix.SYS_PROCESS_VM_WRITEV, 0, 0, 0, 0, 0, 1) }},
	// kernel/events/core.c: unknown flags.
	{"perf_event_open", unix.EINVAL, func() unix.Errno { return call(unix.SYS_PERF_EVENT_OPEN, 0, 0, none, none, 1<<31, 0) }},
	// kernel/pid.c: unknown flags.
	{"pidfd_open", unix.EINVAL, func() unix.Errno { return call(unix.SYS_PIDFD_OPEN, 0, 1<<31, 0, 0, 0, 0) }},
	// kernel/signal.c, do_tkill: ids must be positive.
	{"tgkill", unix.EINVAL, func() unix.Errno { return call(unix.SYS_TGKILL, none, none, 0, 0, 0, 0) }},
}

const none = ^uintptr(0) // -1

func call(number, a, b, c, d, e, f uintptr) unix.Errno {
	_, _, errno := unix.Syscall6(number, a, b, c, d, e, f)
	return errno
}

func checkSyscalls(*subject) Result {
	var names, blocked []string
	for _, p := range probes {
		names = append(names, p.name)
		if got := p.call(); got != p.want {
			blocked = append(blocked, fmt.Sprintf("%s (%v)", p.name, got))
		}
	}
	if len(blocked) > 0 {
		return fail("system calls that do not reach the kernel: "+strings.Join(blocked, ", "),
			"a seccomp filter forbids them to us: run remotedbg on the host, or in a container with --security-opt seccomp=unconfined or a profile that allows them")
	}
	return pass("%s reach the kernel", strings.Join(names, ", "))
}

// Values of the Seccomp field, see proc_pid_status(5).
const (
	seccompOff    = "0"
	seccompStrict = "1"
	seccompFilter = "2"
)

func checkSeccompSelf(s *subject) Result {
	self, err := s.self()
	if err != nil {
		return unknown(err)
	}
	switch mode := self["Seccomp"]; mode {
	case seccompOff, "": // "": a kernel without seccomp
		return pass("no seccomp filter applies to us")
	default:
		return pass("a seccomp filter applies to us; the line system-calls tells what it forbids")
	}
}

// gateCalls are the system calls of the gate. All but clock_gettime, which the
// runtime has the vDSO for, are the Go runtime's or net/http's own, too.
const gateCalls = "clock_gettime, close, futex, getpid, gettid, openat, read, rt_sigaction, rt_sigreturn, tgkill"

func checkSeccompTarget(s *subject) Result {
	target, err := s.target()
	if err != nil {
		return unknown(err)
	}
	return judgeSeccompTarget(target)
}

func judgeSeccompTarget(target status) Result {
	switch mode := target["Seccomp"]; mode {
	case seccompOff, "":
		return pass("no seccomp filter applies to the service")
	case seccompFilter:
		return warn("a seccomp filter applies to the service; what it forbids cannot be read",
			"make sure that its profile allows "+gateCalls+": the default ones of Docker, containerd and Kubernetes do")
	case seccompStrict:
		return fail("the service is in strict seccomp mode, where no Go program runs", "name the process of the Go service itself")
	default:
		return warn(fmt.Sprintf("not checked: seccomp mode %q is unknown", mode), "make sure that its profile allows "+gateCalls)
	}
}

// onThread runs f on one operating system thread: what it opens for "the
// calling thread" stays on one.
func onThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
}

// errnoOf is the error number in err, 0 if there is none.
func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return 0
}
