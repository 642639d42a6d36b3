//go:build linux && amd64

package session

import (
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
)

// ExceptionStop says what a request that is frozen at an exception stands at: a
// panic, with Status an error response, with Returned an error that is returned.
type ExceptionStop struct {
	// Recovered: a deferred function has just called recover and was given the
	// panic's value. Otherwise none has run yet.
	Recovered bool
	// Fatal: no deferred function that is pending calls recover, so that the
	// panic will end the process when the request goes on.
	Fatal bool
	// Status is that of the response that is being written, 0 at a panic.
	Status int
	// Returned is the address of the error, an interface value, that a function is
	// about to return, readable for the time of the stop; 0 at anything else.
	Returned uint64
	// By is the function that has returned it, if the request could not be frozen
	// in that any more and stands in its caller.
	By string
	// Hidden is how many of Delve's frames lie above the one that panicked: the
	// deferred function in which the request is frozen, and the runtime. For a
	// response those of net/http.
	Hidden int
}

// PanicValue is an expression for the value of the innermost panic that is under
// way in the goroutine of a scope (runtime.g and runtime._panic in
// runtime/runtime2.go).
const PanicValue = "runtime.curg._panic.arg"

// Value is an expression for the panic's value or the error, in any frame of the
// goroutine; "" at a response, which has none.
func (at *ExceptionStop) Value() string {
	switch {
	case at.Status != 0:
		return ""
	case at.Returned != 0:
		return fmt.Sprintf("(*(*error)(%#x))", at.Returned)
	}
	return PanicValue
}

// ExceptionFilter says at which exceptions of a kind requests stop.
type ExceptionFilter struct {
	// Judge is called at each one with the request's target, as in
	// Session.Inspect, and says whether the request stops there and what to
	// tell of it. It runs on the request's goroutine.
	Judge func(t *proc.Target, at ExceptionStop) (stop bool, text string)
}

// ExceptionFilters are those of a session; nil: requests do not stop at such.
type ExceptionFilters struct {
	Raised    *ExceptionFilter // any panic, before any recover
	Fatal     *ExceptionFilter // one that nothing will recover, before its deferred functions run
	Recovered *ExceptionFilter // one that was just recovered
	Response  *ExceptionFilter // a response whose header is being written
	Returned  *ExceptionFilter // an error that a function of the main module returns first
}

// ExceptionBreakpoints are where the filters stop requests: they say whether they
// are armed. That of a filter that is nil is the zero Breakpoint; Raised is
// Fatal's, too.
type ExceptionBreakpoints struct{ Raised, Recovered, Response, Returned Breakpoint }

// Functions of the runtime in which panics begin and are recovered.
const (
	raiseFunction   = "runtime.gopanic"
	recoverFunction = "runtime.gorecover"
	endFunction     = "runtime.fatalpanic" // of a panic that was not recovered
)

// exceptionList is the list of the breakpoints of exceptions.
const exceptionList = "\x00exceptions"

// exceptionPoint is the breakpoint of one kind of exception. It needs hardware
// breakpoints of the request's thread: no other request pays for it.
type exceptionPoint struct {
	kind    exceptionKind
	filters ExceptionFilters
}

type exceptionKind int

const (
	panicRaised exceptionKind = iota
	panicRecovered
	responseWritten
	errorReturned
)

// SetExceptionFilters replaces the filters.
func (s *Session) SetExceptionFilters(f ExceptionFilters) (set ExceptionBreakpoints, err error) {
	var want []asked
	add := func(kind exceptionKind) {
		want = append(want, asked{list: exceptionList, exception: &exceptionPoint{kind, f}})
	}
	if f.Raised != nil || f.Fatal != nil {
		add(panicRaised)
	}
	if f.Recovered != nil {
		add(panicRecovered)
	}
	if f.Response != nil {
		add(responseWritten)
	}
	if f.Returned != nil {
		add(errorReturned)
	}
	got, err := s.set(exceptionList, want)
	if err != nil {
		return set, err
	}
	for i, b := range got {
		switch want[i].exception.kind {
		case panicRaised:
			set.Raised = b
		case panicRecovered:
			set.Recovered = b
		case responseWritten:
			set.Response = b
		case errorReturned:
			set.Returned = b
		}
	}
	return set, nil
}

// locateException finds where an exceptionPoint is.
func (s *Session) locateException(b *userBreakpoint) {
	name := raiseFunction
	switch b.asked.exception.kind {
	case responseWritten:
		s.locateResponse(b)
		return
	case errorReturned:
		s.locateReturns(b)
		return
	case panicRecovered:
		name = recoverFunction
	}
	for addr := range s.e.live.Detours {
		if fn := s.e.bi.PCToFunc(addr); fn != nil && fn.Name == name && fn.Entry == addr {
			b.addrs = []uint64{addr}
			return
		}
	}
	b.err = fmt.Errorf("%s of this program's Go runtime is not as expected: its panics cannot be stopped at", name)
}

// stopsAtException judges the exception that the request stands at, and keeps what
// is known of it if the request is to stop. Called under the brain lock.
func (r *request) stopsAtException(p *exceptionPoint) bool {
	t := r.group.Selected
	r.searchSometimes()
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), exceptionDepth)
	var at ExceptionStop
	var filters []*ExceptionFilter
	switch {
	case err != nil:
	case p.kind == responseWritten:
		at, err = r.writtenResponse(frames)
		filters = []*ExceptionFilter{p.filters.Response}
	case p.kind == errorReturned:
		var fresh bool
		if at, fresh, err = r.returnedError(frames); err == nil && !fresh {
			r.passReturn()
			return false
		}
		filters = []*ExceptionFilter{p.filters.Returned}
	default:
		at.Hidden, err = panickingFrame(frames, r.e.text)
		at.Recovered = p.kind == panicRecovered
		at.Fatal = !at.Recovered && err == nil && r.nothingRecovers(frames)
		filters = p.filters.of(at)
	}
	if err != nil {
		r.session.output(fmt.Sprintf("%s does not stop at an exception: %v", r.name, err))
		return false
	}
	r.searchValue(frames, &at)
	for _, f := range filters {
		if f == nil {
			continue
		}
		if stop, text := f.Judge(t, at); stop {
			r.searchOn() // the text leaves before anybody looks
			r.exception, r.exceptionText = &at, r.session.Guard().Text(text)
			return true
		}
	}
	if p.kind == errorReturned {
		r.passReturn()
	}
	return false
}

// of lists the filters that a panic is for.
func (f *ExceptionFilters) of(at ExceptionStop) []*ExceptionFilter {
	switch {
	case at.Recovered:
		return []*ExceptionFilter{f.Recovered}
	case at.Fatal:
		return []*ExceptionFilter{f.Raised, f.Fatal}
	}
	return []*ExceptionFilter{f.Raised}
}

// exceptionDepth bounds the frames that are read at an exception. The frame that
// panicked is among the first; a runaway recursion has more below.
const exceptionDepth = 4096

// stepFromException carries out a step from an exception; ok is false if it is a
// movement like any other. Called under the brain lock.
func (r *request) stepFromException(at *ExceptionStop, cmd command) (out outcome, ok bool) {
	switch cmd {
	case commandNext, commandStepIn, commandStepOut:
	default:
		return out, false
	}
	switch {
	case at.Status != 0 && at.Hidden > 0:
		return r.returnTo(at.Hidden), true
	case at.Status == 0 && at.Returned == 0 && !at.Recovered:
		return r.enterDeferred(), true
	}
	return out, false
}
