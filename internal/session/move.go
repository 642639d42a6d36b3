//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/live"
)

// begin makes the Delve target of a request that froze for the first time and
// judges the stop.
func (r *request) begin(fr *live.Frozen) outcome {
	e := r.e
	e.brain.Lock()
	defer e.brain.Unlock()
	if err := r.bindTarget(fr); err != nil {
		r.thread.Release()
		r.session.output(fmt.Sprintf("%s: no Delve target: %v; it runs on", r.name, err))
		return outcome{err: proc.ErrProcessDetached}
	}
	r.syncBreakpoints()
	r.searchFirst()
	switch {
	case fr.Cause == live.CauseText:
		return r.enterHandler()
	case fr.Cause == live.CausePause, r.pause.addr != 0 && fr.Addr == r.pause.addr:
		r.proc.Show()
		return r.judge(StopPause, nil)
	}
	return r.judge(StopBreakpoint, r.passLogPoints(r.group.Continue())) // shown the stop that it is at
}

// move carries out cmd on a frozen request.
func (r *request) move(cmd command) outcome {
	r.e.brain.Lock()
	defer r.e.brain.Unlock()
	r.search = nil
	at := r.exception
	r.exception = nil
	r.fence.returned = returnedWords{}
	r.watchReturns()
	if at != nil {
		if out, ok := r.stepFromException(at, cmd); ok {
			return out
		}
	}
	var err error
	switch cmd {
	case commandContinue:
		err = r.group.Continue()
	case commandNext:
		err = r.group.Next()
	case commandStepIn:
		err = r.group.Step()
	case commandStepOut:
		err = r.group.StepOut()
	case commandStepInstruction:
		err = r.group.StepInstruction(false)
	case commandNextInstruction:
		err = r.group.StepInstruction(true)
	}
	return r.judge(StopStep, r.passLogPoints(err))
}

// enterHandler takes a request that has just entered the first function of the
// user's to that function's first line. Compiler-made wrappers (method values,
// promoted methods) are passed.
func (r *request) enterHandler() outcome {
	const wrappers = 8
	bi, t := r.e.bi, r.group.Selected
	for range wrappers {
		r.proc.Show()
		regs, err := t.CurrentThread().Registers()
		if err != nil {
			return r.judge(StopEntry, err)
		}
		file, _, fn := bi.PCToLine(regs.PC())
		if fn == nil || file != wrapperFile {
			return r.passPrologue(t, fn, regs.PC())
		}
		err = r.proc.Run(live.Plan{
			UntilText: func(pc uint64) bool { return r.e.text.user(pc) && (pc < fn.Entry || pc >= fn.End) },
			OverText:  r.e.text.runtime,
		})
		if err != nil {
			return outcome{err: err}
		}
		if err := r.proc.Refocus(t); err != nil {
			return outcome{err: err}
		}
	}
	return r.judge(StopEntry, nil)
}

// passPrologue runs from a function's entry to behind its prologue, where its
// frame and arguments are complete.
func (r *request) passPrologue(t *proc.Target, fn *proc.Function, pc uint64) outcome {
	if fn == nil {
		return r.judge(StopEntry, nil)
	}
	first, err := proc.FirstPCAfterPrologue(t, fn, false)
	if err != nil || first <= pc {
		return r.judge(StopEntry, err)
	}
	if _, err := t.SetBreakpoint(0, first, proc.NextBreakpoint, nil); err != nil {
		return r.judge(StopEntry, err)
	}
	return r.judge(StopEntry, r.group.Continue())
}

// judge says why the request stands where Delve left it; usual is the reason if
// Delve has no better one.
func (r *request) judge(usual StopReason, err error) outcome {
	out := outcome{reason: usual, err: err}
	if out.gone() {
		return out
	}
	r.pause = pauseState{}
	t := r.group.Selected
	switch t.StopReason {
	case proc.StopBreakpoint:
		out.reason = StopBreakpoint
		if bp := t.CurrentThread().Breakpoint(); bp.Breakpoint != nil && bp.LogicalID() > 0 {
			out.ids = []int{bp.LogicalID()}
		}
	case proc.StopManual:
		out.reason = StopPause
	}
	if out.hit = r.dataHit(); out.hit != nil {
		out.reason = StopData
		if id := t.CurrentThread().Breakpoint().LogicalID(); id > 0 {
			out.ids = []int{id}
		}
	}
	if r.exception != nil {
		out.reason = StopException
	}
	if loc, err := proc.ThreadLocation(t.CurrentThread()); err == nil && loc.Fn != nil {
		if file, line, ok := r.session.SourceLine(loc.PC); ok && loc.File == wrapperFile {
			loc.File, loc.Line = file, line
		}
		out.where = fmt.Sprintf("%s %s:%d", loc.Fn.Name, filepath.Base(loc.File), loc.Line)
		out.spot = spot{loc.File, loc.Fn.Name, loc.Line}
	}
	r.tellUnarmed()
	return out
}

