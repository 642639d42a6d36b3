//go:build linux && amd64

// Package backend shows Delve one gated request as a process with a single
// thread: a back end for pkg/proc next to Delve's own native one.
//
// It translates between Delve's notions (breakpoint map, ContinueOnce, thread
// registers) and those of package live (plans, frozen states). It must not know
// sessions, clients or DAP, and never touches the service itself: breakpoints
// that Delve sets only enter its map, and are handed to live as addresses each
// time the request moves.
//
// It starts no goroutines. Delve's symbol tables are not safe for concurrent
// use and shared by all requests, so whoever calls Delve holds one lock, the
// brain lock; ContinueOnce lets go of it while the request runs.
package backend

import (
	"errors"
	"sync"

	"github.com/go-delve/delve/pkg/elfwriter"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// Mover is the request's thread: *live.Thread in the agent.
type Mover interface {
	TID() int
	Resume(live.Plan)
	Pause()
	SetStops([]uint64)
	SetWatches([]live.Watch)
	SetProbes([]uint64, *live.Returns)
	Events() <-chan live.Event
}

// Config is what a Process is made of.
type Config struct {
	PID     int
	Path    string // of the executable, as given to BinaryInfo
	Entry   uint64 // run-time entry point
	BinInfo *proc.BinaryInfo
	Memory  proc.MemoryReadWriter
	Func    func(pc uint64) [2]uint64 // bounds of the function around pc
	Brain   sync.Locker               // held by whoever calls Delve

	// Probes: breakpoints that find no hardware are set as uprobes.
	Probes bool
	// Reserve is how many hardware breakpoints are better left free then.
	Reserve int
}

// Process is one gated request as Delve sees it. But for Refresh's and
// RequestManualStop's sake everything is called under the brain lock.
type Process struct {
	// Two methods of the interface name types internal to Delve (its eBPF
	// tracepoints). Embedding a nil interface provides them; they are called
	// only if SupportsBPF answers true.
	proc.ProcessInternal

	cfg    Config
	bps    proc.BreakpointMap
	thread *thread
	gone   bool

	mover  Mover
	passed func(live.Passed)
	lost   func(live.Gone)

	pending *live.Frozen // a stop that Delve has not been shown yet
	last    *live.Frozen // the stop that it was shown last
	hits    []live.Hit   // of it, that Delve has not judged yet
	hit     live.Hit     // that Delve judged last
	sent    []live.Watch // what the thread was last told to watch
	probed  bool         // it runs freely, or did, and may have probes
	nearer  func(pc, a, b uint64) int

	returns  *live.Returns // see SetReturns
	atReturn *proc.LogicalBreakpoint
}

// New makes a process that no request is bound to: it serves for looking up
// symbols only.
func New(cfg Config) *Process {
	p := &Process{cfg: cfg, bps: proc.NewBreakpointMap()}
	p.thread = &thread{p: p, tid: cfg.PID, regs: newRegisters(live.State{})}
	return p
}

// Target makes a Delve target for p. It costs tens of milliseconds, since Delve
// searches the debug information from its beginning for some runtime variables,
// so targets are worth keeping for the next request.
func (p *Process) Target() (*proc.TargetGroup, error) {
	grp, add := proc.NewGroup(group{p}, proc.NewTargetGroupConfig{StopReason: proc.StopAttached})
	if _, err := add(p, p.cfg.PID, p.thread, p.cfg.Path, proc.StopAttached, ""); err != nil {
		return nil, err
	}
	return grp, nil
}

// Bind makes p the request that m moves and that was frozen at fr. The first
// Continue of p's target is shown that stop. passed is told of stops at which
// the runtime could not park the request, and lost of its end, both without the
// brain lock.
func (p *Process) Bind(t *proc.Target, m Mover, fr *live.Frozen, passed func(live.Passed), lost func(live.Gone)) error {
	p.mover, p.passed, p.lost = m, passed, lost
	p.gone = false
	p.last, p.pending, p.hits, p.sent = nil, fr, nil, nil
	p.thread = &thread{p: p, tid: m.TID(), regs: newRegisters(fr.State)}
	if err := t.ClearSteppingBreakpoints(); err != nil { // of a request that ended during a step
		return err
	}
	return p.Refocus(t)
}

// Refocus makes t forget what it knew of the thread before it was moved by
// other means than t's own.
func (p *Process) Refocus(t *proc.Target) error {
	t.ClearCaches()
	return t.SwitchThread(p.thread.tid)
}

// Show makes the pending stop the current one without a Continue: for stops
// that no breakpoint has to be judged for.
// It answers whether there was one.
func (p *Process) Show() bool {
	if p.pending == nil {
		return false
	}
	p.last, p.pending = p.pending, nil
	p.hits = p.last.Hits
	p.thread.show(p.last)
	return true
}

// Last is the stop that the process is at.
func (p *Process) Last() *live.Frozen { return p.last }

// BinInfo implements proc.Process.
func (p *Process) BinInfo() *proc.BinaryInfo { return p.cfg.BinInfo }

// EntryPoint implements proc.Process.
func (p *Process) EntryPoint() (uint64, error) { return p.cfg.Entry, nil }

// FindThread implements proc.Process.
func (p *Process) FindThread(id int) (proc.Thread, bool) {
	if id != p.thread.tid {
		return nil, false
	}
	return p.thread, true
}

// ThreadList implements proc.Process.
func (p *Process) ThreadList() []proc.Thread { return []proc.Thread{p.thread} }

// Breakpoints implements proc.Process.
func (p *Process) Breakpoints() *proc.BreakpointMap { return &p.bps }

// Memory implements proc.Process: live reads, which stop nothing.
func (p *Process) Memory() proc.MemoryReadWriter { return p.cfg.Memory }

// Valid implements proc.ProcessInternal.
func (p *Process) Valid() (bool, error) {
	if p.gone {
		return false, proc.ErrProcessDetached
	}
	return true, nil
}

// RequestManualStop implements proc.ProcessInternal.
func (p *Process) RequestManualStop(*proc.ContinueOnceContext) error {
	p.mover.Pause()
	return nil
}

// WriteBreakpoint implements proc.ProcessInternal. Nothing is inserted: see
// plan.
func (p *Process) WriteBreakpoint(*proc.Breakpoint) error { return nil }

// EraseBreakpoint implements proc.ProcessInternal.
func (p *Process) EraseBreakpoint(*proc.Breakpoint) error { return nil }

// SupportsBPF implements proc.ProcessInternal.
func (p *Process) SupportsBPF() bool { return false }

// DumpProcessNotes implements proc.ProcessInternal.
func (p *Process) DumpProcessNotes(notes []elfwriter.Note, _ func()) (bool, []elfwriter.Note, error) {
	return false, notes, nil
}

// MemoryMap implements proc.ProcessInternal; it serves core dumps, which are
// refused.
func (p *Process) MemoryMap() ([]proc.MemoryMapEntry, error) { return nil, errors.ErrUnsupported }

// StartCallInjection implements proc.ProcessInternal. Delve's own injection
// refuses optimised functions and needs a stopped process.
func (p *Process) StartCallInjection() (func(), error) {
	return nil, errors.New("function calls in expressions are not supported")
}

// FollowExec implements proc.ProcessInternal.
func (p *Process) FollowExec(on bool) error {
	if on {
		return errors.ErrUnsupported
	}
	return nil
}
