//go:build linux && amd64

package backend

import (
	"errors"

	"github.com/go-delve/delve/pkg/dwarf/op"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/amd64util"
	"github.com/go-delve/delve/pkg/proc/linutil"
	"github.com/remotedbg/remotedbg/internal/live"
)

// errRegisters refuses writes: a frozen request's registers are put back by
// the thaw, which does not take changes.
var errRegisters = errors.New("registers of a frozen request cannot be written")

// thread is the request's thread, with the registers that it was frozen with.
type thread struct {
	p      *Process
	tid    int
	regs   *registers
	bp     proc.BreakpointState
	common proc.CommonThread
}

// show makes fr the thread's present. The breakpoint is looked up by the
// address that was hit, not by the PC: if that was no safe point, the thread
// was moved on by some instructions.
func (t *thread) show(fr *live.Frozen) {
	t.regs = newRegisters(fr.State)
	t.bp.Clear()
	switch fr.Cause {
	case live.CauseStop:
		t.bp.Breakpoint = t.p.bps.M[fr.Addr]
		if fr.Strayed && t.bp.Breakpoint != nil && frameBound(t.bp.Breakpoint) {
			t.bp.Breakpoint = stepEnd(t.regs.PC())
		}
	case live.CauseReturn:
		t.bp.Breakpoint = t.p.returnBreakpoint(fr.Addr)
	case live.CauseWatch:
		t.p.showHit()
	}
}

// stepEnd is a breakpoint at which Delve takes a step for finished, whatever frame
// the thread is in. Its own for the step has a condition on the frame, and with it
// false Delve would let the request go on, to its end.
func stepEnd(pc uint64) *proc.Breakpoint {
	return &proc.Breakpoint{Addr: pc, Breaklets: []*proc.Breaklet{{Kind: proc.NextBreakpoint}}}
}

func (t *thread) Breakpoint() *proc.BreakpointState      { return &t.bp }
func (t *thread) ThreadID() int                          { return t.tid }
func (t *thread) Registers() (proc.Registers, error)     { return t.regs, nil }
func (t *thread) RestoreRegisters(proc.Registers) error  { return errRegisters }
func (t *thread) BinInfo() *proc.BinaryInfo              { return t.p.cfg.BinInfo }
func (t *thread) ProcessMemory() proc.MemoryReadWriter   { return t.p.cfg.Memory }
func (t *thread) SoftExc() bool                          { return false }
func (t *thread) Common() *proc.CommonThread             { return &t.common }
func (t *thread) SetReg(uint64, *op.DwarfRegister) error { return errRegisters }
func (t *thread) SetCurrentBreakpoint(adjustPC bool) error {
	t.bp.Clear()
	t.bp.Breakpoint = t.p.bps.M[t.regs.PC()]
	return nil
}

// registers are those of a frozen request. While it is frozen its thread runs
// another goroutine (the injected call), so the g cannot be read from the
// thread's local storage: GAddr gives the frozen one.
type registers struct {
	*linutil.AMD64Registers
	g uint64
}

func newRegisters(st live.State) *registers {
	raw := linutil.AMD64PtraceRegs(st.Regs)
	load := func(r *linutil.AMD64Registers) error {
		var xs amd64util.AMD64Xstate
		if len(st.XState) > 0 {
			if err := amd64util.AMD64XstateRead(st.XState, true, &xs, 0); err != nil {
				return err
			}
		}
		r.Fpregs, r.Fpregset = xs.Decode(), &xs
		return nil
	}
	return &registers{AMD64Registers: linutil.NewAMD64Registers(&raw, load), g: st.G}
}

// GAddr implements proc.Registers.
func (r *registers) GAddr() (uint64, bool) { return r.g, r.g != 0 }

// Copy implements proc.Registers.
func (r *registers) Copy() (proc.Registers, error) {
	c, err := r.AMD64Registers.Copy()
	if err != nil {
		return nil, err
	}
	return &registers{AMD64Registers: c.(*linutil.AMD64Registers), g: r.g}, nil
}
