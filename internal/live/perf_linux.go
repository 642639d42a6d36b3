//go:build linux

package live

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of perf_event_attr that x/sys/unix does not name, from
// include/uapi/linux/perf_event.h (bit numbers of the flag word).
const (
	perfRemoveOnExec = 1 << 36
	perfSigtrap      = 1 << 37

	hwBreakpointX = 4 // HW_BREAKPOINT_X, include/uapi/linux/hw_breakpoint.h

	// perfMark comes with the signals of our events (si_perf_data). The service's
	// landing pad knows them by it: gate/pad_linux_amd64.go.
	perfMark = 0x6272_6574_6f6d_6572 // "remotebr"
)

// HardwareSlots is how many debug registers hold breakpoint addresses on
// amd64 (DR0 to DR3).
const HardwareSlots = 4

// ErrBreakpoint means that the kernel refused a hardware breakpoint.
var ErrBreakpoint = errors.New("hardware breakpoint refused")

// openBreakpoint sets a hardware execution breakpoint at addr for the one
// thread tid and gives back its descriptor; closing it removes the breakpoint.
//
// sigtrap makes the kernel send a synchronous SIGTRAP to the thread itself
// (Linux 5.13, commit 97ba62b27867), and requires remove_on_exec. No inherit:
// threads that the tracee creates are not ours. Debug registers written with
// PTRACE_POKEUSER would do the same but outlive the agent: the service died at
// the next hit.
func openBreakpoint(tid int, addr uint64) (int, error) {
	attr := unix.PerfEventAttr{
		Type:    unix.PERF_TYPE_BREAKPOINT,
		Size:    uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample:  1, // every hit
		Bits:    unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv | perfRemoveOnExec | perfSigtrap,
		Bp_type: hwBreakpointX,
		Ext1:    addr, // bp_addr
		Ext2:    8,    // bp_len: sizeof(long) for HW_BREAKPOINT_X

		Sig_data: perfMark,
	}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("%w: perf_event_open: %w", ErrBreakpoint, err)
	}
	return fd, nil
}

// breakpoints is the set of hardware breakpoints of one thread.
type breakpoints struct {
	tid   int
	armed map[uint64]int // address -> perf descriptor
}

// set arms exactly addrs, of which it tries the first ones first; it returns
// those that the kernel refused (no debug register left) and why.
func (b *breakpoints) set(addrs []uint64) (refused []uint64, why error) {
	want := make(map[uint64]bool, len(addrs))
	for _, a := range addrs {
		want[a] = true
	}
	for a, fd := range b.armed {
		if !want[a] {
			_ = unix.Close(fd) // close(2) of a perf event cannot lose anything
			delete(b.armed, a)
		}
	}
	for _, a := range addrs {
		if _, ok := b.armed[a]; ok {
			continue
		}
		fd, err := openBreakpoint(b.tid, a)
		if err != nil {
			refused, why = append(refused, a), err
			continue
		}
		if b.armed == nil {
			b.armed = make(map[uint64]int, HardwareSlots)
		}
		b.armed[a] = fd
	}
	return refused, why
}

// clear removes all.
func (b *breakpoints) clear() { _, _ = b.set(nil) }

// nowhere is an address that nothing executes.
const nowhere = 1 << 40

// CheckBreakpoints says whether this process may set hardware breakpoints, by
// setting one on its own thread.
func CheckBreakpoints() error {
	fd, err := openBreakpoint(0, nowhere)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// KeepBreakpointsReady keeps a breakpoint on this process's own main thread until
// release is called. The kernel switches its handling of perf events of tasks
// on with the first one and off a second after the last one, and switching it on
// waits for an RCU grace period (kernel/events/core.c, account_event): tens of
// milliseconds, or more on a busy machine, for which a request would wait.
func KeepBreakpointsReady() (release func(), err error) {
	fd, err := openBreakpoint(unix.Getpid(), nowhere)
	if err != nil {
		return nil, err
	}
	return func() { _ = unix.Close(fd) }, nil
}
