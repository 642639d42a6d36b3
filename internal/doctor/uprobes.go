//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// The oldest kernel with links of several uprobes (commit 89ae89f53d20, bpf: Add
// multi uprobe link).
const (
	uprobesMajor = 6
	uprobesMinor = 6
)

// bpfRights is what a refusal of uprobes is judged by.
type bpfRights struct {
	release  string // of the kernel
	missing  capSet // of what the kernel asks for
	nested   bool   // our user namespace is not the machine's
	filtered bool   // a seccomp filter applies to us
	lockdown string // what the kernel says of it, with the mode in brackets; "" if it cannot be told
}

// checkUprobes sets one in a program of ours, as the agent does when it starts. A
// warning at most: without them requests are debugged, with fewer breakpoints.
func checkUprobes(s *subject) Result {
	err := live.CheckProbes()
	if err == nil {
		return judgeUprobes(nil, bpfRights{})
	}
	rights, failed := s.bpfRights()
	if failed != nil {
		return unknown(errors.Join(err, failed))
	}
	return judgeUprobes(err, rights)
}

func (s *subject) bpfRights() (r bpfRights, err error) {
	self, err := s.self()
	if err != nil {
		return r, err
	}
	caps, err := self.caps("CapEff")
	if err != nil {
		return r, err
	}
	// bpf_capable() and perfmon_capable(), include/linux/capability.h.
	for _, bit := range []int{capBPF, capPerfmon} {
		if !caps.has(bit) && !caps.has(capSysAdmin) {
			r.missing |= 1 << bit
		}
	}
	r.filtered = self["Seccomp"] == seccompFilter
	// user_namespaces(7): the first one maps every id to itself.
	ids, err := os.ReadFile(filepath.Join(s.proc, "self/uid_map"))
	if err != nil {
		return r, err
	}
	r.nested = strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295"
	if text, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil { // securityfs need not be there
		r.lockdown = strings.TrimSpace(string(text))
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return r, err
	}
	r.release = unix.ByteSliceToString(u.Release[:])
	return r, nil
}

// withoutUprobes ends the text of every warning.
var withoutUprobes = fmt.Sprintf("; a request has %d breakpoints at a time", live.HardwareSlots)

// judgeUprobes says what keeps us from uprobes, the likeliest first. The setting
// kernel.unprivileged_bpf_disabled is none of it: it is about other programs than
// these, which always take the capabilities.
func judgeUprobes(err error, r bpfRights) Result {
	if err == nil {
		return pass("one was set in a program of ours and removed: a request can have %d more breakpoints", live.MaxProbes)
	}
	refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	major, minor, ok := parseRelease(r.release)
	switch {
	case ok && (major < uprobesMajor || major == uprobesMajor && minor < uprobesMinor):
		return warn(fmt.Sprintf("Linux %s cannot set several uprobes at once", r.release)+withoutUprobes,
			fmt.Sprintf("use a host with Linux %d.%d or newer", uprobesMajor, uprobesMinor))
	case r.missing != 0:
		return warn(fmt.Sprintf("uprobes need %s", r.missing)+withoutUprobes,
			"run as root (sudo), or in a container with --cap-add BPF,PERFMON")
	case refused && r.nested:
		// Both are asked of the first user namespace, ns_capable(&init_user_ns, ...).
		return warn("uprobes need CAP_BPF and CAP_PERFMON of the machine, not of a user namespace"+withoutUprobes,
			"run remotedbg on the host, or in a container that has no user namespace of its own (no rootless Docker or Podman, no userns-remap)")
	case refused && r.filtered:
		return warn("the kernel, or the seccomp filter that applies to us, refuses uprobes"+withoutUprobes,
			"in a container, its seccomp profile must allow bpf: Docker's does so where CAP_BPF was given (--cap-add BPF)")
	case refused:
		advice := "look for what forbids bpf(2): AppArmor, SELinux"
		if r.lockdown != "" && !strings.Contains(r.lockdown, "[none]") {
			advice += "\nthe kernel is locked down: " + r.lockdown + ", see kernel_lockdown(7)"
		}
		return warn(fmt.Sprintf("uprobes are refused: %v", err)+withoutUprobes, advice)
	case errors.Is(err, unix.ENOSYS):
		return warn("bpf(2) does not reach the kernel, or it was built without"+withoutUprobes,
			"use a kernel with CONFIG_BPF_SYSCALL and CONFIG_UPROBE_EVENTS, as every distribution's is; in a sandbox such as gVisor, run on the host")
	}
	return warn(fmt.Sprintf("uprobes do not work: %v", err)+withoutUprobes,
		"make sure that the kernel has CONFIG_BPF_EVENTS and CONFIG_UPROBE_EVENTS; if it does, report this line as a defect of remotedbg")
}
