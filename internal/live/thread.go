//go:build linux && amd64

package live

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// Process is what tracing needs to know of a process. It is shared by all its
// Threads, which only read what is exported.
type Process struct {
	PID int
	Mem vmem.Process

	DebugCall [2]uint64 // text of runtime.debugCallV2
	CallFrame [2]uint64 // text of debugCall32, where the injected call is made
	Park      uint64    // entry of the gate's wait function
	Calls     uint64    // entry of gate.calls, and
	Trap      uint64    // of its trap; 0: the gate knows no calls
	GOffset   uint64    // offset of the g pointer from the thread's FS base
	Offsets   Runtime   // in the structures of its Go runtime

	// Func gives the bounds of the function around pc, or an empty range. It
	// must be safe to call from any goroutine.
	Func func(pc uint64) [2]uint64
	// Code reads n bytes of the program at pc, or fewer where it ends, as they
	// are without probes. Safe to call from any goroutine. nil: without it what
	// needs to know instructions is not done.
	Code func(pc uint64, n int) []byte
	// Probes bound what Plan.Probes may cost others.
	Probes ProbeLimits
	// NoFreeze says whether pc is where a request must not be frozen, though
	// the runtime's own check may allow it. Safe to call from any goroutine.
	NoFreeze func(pc uint64) bool
	// Detours are addresses in the runtime that plans may have among their
	// Stops though no request can be frozen there, and how to go on from them.
	Detours map[uint64]Detour
	// Births has the goroutines of requests taken along.
	Births Births

	probed places
}

// Runtime holds offsets in the structures of the Go runtime of the process
// being traced; see runtime/runtime2.go for the fields.
type Runtime struct {
	GStatus, GM                         uint64
	MLocks, MMallocing, MPreemptOff, MP uint64
	MCurg, MLockedG                     uint64
	PStatus                             uint64
}

// Slot is the board's entry of the request that a thread runs. Its methods are
// called from the tracing goroutine and must not block.
type Slot interface {
	// Accept tells the service that its thread is seized.
	Accept() error
	// Running says whether the service still offers this request's thread.
	// Once false it stays false.
	Running() bool
	// Journal notes what the service needs to go on without us: the registers
	// of a thread that is about to be frozen.
	Journal(pc, flags uint64, xstate []byte) error
	// SetHoming says whether the thread is on its way from the debug call
	// protocol's last stop back to the journal's pc.
	SetHoming(homing bool) error
	// SetHeld sets or clears the word that a frozen request waits on.
	SetHeld(held bool) error
	// Released tells the service that its thread is about to be let go of.
	Released() error
}

// Plan says how far a thread may run.
type Plan struct {
	// Stops are the addresses to stop at, the most important first: if they
	// do not fit the hardware the last ones are left out.
	Stops []uint64
	// Frame are further addresses to stop at, which only count in the frame
	// that the thread is in now and in those that called it: where the lines
	// of the function being stepped begin and where it returns to. They are
	// not watched in the functions that it calls, itself included.
	Frame []uint64
	// Within, if not empty, is the function being stepped through: the
	// thread is single-stepped inside it and run over calls that leave it, so
	// that any number of stops inside it work.
	Within [2]uint64
	// Fallback are the stops to arm first if stepping takes too long.
	Fallback []uint64
	// UntilText, if not nil, asks to single-step until an address for which
	// it answers true. It runs on the tracing goroutine and must be quick.
	UntilText func(pc uint64) bool
	// OverText says which callees UntilText need not look into.
	OverText func(pc uint64) bool
	// Probes are further addresses to stop at, in any number up to MaxProbes,
	// by uprobes. They slow other threads down that pass there, and are armed
	// only while the thread runs freely: not if Within or UntilText is set.
	Probes []uint64
	// Returns are watched like Probes; nil: none are.
	Returns *Returns
	// Watches are watched all the way, also while the thread is stepped; at
	// most MaxWatches. They take debug registers that Stops could have had.
	Watches []Watch
}

