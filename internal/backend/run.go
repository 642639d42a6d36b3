//go:build linux && amd64

package backend

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/astutil"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// group is the process group that Delve resumes: always one request.
type group struct{ p *Process }

// ContinueOnce implements proc.ProcessGroup: the request runs to the next
// address of interest. Called under the brain lock, which it lets go of while
// the request runs.
func (g group) ContinueOnce(cctx *proc.ContinueOnceContext) (proc.Thread, proc.StopReason, error) {
	if cctx.ResumeChan != nil {
		close(cctx.ResumeChan)
		cctx.ResumeChan = nil
	}
	if g.p.Show() || g.p.showHit() {
		return g.p.thread, proc.StopUnknown, nil
	}
	if err := g.p.Run(g.p.plan()); err != nil {
		return nil, proc.StopExited, err
	}
	return g.p.thread, proc.StopUnknown, nil
}

// StepInstruction implements proc.ProcessGroup.
func (g group) StepInstruction(int) error {
	if g.p.showHit() {
		return nil
	}
	return g.p.Run(live.Plan{
		UntilText: func(uint64) bool { return true },
		OverText:  func(uint64) bool { return false },
		Watches:   g.p.watches(),
	})
}

// Detach implements proc.ProcessGroup. Letting go of the thread is not Delve's
// to decide here; a kill is never done.
func (g group) Detach(int, bool) error {
	g.p.gone = true
	return nil
}

// Close implements proc.ProcessGroup.
func (g group) Close() error { return nil }

// Run resumes the thread under plan and waits until it is frozen again.
// Called under the brain lock, which it lets go of meanwhile. Delve's caches are
// stale afterwards unless Delve itself called.
func (p *Process) Run(plan live.Plan) error {
	p.thread.bp.Clear()
	p.sent = plan.Watches
	p.probed = plan.Within[1] == 0 && plan.UntilText == nil
	p.cfg.Brain.Unlock()
	p.mover.Resume(plan)
	fr := p.await()
	p.cfg.Brain.Lock()
	if fr == nil {
		p.gone = true
		return proc.ErrProcessExited{Pid: p.cfg.PID}
	}
	p.last, p.hits = fr, fr.Hits
	p.thread.show(fr)
	return nil
}

// await returns the next freeze, or nil if the thread is gone.
func (p *Process) await() *live.Frozen {
	for ev := range p.mover.Events() {
		switch {
		case ev.Passed != nil:
			p.passed(*ev.Passed)
		case ev.Frozen != nil:
			return ev.Frozen
		case ev.Gone != nil:
			p.lost(*ev.Gone)
		}
	}
	return nil
}

// Refresh tells a running thread that the breakpoints in Delve's map changed.
func (p *Process) Refresh() {
	plan := p.plan()
	p.mover.SetStops(plan.Stops)
	if p.cfg.Probes && p.probed {
		p.mover.SetProbes(plan.Probes, plan.Returns)
	}
	if !slices.Equal(plan.Watches, p.sent) {
		p.sent = plan.Watches
		p.mover.SetWatches(plan.Watches)
	}
}

// watched says whether an address in Delve's map is one that we stop at, and
// how important it is: deferred functions first, since a step that misses the
// one that a panic runs is lost, then the user's breakpoints. Delve's own breakpoints for unrecovered panics, fatal
// throws, plugins and shared libraries are not: they are process-wide matters.
func watched(bp *proc.Breakpoint) (rank int, ok bool) {
	rank = 3
	for _, b := range bp.Breaklets {
		switch b.Kind {
		case proc.UserBreakpoint:
			if b.LogicalID > 0 {
				rank, ok = min(rank, 1), true
			}
		case proc.NextDeferBreakpoint:
			rank, ok = min(rank, 0), true
		case proc.NextBreakpoint, proc.StepBreakpoint, proc.StepIntoRangeOverFuncBodyBreakpoint:
			rank, ok = min(rank, 2), true
		}
	}
	return rank, ok
}

