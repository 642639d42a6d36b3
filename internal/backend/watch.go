//go:build linux && amd64

package backend

import (
	"cmp"
	"slices"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// SetWatch makes w, which the user knows as expr, one of t's breakpoints, with
// the conditions and counts of the logical breakpoint id. Delve keeps watchpoints
// among its breakpoints, by the address of the data.
func (p *Process) SetWatch(t *proc.Target, id int, w live.Watch, expr string) error {
	bp, err := t.SetBreakpoint(id, w.Addr, proc.UserBreakpoint, nil)
	if err != nil {
		return err
	}
	const sizeShift = 4 // proc.WatchType.Size
	bp.WatchExpr = expr
	bp.WatchType = proc.WatchWrite | proc.WatchType(w.Len)<<sizeShift
	if w.Read {
		bp.WatchType |= proc.WatchRead
	}
	return nil
}

// watches are those in Delve's map.
func (p *Process) watches() []live.Watch {
	var list []live.Watch
	for addr, bp := range p.bps.M {
		if bp.WatchType != 0 {
			list = append(list, live.Watch{Addr: addr, Len: bp.WatchType.Size(), Read: bp.WatchType.Read()})
		}
	}
	slices.SortFunc(list, func(a, b live.Watch) int { return cmp.Compare(a.Addr, b.Addr) })
	return list
}

// showHit makes the thread stand at the watch that was hit first of those that
// Delve has not judged yet; false if there is none. Several may have been hit on
// the way to one stop, and each has its own condition and count.
func (p *Process) showHit() bool {
	for len(p.hits) > 0 {
		p.hit, p.hits = p.hits[0], p.hits[1:]
		if bp := p.bps.M[p.hit.Watch.Addr]; bp != nil && bp.WatchType != 0 {
			p.thread.bp.Clear()
			p.thread.bp.Breakpoint = bp
			return true
		}
	}
	return false
}

// Hit is the access that the request is stopped for; ok is false if it is
// stopped for another reason.
func (p *Process) Hit() (h live.Hit, ok bool) {
	bp := p.thread.bp.Breakpoint
	return p.hit, bp != nil && bp.WatchType != 0
}