// tellUnarmed says which of the user's breakpoints were not watched on the way.
func (r *request) tellUnarmed() {
	last := r.proc.Last()
	if last == nil {
		return
	}
	if names := r.session.places(last.Unarmed); names != "" {
		r.session.output(fmt.Sprintf("%s: not watched while a step ran over a call: a thread has %d hardware breakpoints, and the step needs one; remove breakpoints to have all watched", names, live.HardwareSlots))
	}
}

// passed is told of stops at which the request could not be frozen. It is
// called by the request's own goroutine, without the brain lock.
func (r *request) passed(p live.Passed) {
	switch p.Cause {
	case live.CausePause:
		r.pauseLater(p)
		return
	case live.CauseProbes:
		r.probesOff(p)
		return
	case live.CauseWatch:
		r.session.output(fmt.Sprintf("%s was not stopped for the data breakpoint at %#x: %s", r.name, p.Addr, p.Why))
		return
	}
	r.e.brain.Lock()
	file, line, fn := r.e.bi.PCToLine(p.Addr)
	r.e.brain.Unlock()
	name := "?"
	if fn != nil {
		name = fn.Name
	}
	r.session.output(fmt.Sprintf("%s does not stop at %s (%s:%d): %s", r.name, name, filepath.Base(file), line, p.Why))
}

// pauseLater arranges for a request that is blocked or inside the runtime to
// stop when it comes back to code of the user's: its thread may be asleep in
// the kernel, where nothing can be injected.
func (r *request) pauseLater(p live.Passed) {
	r.e.brain.Lock()
	defer r.e.brain.Unlock()
	addr, where, err := r.returnAddress(p.G)
	if errors.Is(err, errMoving) || errors.Is(err, errNotYet) && r.pause.tries < notYetTries {
		r.pauseAgain() // it may be out of the runtime, or in the handler, soon
		return
	}
	if err != nil {
		r.session.output(fmt.Sprintf("%s cannot be paused now: %s, and its stack cannot be read: %v", r.name, p.Why, err))
		return
	}
	r.session.output(fmt.Sprintf("%s is blocked below %s: it will stop when it gets back there", r.name, where))
	r.pause.addr = addr
	if r.group == nil {
		armed := r.session.armed.Load()
		stops, _ := armed.split(r.e, len(armed.watches(r.root)))
		r.thread.SetStops(append([]uint64{addr}, stops...))
		return
	}
	if _, err := r.group.Selected.SetBreakpoint(0, addr, proc.NextBreakpoint, nil); err != nil {
		return // there is one already
	}
	r.proc.Refresh()
}

// pauseState is what became of a request to pause. Guarded by Engine.brain.
type pauseState struct {
	addr  uint64 // where a blocked request is to stop when it goes on; 0: not blocked
	again bool   // a further try is due
	tries int
}

// pauseAgain tries a pause again that came at a bad moment: later and later,
// since each try costs the request time, and one at a time.
func (r *request) pauseAgain() {
	if r.pause.again {
		return
	}
	const first, last = 5 * time.Millisecond, 200 * time.Millisecond
	delay := min(first<<min(r.pause.tries, 10), last)
	r.pause.again = true
	r.pause.tries++
	time.AfterFunc(delay, func() {
		r.e.brain.Lock()
		due := r.pause.again
		r.pause.again = false
		r.e.brain.Unlock()
		if due {
			r.thread.Pause()
		}
	})
}

// startPause asks a running request to stop. Called under the brain lock.
func (r *request) startPause() error {
	switch {
	case r.pause.again, r.pause.addr != 0:
		return nil // it is being tried
	case r.group == nil:
		r.thread.Pause()
		return nil
	}
	return r.group.RequestManualStop()
}

var (
	errMoving = errors.New("the goroutine is running")
	errNotYet = errors.New("no function of the main module is on it")
)

// notYetTries is how often a request that is not in the user's code is tried: it
// may only be on the way to its handler.
const notYetTries = 20

// returnAddress finds where the innermost function of the user's on the stack
// of the parked goroutine at address g will go on.
func (r *request) returnAddress(g uint64) (addr uint64, where string, err error) {
	any := r.group // any target of the process can unwind
	if any == nil {
		if any, err = r.e.anyTarget(); err != nil {
			return 0, "", err
		}
	}
	parked, err := backend.Parked(any.Selected, r.e.backendConfig(), g)
	if err != nil {
		return 0, "", err
	}
	if parked == nil {
		return 0, "", errMoving
	}
	for _, f := range parked {
		if r.e.text.user(f.Current.PC) && f.Call.Fn != nil {
			return f.Current.PC, fmt.Sprintf("%s (%s:%d)", f.Call.Fn.Name, filepath.Base(f.Call.File), f.Call.Line), nil
		}
	}
	return 0, "", errNotYet
}
