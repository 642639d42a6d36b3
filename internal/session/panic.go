//go:build linux && amd64

package session

import (
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// PanicStop says what a request that is frozen at a panic stands at.
type PanicStop struct {
	// Recovered: a deferred function has just called recover and was given the
	// panic's value. Otherwise none has run yet.
	Recovered bool
	// Fatal: no deferred function that is pending calls recover, so that the
	// panic will end the process when the request goes on.
	Fatal bool
	// Hidden is how many of Delve's frames lie above the one that panicked:
	// the deferred function in which the request is frozen, and the runtime.
	Hidden int
}

// PanicFilter says at which panics requests stop.
type PanicFilter struct {
	// Judge is called at each panic with the request's target, as in
	// Session.Inspect, and says whether the request stops there and what to
	// tell of it. It runs on the request's goroutine.
	Judge func(t *proc.Target, at PanicStop) (stop bool, text string)
}

// PanicFilters are those of a session; nil: requests do not stop at such.
type PanicFilters struct {
	Raised    *PanicFilter // any panic, before any recover
	Fatal     *PanicFilter // one that nothing will recover, before its deferred functions run
	Recovered *PanicFilter // one that was just recovered
}

// Functions of the runtime in which panics begin and are recovered.
const (
	raiseFunction   = "runtime.gopanic"
	recoverFunction = "runtime.gorecover"
	endFunction     = "runtime.fatalpanic" // of a panic that was not recovered
)

// exceptionList is the list of the breakpoints of panics.
const exceptionList = "\x00exceptions"

// panicPoint is the breakpoint in one of these functions. It needs a hardware
// breakpoint of the request's thread: no other request pays for it.
type panicPoint struct {
	function string
	filters  PanicFilters
}

// SetPanicFilters replaces the filters. The breakpoints say whether they are
// armed; one of a filter that is nil is the zero Breakpoint. Raised and Fatal are
// at the same one.
func (s *Session) SetPanicFilters(f PanicFilters) (raised, recovered Breakpoint, err error) {
	var want []asked
	if f.Raised != nil || f.Fatal != nil {
		want = append(want, asked{list: exceptionList, panics: &panicPoint{raiseFunction, f}})
	}
	if f.Recovered != nil {
		want = append(want, asked{list: exceptionList, panics: &panicPoint{recoverFunction, f}})
	}
	got, err := s.set(exceptionList, want)
	if err != nil {
		return raised, recovered, err
	}
	for i, b := range got {
		if want[i].panics.function == raiseFunction {
			raised = b
		} else {
			recovered = b
		}
	}
	return raised, recovered, nil
}

// locatePanic finds where a panicPoint is.
func (s *Session) locatePanic(b *userBreakpoint) {
	for addr := range s.e.live.Detours {
		if fn := s.e.bi.PCToFunc(addr); fn != nil && fn.Name == b.asked.panics.function {
			b.addrs = []uint64{addr}
			return
		}
	}
	b.err = fmt.Errorf("%s of this program's Go runtime is not as expected: its panics cannot be stopped at", b.asked.panics.function)
}

// panicDetours says how requests go on from the functions in which panics begin
// and are recovered, since they cannot be frozen there: from runtime.gopanic to
// the first deferred function, of which the gate has one at least, and from
// runtime.gorecover to the deferred function that called it. The panicking frame
// is intact all that time: deferred functions run on top of it.
func panicDetours(bi *proc.BinaryInfo, mem proc.MemoryReadWriter) map[uint64]live.Detour {
	detours := make(map[uint64]live.Detour)
	if fn := function(bi, raiseFunction); fn != nil {
		if calls, err := indirectCalls(bi, mem, fn); err == nil && len(calls) > 0 {
			d := live.Detour{Calls: calls}
			if end := function(bi, endFunction); end != nil {
				d.End, d.EndWhy = end.Entry, "a panic that nothing recovers, on a goroutine that has no deferred function to freeze it in; the process ends now"
			}
			detours[fn.Entry] = d
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

// stopsAtPanic judges the panic that the request stands at, and keeps what is
// known of it if the request is to stop. Called under the brain lock.
func (r *request) stopsAtPanic(p *panicPoint) bool {
	at := PanicStop{Recovered: p.function == recoverFunction}
	t := r.group.Selected
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), panicDepth)
	if err == nil {
		at.Hidden, err = panickingFrame(frames, r.e.text)
	}
	if err != nil {
		r.session.output(fmt.Sprintf("%s does not stop at a panic: %v", r.name, err))
		return false
	}
	filters := []*PanicFilter{p.filters.Recovered}
	if !at.Recovered {
		at.Fatal = r.nothingRecovers(frames)
		filters = []*PanicFilter{p.filters.Raised}
		if at.Fatal {
			filters = append(filters, p.filters.Fatal)
		}
	}
	for _, f := range filters {
		if f == nil {
			continue
		}
		if stop, text := f.Judge(t, at); stop {
			r.panicked, r.panicText = &at, text
			return true
		}
	}
	return false
}

// panicDepth bounds the frames that are read at a panic. The frame that panicked
// is among the first; a runaway recursion has more below.
const panicDepth = 4096

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
