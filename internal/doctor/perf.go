//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unsafe"

	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// perfmon says whether we hold what perfmon_capable() in the kernel asks for.
func (s *subject) perfmon() (bool, error) {
	perfmon, err1 := s.capable(capPerfmon)
	admin, err2 := s.capable(capSysAdmin)
	return perfmon || admin, errors.Join(err1, err2)
}

func checkParanoid(s *subject) Result {
	level, err := readNumber(filepath.Join(s.proc, "sys/kernel/perf_event_paranoid"))
	if errors.Is(err, fs.ErrNotExist) {
		// perf_event_open(2): this file is how to tell.
		return fail("this kernel has no perf events", "use a kernel with CONFIG_PERF_EVENTS, as every distribution's is")
	}
	if err != nil {
		return unknown(err)
	}
	perfmon, err := s.perfmon()
	if err != nil {
		return unknown(err)
	}
	return judgeParanoid(level, perfmon)
}

// judgeParanoid: up to 2, everybody may have events that leave out the kernel,
// as ours do (perf_event_open(2)). Debian and Ubuntu added 3 and 4: nobody
// without the capability.
func judgeParanoid(level int, perfmon bool) Result {
	what := fmt.Sprintf("perf_event_paranoid is %d", level)
	switch {
	case level <= 2:
		return pass("%s: hardware breakpoints are for everybody", what)
	case perfmon:
		return pass("%s; our capabilities make up for it", what)
	}
	return fail(what+": hardware breakpoints need CAP_PERFMON", asRoot+", or set kernel.perf_event_paranoid to 2")
}

func checkCapPerfmon(s *subject) Result {
	perfmon, err := s.perfmon()
	if err != nil {
		return unknown(err)
	}
	if perfmon {
		return pass("CAP_PERFMON or CAP_SYS_ADMIN is effective")
	}
	if live.CheckBreakpoints() == nil {
		return pass("neither CAP_PERFMON nor CAP_SYS_ADMIN is effective, and hardware breakpoints work without")
	}
	return fail("neither CAP_PERFMON nor CAP_SYS_ADMIN is effective, and hardware breakpoints do not work without", asRoot)
}

// checkBreakpoint sets one on a thread of ours, of the very kind that the agent
// uses.
func checkBreakpoint(*subject) Result {
	var err error
	onThread(func() { err = live.CheckBreakpoints() })
	return judgeBreakpoint(err)
}

func judgeBreakpoint(err error) Result {
	if err == nil {
		return pass("one was set on a thread of ours and removed")
	}
	advice := "if this looks like a defect of remotedbg, report it with this line"
	switch errnoOf(err) {
	case unix.EINVAL, unix.E2BIG: // the flags, or the size, are news to the kernel
		advice = fmt.Sprintf("use a host with Linux %d.%d or newer", kernelMajor, kernelMinor)
	case unix.ENOSPC:
		advice = "another debugger or perf uses the debug registers of this machine: end it first"
	case unix.EPERM, unix.EACCES:
		advice = asRoot + ", or set kernel.perf_event_paranoid to 2\nin a container, its seccomp profile must allow perf_event_open"
	case unix.ENOSYS:
		advice = "use a kernel with CONFIG_PERF_EVENTS; in a sandbox such as gVisor, run on the host"
	case unix.ENOENT, unix.ENODEV, unix.EOPNOTSUPP:
		advice = "this machine offers no debug registers: in a virtual machine, turn them on in its configuration"
	case unix.EMFILE, unix.ENFILE:
		advice = "raise the limit of open files: ulimit -n"
	}
	return fail(err.Error(), advice)
}

// checkSlotsFree counts the breakpoints that a thread can have at once. The
// kernel reserves debug registers of all CPUs for a thread's breakpoints
// (kernel/events/hw_breakpoint.c, fetch_bp_busy_slots): what others took from
// a CPU is missing here, too.
func checkSlotsFree(*subject) Result {
	free, err := countSlots()
	return judgeSlots(free, err)
}

func judgeSlots(free int, err error) Result {
	switch {
	case free >= live.HardwareSlots:
		return pass("%d of %d are free", free, live.HardwareSlots)
	case err != nil && errnoOf(err) != unix.ENOSPC:
		return unknown(fmt.Errorf("%d could be set: %w", free, err))
	case free == 0:
		return fail("none is free", "another debugger or perf uses the debug registers of this machine: end it first")
	}
	return warn(fmt.Sprintf("%d of %d are free", free, live.HardwareSlots),
		"fewer breakpoints can be armed at a time: end the debugger or perf that uses debug registers (perf record -e mem:...)")
}

// countSlots opens, on a thread of ours, as many disabled breakpoints as the
// kernel gives, at addresses that nothing executes, and closes them again. The
// error is why there was no further one.
func countSlots() (free int, err error) {
	onThread(func() {
		const most = 2 * live.HardwareSlots // a kernel that gave that many would not be one we know
		for free < most {
			attr := unix.PerfEventAttr{
				Type:    unix.PERF_TYPE_BREAKPOINT,
				Size:    uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
				Bits:    unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
				Bp_type: 4,                       // HW_BREAKPOINT_X, include/uapi/linux/hw_breakpoint.h
				Ext1:    1<<40 + uint64(free)<<4, // bp_addr
				Ext2:    8,                       // bp_len: sizeof(long) for HW_BREAKPOINT_X
			}
			var fd int
			if fd, err = unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC); err != nil {
				return
			}
			defer unix.Close(fd)
			free++
		}
	})
	return free, err
}
