//go:build linux && amd64

package live

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf/link"
	"golang.org/x/arch/x86/x86asm"
)

// ProbeLimits bound what the probes of a thread may cost the other ones: each hit
// of theirs takes microseconds.
type ProbeLimits struct {
	Time time.Duration // armed, from one freeze to the next; 0: DefaultProbeTime
	Hits uint64        // of others, of one probe in that time; 0: DefaultProbeHits
}

// Defaults of ProbeLimits.
const (
	DefaultProbeTime = 2 * time.Second
	DefaultProbeHits = 5000
)

// allProbes is how many times as many hits as of one probe there may be of all.
const allProbes = 4

const (
	// probeLook is how often the limits are looked at.
	probeLook = 20 * time.Millisecond
	// probeLinger is how long probes stay when the thread is frozen: a
	// condition that is false thaws it sooner, and probes that are removed cost
	// the kernel some tens of milliseconds (see uprobe).
	probeLinger = 10 * time.Millisecond
)

// Off tells of probes that have been removed before their time.
type Off struct {
	Addrs []uint64
	Why   string
}

// prober arms uprobes for one thread, while it runs. set may be called from any
// goroutine, the other methods by the tracing goroutine; those that arm take
// milliseconds, run being called while the thread holds no P.
type prober struct {
	proc *Process
	tid  int
	tell func(Off) // called with mu held: must not block

	loaded atomic.Pointer[uprobe] // kernel
	seen   uint64                 // the last hit that was dealt with; used by the tracing goroutine only

	mu      sync.Mutex
	kernel  *uprobe
	err     error     // why there is none
	link    link.Link // nil: none is armed
	fading  []uint64  // removed, and perhaps still there
	pinned  bool      // the probes may not be changed just now
	late    *wanted   // what to arm when they may; nil: as it is
	armed   []uint64
	exits   armedReturns
	running bool
	ended   bool
	since   time.Time          // when it began to run
	off     map[uint64]bool    // those that a limit has removed since
	never   map[uint64]bool    // those that the kernel cannot do
	cookies map[uint64]uint64  // of each address; never reused
	counted [maxCookies]uint64 // foreign hits when the thread began to run
	timer   *time.Timer        // the next look, or the end of the lingering
}

// wanted is what a plan wants to have armed.
type wanted struct {
	probes  []uint64
	returns *Returns
}

// run arms exactly what is wanted, for a thread that is about to run.
func (p *prober) run(w wanted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(w.probes) == 0 && w.returns == nil && p.kernel == nil || p.ended {
		return
	}
	p.running, p.since, p.off = true, time.Now(), nil
	p.arm(w)
	if p.kernel == nil {
		return
	}
	p.settle()
	if r, err := p.kernel.last(); err == nil {
		p.seen = r.Seq
	}
	p.counted, _ = p.kernel.foreign()
	p.schedule(probeLook)
}

// set is run for a thread that runs already; without effect while it is frozen.
func (p *prober) set(w wanted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running && !p.ended {
		p.arm(w)
		p.schedule(probeLook)
	}
}

// pause is for a thread that has been frozen.
func (p *prober) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	if p.links() {
		p.schedule(probeLinger)
	}
}

// end is for good.
func (p *prober) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.ended = false, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.disarm()
	if p.kernel != nil {
		p.loaded.Store(nil)
		p.kernel.close()
		p.kernel = nil
	}
}

func (p *prober) schedule(d time.Duration) {
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.look)
		return
	}
	p.timer.Reset(d)
}

// look is what the timer does.
func (p *prober) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended || !p.links():
	case p.pinned:
		p.schedule(probeLook)
	case !p.running:
		p.disarm()
	default:
		p.enforce()
		p.schedule(probeLook)
	}
}

// enforce removes what has exceeded its limits.
func (p *prober) enforce() {
	limits := p.proc.Probes
	if limits.Time == 0 {
		limits.Time = DefaultProbeTime
	}
	if limits.Hits == 0 {
		limits.Hits = DefaultProbeHits
	}
	if time.Since(p.since) > limits.Time {
		p.drop(slices.Concat(p.armed, p.exits.addrs), fmt.Sprintf("it has run for %v, the most for which they may slow the others down", limits.Time))
		return
	}
	counts, err := p.kernel.foreign()
	if err != nil {
		return
	}
	hits := func(a uint64) uint64 { c := p.number(a); return counts[c] - p.counted[c] }
	all := slices.Concat(p.armed, p.exits.addrs)
	var total, ofHot uint64
	for _, a := range all {
		total += hits(a)
	}
	var hot []uint64
	for _, a := range all {
		// Many that are each within their limit are too much together.
		if n := hits(a); n > limits.Hits || total > allProbes*limits.Hits && n > 0 && n >= total/uint64(len(all)) {
			hot, ofHot = append(hot, a), ofHot+n
		}
	}
	if len(hot) > 0 {
		p.drop(hot, fmt.Sprintf("other requests ran over it %d times in %v", ofHot, time.Since(p.since).Round(time.Millisecond)))
	}
}

// drop removes addrs until the thread runs again.
func (p *prober) drop(addrs []uint64, why string) {
	if p.off == nil {
		p.off = make(map[uint64]bool)
	}
	for _, a := range addrs {
		p.off[a] = true
	}
	p.arm(wanted{p.armed, p.exits.set})
	p.tell(Off{addrs, why})
}

// arm makes what is wanted, less what is off, the armed ones.
func (p *prober) arm(w wanted) {
	if p.late = nil; p.pinned {
		p.late = &w
		return
	}
	p.armProbes(w.probes)
	p.armReturns(w.returns)
}

