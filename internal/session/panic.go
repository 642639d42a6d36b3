//go:build linux && amd64

package session

import (
	"errors"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// panicDetours says how requests go on from the functions in which panics begin
// and are recovered, since they cannot be frozen there: from runtime.gopanic to
// the first deferred function, of which the gate has one at least, and from
// runtime.gorecover to the deferred function that called it. The panicking frame
// is intact all that time: deferred functions run on top of it.
//
// A function breakpoint of a client's in runtime.gopanic, which lies behind its
// prologue, goes the same way.
func panicDetours(p proc.Process, mem proc.MemoryReadWriter) map[uint64]live.Detour {
	bi, detours := p.BinInfo(), make(map[uint64]live.Detour)
	if fn := function(bi, raiseFunction); fn != nil {
		if calls, err := indirectCalls(bi, mem, fn); err == nil && len(calls) > 0 {
			d := live.Detour{Calls: calls}
			if end := function(bi, endFunction); end != nil {
				d.End, d.EndWhy = end.Entry, "a panic that nothing recovers, on a goroutine that has no deferred function to freeze it in; the process ends now"
			}
			detours[fn.Entry] = d
			// An error means that nobody can set one either.
			if addrs, err := proc.FindFunctionLocation(p, raiseFunction, 0); err == nil && len(addrs) == 1 {
				detours[addrs[0]] = d
			}
		}
	}
	if fn := function(bi, recoverFunction); fn != nil {
		detours[fn.Entry] = live.Detour{Result: true}
	}
	return detours
}

func function(bi *proc.BinaryInfo, name string) *proc.Function {
	for _, fn := range bi.LookupFunc()[name] {
		if fn.Entry != 0 {
			return fn
		}
	}
	return nil
}

// indirectCalls lists the calls in fn whose target is in a register or in memory.
// In runtime.gopanic the only one is that of the deferred functions.
func indirectCalls(bi *proc.BinaryInfo, mem proc.MemoryReadWriter, fn *proc.Function) ([]uint64, error) {
	none := proc.NewBreakpointMap()
	list, err := proc.Disassemble(mem, nil, &none, bi, fn.Entry, fn.End)
	if err != nil {
		return nil, err
	}
	var calls []uint64
	for i := range list {
		if list[i].IsCall() && len(list[i].Bytes) > 0 && list[i].Bytes[0] != callRelative {
			calls = append(calls, list[i].Loc.PC)
		}
	}
	return calls, nil
}

// callRelative is the CALL with a 32-bit distance (Intel SDM vol. 2, CALL).
const callRelative = 0xe8

var errNoPanic = errors.New("its stack does not show one")

// panickingFrame finds the innermost frame below runtime.gopanic that is not
// the runtime's own, which it has for faults, failed assertions and the like.
func panickingFrame(frames []proc.Stackframe, text *textMap) (int, error) {
	below := false
	for i := range frames {
		fn := frames[i].Current.Fn
		switch {
		case fn == nil:
		case fn.Name == raiseFunction:
			below = true
		case below && !text.runtime(frames[i].Current.PC):
			return i, nil
		}
	}
	return 0, errNoPanic
}

// enterDeferred answers a step from a panic: the function that panicked never
// goes on, and what runs next is the deferred function that the request is frozen
// in already. Called under the brain lock.
func (r *request) enterDeferred() outcome {
	t := r.group.Selected
	regs, err := t.CurrentThread().Registers()
	if err != nil {
		return r.judge(StopStep, err)
	}
	t.StopReason = proc.StopNextFinished
	fn := r.e.bi.PCToFunc(regs.PC())
	if fn == nil {
		return r.judge(StopStep, nil)
	}
	first, err := proc.FirstPCAfterPrologue(t, fn, false)
	if err != nil || first <= regs.PC() {
		return r.judge(StopStep, nil)
	}
	if _, err := t.SetBreakpoint(0, first, proc.NextBreakpoint, nil); err != nil {
		return r.judge(StopStep, err)
	}
	return r.judge(StopStep, r.passLogPoints(r.group.Continue()))
}