// Cause says why a thread is frozen.
type Cause int

// The causes.
const (
	CauseStop   Cause = iota + 1 // reached one of Plan.Stops
	CauseText                    // reached Plan.UntilText
	CausePause                   // Pause was called
	CauseWatch                   // one of Plan.Watches was hit: the last one of Frozen.Hits
	CauseProbes                  // of a Passed only: Addrs of Plan.Probes or Plan.Returns are not armed any more
	CauseReturn                  // at one of Plan.Returns, with an error: Frozen.Returned
)

// State is a thread as it was stopped. It is what the goroutine goes on with.
type State struct {
	Regs   Regs
	XState []byte // XSAVE area
	G      uint64 // address of the runtime.g
}

// Event is what a Thread reports. Exactly one of its fields is set.
type Event struct {
	Frozen *Frozen
	Called *Called
	Passed *Passed
	Gone   *Gone
}

// Frozen says that the runtime has parked the request; it waits for Resume.
type Frozen struct {
	Cause Cause
	Addr  uint64 // with CauseStop: which of Plan.Stops; with CauseReturn: which of Plan.Returns
	State State
	// Returned is what is returned, with CauseReturn. If State.Regs.Rip is not Addr
	// the runtime could not park the request before the function had returned.
	Returned Returned
	// Strayed: the request could not be frozen at Addr, one of Plan.Frame, and has
	// gone on to another frame than the one that came there.
	Strayed bool
	// Unarmed are those of Plan.Stops that could not be watched during some
	// part of the way, since the hardware holds four.
	Unarmed []uint64
	// Hits are those of Plan.Watches, in order. With another Cause than
	// CauseWatch they were on the way from the stop to where the thread could
	// be frozen.
	Hits []Hit
}

// Passed says that the thread was to be frozen where the runtime cannot park it;
// it runs on.
type Passed struct {
	Cause Cause
	Addr  uint64   // with CauseStop; with CauseWatch that of the Watch
	Addrs []uint64 // with CauseProbes
	G     uint64   // the request's runtime.g, 0 if unknown
	Why   string
}

// Gone is the last event: the thread is no longer traced.
type Gone struct {
	Err error // nil if released as asked or because the request was done
}

// ErrGone means the thread or its process has ended.
var ErrGone = errors.New("the thread has ended")

// Thread is one traced thread. Its methods may be called from any goroutine
// and do not block.
type Thread struct {
	proc *Process
	tid  int
	slot Slot

	events chan Event
	tracer atomic.Int32 // thread id of the tracing goroutine, 0 unless it traces
	// stopTaken is when, on the clock of package variable began, the stop was
	// taken that the tracee is in; 0 while it runs.
	stopTaken atomic.Int64
	stopTotal atomic.Int64 // ns of the stops that are over
	// listening: stopped along with its whole process (job control).
	listening atomic.Bool
	seen      seen          // used by whoever calls Look only
	untouched atomic.Uint32 // see Untouched
	births    atomic.Int32  // see Births

	mu   sync.Mutex
	mail mail

	probes prober

	// Below: used by the tracing goroutine only.
	bps     breakpoints
	watches []watching
	hits    []Hit // not reported yet
	// passHits: a hit is no reason to stop a thread that is on its way to
	// where it can be frozen.
	passHits  bool
	late      *late    // how the next Frozen is to be shown
	returning Returned // of the CauseReturn that it is to be frozen for
	last      Cause    // why it was frozen last
	plan      Plan
	base      uint64          // how deep the stack was when the step began, 0: no step
	resumed   int             // the request that resumed it last: PTRACE_CONT or PTRACE_SINGLESTEP
	unarmed   map[uint64]bool // of the running plan
	adopted   uint64          // the function that adopt had started last; 0: none
	g         uint64          // the request's runtime.g, 0 until seen
	calls     calling         // of a frozen request
}