func (p *prober) armProbes(addrs []uint64) {
	want := slices.DeleteFunc(slices.Clone(addrs), func(a uint64) bool { return p.off[a] || p.never[a] })
	slices.Sort(want)
	want = slices.Compact(want)
	if slices.Equal(want, p.armed) {
		return
	}
	old, was := p.link, p.armed
	p.link, p.armed = nil, nil
	if len(want) > 0 {
		if err := p.attach(want); err != nil {
			p.tell(Off{want, err.Error()})
		}
	}
	p.retire(old, was)
}

// retire removes the probes of a link.
func (p *prober) retire(l link.Link, addrs []uint64) {
	if l != nil {
		p.fading = append(p.fading, addrs...)
		p.proc.probed.add(addrs, -1)
		closeLink(l)
	}
}

// settle waits until probes that were removed are gone: an instruction that still
// has one must not be single-stepped, see stepProbe. The thread holds no P. Where
// another thread has one as well there is nothing to wait for.
func (p *prober) settle() {
	const soon, late = 100 * time.Microsecond, time.Second
	for deadline := time.Now().Add(late); len(p.fading) > 0 && time.Now().Before(deadline); {
		last := len(p.fading) - 1
		if a := p.fading[last]; p.proc.probed.has(a) || p.gone(a) {
			p.fading = p.fading[:last]
			continue
		}
		time.Sleep(soon)
	}
}

// gone says whether no uprobe is in the text at addr.
func (p *prober) gone(addr uint64) bool {
	const int3 = 0xcc
	var have [1]byte
	if _, err := p.proc.Mem.ReadMemory(have[:], addr); err != nil {
		return true // along with the process
	}
	return have[0] != int3
}

// possible says whether the kernel can put a uprobe on the instruction at addr
// (arch/x86/kernel/uprobes.c, is_prefix_bad): one that it cannot would have it
// refuse all.
func (p *prober) possible(addr uint64) bool {
	if p.proc.Code == nil {
		return true
	}
	inst, err := x86asm.Decode(p.proc.Code(addr, longestInst), 64)
	return err != nil || !slices.ContainsFunc(inst.Prefix[:], func(x x86asm.Prefix) bool { return x&0xff == x86asm.PrefixLOCK })
}

// load brings the program into the kernel, once.
func (p *prober) load() error {
	if p.kernel != nil || p.err != nil {
		return p.err
	}
	if p.kernel, p.err = newUprobe(p.proc.PID, p.tid); p.err != nil {
		p.kernel = nil
		return p.err
	}
	p.loaded.Store(p.kernel)
	p.cookies, p.never = make(map[uint64]uint64), make(map[uint64]bool)
	return nil
}

// attach arms want.
func (p *prober) attach(want []uint64) error {
	if err := p.load(); err != nil {
		return err
	}
	for _, a := range want {
		if _, ok := p.cookies[a]; !ok {
			if len(p.cookies) == MaxProbes {
				return fmt.Errorf("%w: a request can have %d", ErrProbes, MaxProbes)
			}
			p.cookies[a] = uint64(len(p.cookies))
		}
	}
	var cannot []uint64
	want = slices.DeleteFunc(want, func(a uint64) bool {
		if p.possible(a) {
			return false
		}
		cannot = append(cannot, a)
		p.never[a] = true
		return true
	})
	if len(cannot) > 0 {
		p.tell(Off{cannot, "the kernel sets no uprobe on an instruction with a lock prefix, as atomic operations have: set it on the next line"})
	}
	if len(want) == 0 {
		return nil
	}
	offsets, err := fileOffsets(p.proc.PID, want)
	if err != nil {
		return err
	}
	cookies := make([]uint64, len(want))
	for i, a := range want {
		cookies[i] = p.cookies[a]
	}
	if p.link, err = p.kernel.arm(offsets, cookies); err != nil {
		p.link = nil // not an interface that holds a nil pointer
		return err
	}
	p.armed = want
	p.proc.probed.add(want, 1)
	return nil
}

func (p *prober) disarm() {
	p.retire(p.link, p.armed)
	p.link, p.armed = nil, nil
	p.retire(p.exits.link, p.exits.addrs)
	p.exits = armedReturns{}
}

// links says whether any probe is armed.
func (p *prober) links() bool { return p.link != nil || p.exits.link != nil }

// hit gives the registers before the instruction of a probe that the thread has
// hit since the last hit that was dealt with. To be called in a ptrace-stop, by
// the tracing goroutine: no lock is taken, since arming takes milliseconds.
func (p *prober) hit() (before [ptRegs]uint64, ok bool) {
	k := p.loaded.Load()
	if k == nil {
		return before, false
	}
	r, err := k.last()
	if err != nil || r.Seq == p.seen {
		return before, false
	}
	p.seen = r.Seq
	return r.Regs, true
}

// pin keeps the probe at pc armed until unpin; false if there is none. Whatever
// should change meanwhile is made up for then.
func (p *prober) pin(pc uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinned = p.armedAt(pc)
	if p.pinned {
		_ = p.kernel.stopAlways(true) // a nil error would not stop it
	}
	return p.pinned
}

// armedAt says whether a probe is armed at addr.
func (p *prober) armedAt(addr uint64) bool {
	_, exit := slices.BinarySearch(p.exits.addrs, addr)
	return exit || slices.Contains(p.armed, addr)
}

func (p *prober) unpin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinned = false
	_ = p.kernel.stopAlways(false) // at worst it is stopped for nothing
	if p.late != nil {
		p.arm(*p.late)
	}
}

// any says whether the thread may hit a probe.
func (p *prober) any() bool { return p.loaded.Load() != nil }