// plan says how far the thread may run, given the breakpoints in Delve's map.
func (p *Process) plan() live.Plan {
	type entry struct {
		addr uint64
		rank int
	}
	var all []entry
	stepping := false
	pc := p.thread.regs.PC()
	for addr, bp := range p.bps.M {
		if bp.WatchType != 0 {
			continue
		}
		if rank, ok := watched(bp); ok {
			all = append(all, entry{addr, rank})
			stepping = stepping || bp.IsStepping()
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.rank == b.rank && p.nearer != nil {
			return cmp.Or(p.nearer(pc, a.addr, b.addr), cmp.Compare(a.addr, b.addr))
		}
		return cmp.Or(a.rank-b.rank, cmp.Compare(a.addr, b.addr))
	})
	plan := live.Plan{Stops: make([]uint64, 0, len(all)), Watches: p.watches()}
	for _, e := range all {
		if frameBound(p.bps.M[e.addr]) {
			plan.Frame = append(plan.Frame, e.addr)
		} else {
			plan.Stops = append(plan.Stops, e.addr)
		}
	}
	if stepping && len(all) > live.HardwareSlots-len(plan.Watches) {
		plan.Within = p.cfg.Func(pc)
		plan.Fallback = nearest(plan.Frame, plan.Within, pc)
	} else if p.cfg.Probes {
		plan.Stops, plan.Probes = Split(plan.Stops, len(plan.Watches), p.cfg.Reserve)
	}
	if !stepping && p.cfg.Probes {
		plan.Returns = p.returns
	}
	return plan
}

// SetReturns has the request stop, when it goes on, where functions return an
// error. For Delve it stands at a breakpoint of logical's then. Called under the
// brain lock; nil for neither.
func (p *Process) SetReturns(set *live.Returns, logical *proc.LogicalBreakpoint) {
	p.returns, p.atReturn = set, logical
}

// returnBreakpoint is what Delve is shown at addr, where a function returns. It is
// in no map: there are thousands, and none is Delve's to set.
func (p *Process) returnBreakpoint(addr uint64) *proc.Breakpoint {
	if p.atReturn == nil {
		return nil // not wanted any more
	}
	bp := &proc.Breakpoint{Addr: addr, Logical: p.atReturn}
	bp.File, bp.Line, _ = p.cfg.BinInfo.PCToLine(addr)
	bp.Breaklets = []*proc.Breaklet{{Kind: proc.UserBreakpoint, LogicalID: p.atReturn.LogicalID}}
	return bp
}

// Split says which of the addresses, the most important first, get a hardware
// breakpoint of a thread that watches some data, and which a uprobe. reserve is
// left free if there are uprobes anyway.
func Split(addrs []uint64, watches, reserve int) (stops, probes []uint64) {
	room := live.HardwareSlots - watches
	if len(addrs) <= room {
		return addrs, nil
	}
	room = max(room-reserve, 0)
	return addrs[:room:room], addrs[room:]
}

// SetNearer says how breakpoints of the same kind are ordered for a thread that
// stands at pc: a negative number if a is the more important address. Called
// under the brain lock, and so is f.
func (p *Process) SetNearer(f func(pc, a, b uint64) int) { p.nearer = f }

// frameBound says whether bp can only be hit in a frame that is on the stack
// already: Delve gives the breakpoints for the lines of the function being
// stepped, and for its return, a condition on runtime.frameoff.
func frameBound(bp *proc.Breakpoint) bool {
	for _, b := range bp.Breaklets {
		if b.Kind != proc.NextBreakpoint || !strings.Contains(astutil.ExprToString(b.Cond), "runtime.frameoff") {
			return false
		}
	}
	return true
}

// nearest chooses what to watch when stepping through a function takes too
// long: the stops that follow pc in it (leaving a long loop leads there), and
// the first one outside (the return).
func nearest(stops []uint64, fn [2]uint64, pc uint64) []uint64 {
	var after, outside []uint64
	for _, a := range stops {
		switch {
		case a < fn[0] || a >= fn[1]:
			outside = append(outside, a)
		case a > pc:
			after = append(after, a)
		}
	}
	slices.Sort(after)
	const inFunction = live.HardwareSlots - 1
	return append(after[:min(len(after), inFunction)], outside[:min(len(outside), 1)]...)
}
