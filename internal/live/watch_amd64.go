//go:build linux

package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Watch is memory whose accesses by the traced thread stop it. Those of other
// threads and of the kernel on the thread's behalf (read(2) into a buffer) are
// not seen.
type Watch struct {
	Addr uint64 // a multiple of Len
	Len  int    // 1, 2, 4 or 8 bytes
	Read bool   // stop at reads, too
}

// Hit is an access to a Watch. The processor tells of it when the instruction
// is done (Intel SDM vol. 3, 17.2.5: data breakpoints are traps).
type Hit struct {
	Watch Watch
	PC    uint64 // of the instruction behind the access; PC-1 is in the access's line
	Old   uint64 // what was there when the thread was resumed, or at the hit before
	New   uint64 // what was there when the thread stopped
}

// MaxWatches is how many a thread can have: a step needs the fourth debug
// register for where a call returns to.
const MaxWatches = HardwareSlots - 1

// HW_BREAKPOINT_W and HW_BREAKPOINT_RW, include/uapi/linux/hw_breakpoint.h; the
// processor knows no watch for reads alone.
const (
	hwBreakpointW  = 2
	hwBreakpointRW = 3
)

// openWatch is openBreakpoint for data.
func openWatch(tid int, w Watch) (int, error) {
	attr := unix.PerfEventAttr{
		Type:    unix.PERF_TYPE_BREAKPOINT,
		Size:    uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample:  1,
		Bits:    unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv | perfRemoveOnExec | perfSigtrap,
		Bp_type: hwBreakpointW,
		Ext1:    w.Addr,
		Ext2:    uint64(w.Len),

		Sig_data: perfMark,
	}
	if w.Read {
		attr.Bp_type = hwBreakpointRW
	}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("%w: perf_event_open: %w", ErrBreakpoint, err)
	}
	return fd, nil
}

// watching is a Watch that is armed.
type watching struct {
	Watch
	fd    int
	count uint64 // of its perf event, as last seen
	value uint64 // of the memory, as last seen
}

// armWatches makes the armed watches those of the plan. They stay armed while
// the thread is stepped, and until it is frozen.
func (t *Thread) armWatches() {
	t.watches = slices.DeleteFunc(t.watches, func(w watching) bool {
		keep := slices.Contains(t.plan.Watches, w.Watch)
		if !keep {
			_ = unix.Close(w.fd)
		}
		return !keep
	})
	for _, w := range t.plan.Watches {
		if slices.ContainsFunc(t.watches, func(o watching) bool { return o.Watch == w }) {
			continue
		}
		if len(t.watches) == MaxWatches {
			t.unwatched(w, errors.New("a thread has no more debug registers"))
			continue
		}
		value, err := t.proc.value(w)
		if err != nil {
			t.unwatched(w, err)
			continue
		}
		fd, err := openWatch(t.tid, w)
		if err != nil {
			t.unwatched(w, err)
			continue
		}
		t.watches = append(t.watches, watching{Watch: w, fd: fd, value: value})
	}
}

func (t *Thread) unwatched(w Watch, why error) {
	t.report(Event{Passed: &Passed{Cause: CauseWatch, Addr: w.Addr, G: t.g, Why: why.Error()}})
}

// dropWatches disarms all.
func (t *Thread) dropWatches() {
	for _, w := range t.watches {
		_ = unix.Close(w.fd)
	}
	t.watches = nil
}

