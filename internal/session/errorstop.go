//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"go/constant"
	"go/parser"
	"slices"

	"github.com/go-delve/delve/pkg/proc"
)

// An error response is watched where net/http writes a header: in ordinary code, so
// that the request is frozen there like at any breakpoint. What decides is judged
// then: a request writes one header as a rule.

// headerFunctions write the header of a response, its status in their argument
// code: HTTP/1's and HTTP/2's. Frameworks on net/http end in one of them.
var headerFunctions = []string{
	"net/http.(*response).WriteHeader",
	"net/http.(*http2responseWriter).WriteHeader",
}

// locateResponse finds them.
func (s *Session) locateResponse(b *userBreakpoint) {
	for _, name := range headerFunctions {
		// An error means that the program has no such function.
		if addrs, err := proc.FindFunctionLocation(s.e.symbols, name, 0); err == nil {
			b.addrs = append(b.addrs, addrs...)
		}
	}
	slices.Sort(b.addrs)
	if len(b.addrs) == 0 {
		b.err = errors.New("this program has no server of net/http, and where another one writes a response's status is not known")
	}
}

var errNoStatus = errors.New("the status that is being written cannot be read")

// writtenResponse reads what is being written at one of headerFunctions, and finds
// who asked for it: the innermost frame outside of net/http.
func (r *request) writtenResponse(frames []proc.Stackframe) (at ExceptionStop, err error) {
	t := r.group.Selected
	if len(frames) == 0 {
		return at, errNoStatus
	}
	scope := proc.FrameToScope(t, t.Memory(), nil, t.CurrentThread().ThreadID(), frames...)
	code, err := scope.EvalExpression("code", proc.LoadConfig{})
	switch {
	case err != nil:
		return at, err
	case code.Unreadable != nil:
		return at, code.Unreadable
	case code.Value == nil:
		return at, errNoStatus
	}
	status, _ := constant.Int64Val(code.Value)
	at.Status = int(status)
	for i := range frames {
		if fn := frames[i].Call.Fn; fn != nil && fn.PackageName() != "net/http" {
			if fn.PackageName() != "runtime" {
				at.Hidden = i
			}
			break
		}
	}
	return at, nil
}

// returnTo runs to where the function of a calling frame goes on, as a step out of
// all that it has called. Called under the brain lock.
func (r *request) returnTo(index int) outcome {
	t := r.group.Selected
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), index+1)
	if err != nil || index >= len(frames) {
		return r.judge(StopStep, r.passLogPoints(r.group.StepOut()))
	}
	cond, err := parser.ParseExpr(fmt.Sprintf("runtime.frameoff == %d", frames[index].FrameOffset()))
	if err == nil {
		_, err = t.SetBreakpoint(0, frames[index].Current.PC, proc.NextBreakpoint, cond)
	}
	if err != nil {
		return r.judge(StopStep, err)
	}
	return r.judge(StopStep, r.passLogPoints(r.group.Continue()))
}