// mail is what other goroutines ask of the tracing goroutine.
type mail struct {
	release bool
	pause   bool
	stops   *[]uint64 // new Plan.Stops for the running plan
	watches *[]Watch  // new Plan.Watches for it
	probes  *wanted   // new Plan.Probes and Plan.Returns for it
	off     []Off     // probes that were removed
	resume  *Plan
	call    *Call
}

// Seize starts tracing thread tid (in our pid namespace) for the request in
// slot, running under plan. The outcome is told through Events: the first one
// may be Gone if the thread could not be seized.
func Seize(p *Process, tid int, slot Slot, plan Plan) *Thread {
	t := &Thread{
		proc: p, tid: tid, slot: slot, plan: plan,
		// At most one Frozen or Passed is unread at a time when a Gone comes;
		// Passed may come in numbers, see report.
		events:  make(chan Event, 16),
		bps:     breakpoints{tid: tid},
		resumed: unix.PTRACE_CONT,
	}
	t.probes.proc, t.probes.tid = p, tid
	t.probes.tell = func(off Off) {
		t.post(func(m *mail) { m.off = append(m.off, off) })
	}
	go t.trace()
	return t
}

// TID is the thread's id in our pid namespace.
func (t *Thread) TID() int { return t.tid }

// Events delivers what happens; closed after Gone.
func (t *Thread) Events() <-chan Event { return t.events }

// Resume lets a frozen thread go on under plan. To be called once for each
// Frozen event. What was asked before, for the time it ran, is over.
func (t *Thread) Resume(plan Plan) {
	t.post(func(m *mail) { m.resume, m.pause, m.stops, m.watches, m.probes = &plan, false, nil, nil, nil })
}

// SetStops replaces the running plan's Stops; without effect while frozen.
func (t *Thread) SetStops(stops []uint64) { t.post(func(m *mail) { m.stops = &stops }) }

// SetWatches is SetStops for its Watches.
func (t *Thread) SetWatches(list []Watch) { t.post(func(m *mail) { m.watches = &list }) }

// SetProbes is SetStops for its Probes and Returns. It takes some milliseconds.
func (t *Thread) SetProbes(addrs []uint64, returns *Returns) {
	w := wanted{addrs, returns}
	t.post(func(m *mail) { m.probes = &w })
	t.probes.set(w)
}

// Pause asks a running thread to freeze where it can.
func (t *Thread) Pause() { t.post(func(m *mail) { m.pause = true }) }

// Release thaws the thread if it is frozen and lets go of it; Gone follows.
func (t *Thread) Release() {
	t.post(func(m *mail) { m.release = true })
	// If another thread has called execve(2) the tracee is gone without the
	// kernel waking its tracer: make that look again.
	if tid := t.tracer.Load(); tid != 0 {
		_ = unix.Tgkill(unix.Getpid(), int(tid), unix.SIGURG)
	}
}

// post leaves a request and makes the tracee stop for a signal so that the
// tracing goroutine's wait4 returns. SIGURG is the signal with which the Go
// runtime preempts itself (runtime/signal_unix.go, sigPreempt), it ignores
// spurious ones.
func (t *Thread) post(f func(*mail)) {
	t.mu.Lock()
	f(&t.mail)
	t.mu.Unlock()
	_ = unix.Tgkill(t.proc.PID, t.tid, unix.SIGURG) // fails if the thread is gone: then wait4 has returned
}

func (t *Thread) peek() mail {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mail
}

func (t *Thread) take(f func(*mail)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.mail)
}

// report queues ev. The tracing goroutine must not block on a slow reader:
// Passed events beyond the queue are dropped, Frozen and Gone always fit, since
// a reader takes a Frozen before it can resume.
func (t *Thread) report(ev Event) {
	if ev.Passed != nil && len(t.events) > cap(t.events)/2 {
		return
	}
	t.events <- ev
}