// value reads what a watch is about.
func (p *Process) value(w Watch) (uint64, error) {
	var buf [8]byte
	if _, err := p.Mem.ReadMemory(buf[:w.Len], w.Addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(buf[:]), nil
}

// newHits asks the perf events which watches have been hit since it was last
// called. The signal does not tell reliably: of the two that a single-step over
// an access raises, its own and the event's, the kernel keeps one, since SIGTRAP
// does not queue (kernel/signal.c, legacy_queue); the events count every hit.
func (t *Thread) newHits() ([]Hit, error) {
	var hits []Hit
	pc := uint64(0)
	for i := range t.watches {
		w := &t.watches[i]
		var buf [8]byte
		if n, err := unix.Read(w.fd, buf[:]); err != nil || n != len(buf) {
			continue // the event has gone with its thread
		}
		count := binary.NativeEndian.Uint64(buf[:])
		if count == w.count {
			continue
		}
		w.count = count
		if pc == 0 {
			regs, err := getRegs(t.tid)
			if err != nil {
				return hits, t.lost(err)
			}
			pc = regs.Rip
		}
		now, err := t.proc.value(w.Watch)
		if err != nil {
			return hits, err
		}
		hits = append(hits, Hit{Watch: w.Watch, PC: pc, Old: w.value, New: now})
		w.value = now
	}
	return hits, nil
}

// noteHits keeps the new hits for the next Frozen and says whether there were
// any.
func (t *Thread) noteHits() (bool, error) {
	if len(t.watches) == 0 {
		return false, nil
	}
	hits, err := t.newHits()
	t.hits = append(t.hits, hits...)
	return len(hits) > 0, err
}

// judgeHits keeps hits of the request's goroutine and says whether they are a
// reason to stop. The runtime's on the thread's own stack are none: there it
// works on memory that the request has let go of.
func (t *Thread) judgeHits(hits []Hit, ours bool) bool {
	if !ours {
		for _, h := range hits {
			t.unwatched(h.Watch, errors.New("the Go runtime, on a stack of its own, accessed it"))
		}
		return false
	}
	t.hits = append(t.hits, hits...)
	return len(hits) > 0 && !t.passHits
}

// returnToUser runs a thread that was stopped by a watch inside the runtime or
// in assembly (memmove, a map's insertion) to where the innermost function
// outside of these goes on, so that it can be frozen. No frame of assembly needs
// to have a frame pointer, and a word on the stack may look like a return
// address and be none: so the first few candidates are armed, and one counts
// when the stack pointer is just above it.
func (t *Thread) returnToUser() error {
	regs, err := getRegs(t.tid)
	if err != nil {
		return t.lost(err)
	}
	if !t.proc.NoFreeze(regs.Rip) {
		return nil
	}
	if _, err := t.goroutineOn(regs); err != nil {
		return nil // freeze says so
	}
	_, hi, err := t.stackOf(t.g)
	if err != nil {
		return err
	}
	depths := t.returnsTo(regs, hi)
	if len(depths) == 0 {
		return nil
	}
	var addrs []uint64
	for addr := range depths {
		addrs = append(addrs, addr)
	}
	t.dropWatches() // all registers are needed, and one report is enough
	defer t.bps.clear()
	_, _, err = t.runFrom(func() { _, _ = t.bps.set(addrs) }, func(r Regs) verdict {
		if _, hi, err := t.stackOf(t.g); err == nil && slices.Contains(depths[r.Rip], hi-r.Rsp) {
			return arrived
		}
		return passed
	})
	if err != nil {
		return err
	}
	for i := range t.hits {
		if now, err := t.proc.value(t.hits[i].Watch); err == nil {
			t.hits[i].New = now
		}
	}
	t.armWatches()
	return nil
}

// returnsTo finds up to HardwareSlots addresses outside of the runtime to which
// functions on the stack may return, and how much of the stack will be in use
// then: the innermost that the frame pointers lead to, which is one, and the
// nearest words that look like one.
func (t *Thread) returnsTo(regs Regs, hi uint64) map[uint64][]uint64 {
	const near = 1024 // words
	found := make(map[uint64][]uint64)
	add := func(sp uint64) bool { // sp: where the return address lies
		addr, err := t.proc.Mem.Uint64(sp)
		if err != nil || t.proc.NoFreeze(addr) || !t.afterCall(addr) {
			return false
		}
		if depth := hi - (sp + 8); !slices.Contains(found[addr], depth) {
			found[addr] = append(found[addr], depth)
		}
		return true
	}
	for bp, n := regs.Rbp, 0; bp >= regs.Rsp && bp+8 < hi && n < near; n++ {
		if add(bp + 8) {
			break
		}
		next, err := t.proc.Mem.Uint64(bp)
		if err != nil || next <= bp {
			break
		}
		bp = next
	}
	for i := range uint64(near) {
		sp := regs.Rsp + 8*i
		if sp+8 > hi || len(found) == HardwareSlots {
			break
		}
		add(sp)
	}
	return found
}

// afterCall says whether the instruction before addr is a call: E8 with a
// 32-bit distance, or FF /2 with its operand in 2 to 8 bytes.
func (t *Thread) afterCall(addr uint64) bool {
	if t.proc.Func(addr) == [2]uint64{} {
		return false
	}
	var b [8]byte
	if _, err := t.proc.Mem.ReadMemory(b[:], addr-8); err != nil {
		return false
	}
	if b[3] == 0xe8 {
		return true
	}
	for _, n := range []int{2, 3, 4, 6, 7, 8} {
		if b[8-n] == 0xff && b[8-n+1]>>3&7 == 2 {
			return true
		}
	}
	return false
}
