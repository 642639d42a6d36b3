//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// exceptionInfo tells of the error response that the frozen request writes, of the
// error that a function returns, or of the panic that it is in: while a panic runs
// the deferred functions, a stop in one of them sees it.
func (c *conn) exceptionInfo(_ context.Context, args threadArguments) (dap.ExceptionInfoResponseBody, error) {
	var body dap.ExceptionInfoResponseBody
	f := c.innermost(session.RequestID(args.ThreadID))
	at := c.handles.exceptionAt(f.req)
	err := c.view(f, kindNoPanic, func(x *viewer) error {
		if at == nil {
			at = &session.ExceptionStop{} // in a deferred function, of a panic that did not stop it
		}
		e, err := x.exceptionHere(*at)
		if err != nil {
			return err
		}
		body = x.exceptionBody(&e)
		return nil
	})
	return body, err
}

// innermost is the innermost frame that is shown of a request: at a panic the one
// that panicked, below the deferred function in which the request is frozen.
func (c *conn) innermost(id session.RequestID) *frame {
	f := &frame{req: id}
	if at := c.handles.exceptionAt(id); at != nil {
		f.index = at.Hidden
	}
	return f
}

// exceptionAt is what the request's stop is at, nil if at no exception.
func (h *handles) exceptionAt(id session.RequestID) *session.ExceptionStop {
	if s := h.byReq[id]; s != nil {
		return s.exception
	}
	return nil
}

// panicked is the innermost panic that is under way in the goroutine.
func (x *viewer) panicked() (val, error) {
	under, err := x.scope.EvalExpression("runtime.curg._panic != nil && !runtime.curg._panic.goexit", firstLook)
	if err != nil {
		return val{}, err
	}
	if text(x.g, under) != "true" {
		return val{}, kindNoPanic.becauseOf("the request stands at a breakpoint or a step, and no panic is under way in it")
	}
	arg, err := x.scope.EvalExpression(session.PanicValue, proc.LoadConfig{})
	if err != nil {
		return val{}, err
	}
	return x.of(arg).dynamic(), nil
}

// exceptionBody describes e for a client.
func (x *viewer) exceptionBody(e *exception) dap.ExceptionInfoResponseBody {
	details := dap.ExceptionDetails{Message: e.message}
	if e.at.Status == 0 {
		details = detailsOf(e.value, e.message)
		details.EvaluateName = e.at.Value()
		details.InnerException = x.innerErrors(e.value)
	}
	details.StackTrace = x.stackText()
	return dap.ExceptionInfoResponseBody{
		ExceptionId: exceptionKind(&e.at), Description: e.text(), BreakMode: "always", Details: &details,
	}
}

// maxDescription bounds what a client shows above the line: VS Code shows all of
// it in its widget.
const maxDescription = 300

// exceptionKind says in few words what sort of exception it is.
func exceptionKind(at *session.ExceptionStop) string {
	switch {
	case at.Status != 0:
		return "error response"
	case at.Returned != 0:
		return "returned error"
	case at.Recovered:
		return "recovered panic"
	case at.Fatal:
		return "fatal panic"
	}
	return "panic"
}

func detailsOf(e val, message string) dap.ExceptionDetails {
	name := "nil"
	if e.ok() {
		name = e.typeName()
	}
	return dap.ExceptionDetails{Message: message, TypeName: shortName(name), FullTypeName: name}
}

// innerErrors are the errors that the error p wraps, each in the one that wraps
// it.
func (x *viewer) innerErrors(p val) []dap.ExceptionDetails {
	list, _ := errorChain(p)
	if len(list) < 2 {
		return nil
	}
	var below func(path string) []dap.ExceptionDetails
	below = func(path string) (inner []dap.ExceptionDetails) {
		for _, l := range list[1:] {
			// "[0.1]" is below "[0]"; its own are longer by one more number.
			up := l.path[:strings.LastIndexByte(l.path, '.')] + "]"
			if up != path {
				continue
			}
			d := detailsOf(l.at, strings.Trim(l.text, `"`))
			d.InnerException = below(l.path)
			inner = append(inner, d)
		}
		return inner
	}
	return below(list[0].path)
}

// stackText is the stack as the Go runtime would print it, from the frame on that
// is looked at.
func (x *viewer) stackText() string {
	var b strings.Builder
	if g, err := proc.GetG(x.t.CurrentThread()); err == nil && g != nil {
		fmt.Fprintf(&b, "goroutine %d:\n", g.ID)
	}
	const most = 50
	frames := x.stack[min(x.f.index, len(x.stack)):]
	for i := range frames {
		if i == most {
			b.WriteString("...\n")
			break
		}
		loc := &frames[i].Call
		fmt.Fprintf(&b, "%s(...)\n\t%s:%d\n", functionName(loc.Fn), loc.File, loc.Line)
	}
	return b.String()
}

// isAbort says whether p is http.ErrAbortHandler, with which handlers end a
// response on purpose: net/http says nothing of it either.
func (x *viewer) isAbort(p val) bool {
	at, ok := p.pointer()
	if !ok || p.typeName() != "*errors.errorString" {
		return false
	}
	abort, err := x.scope.EvalExpression(`"net/http".ErrAbortHandler`, proc.LoadConfig{})
	if err != nil {
		return false // no part of the program
	}
	is, ok := x.of(abort).dynamic().pointer()
	return ok && is == at
}

// atException makes a viewer of the frame that panicked or responds, for the
// goroutine of the request: nothing of a connection is touched.
func atException(t *proc.Target, guard *taint.Guard, at session.ExceptionStop) (*viewer, error) {
	frames, err := unwind(t, max(at.Hidden+1, wholeStack))
	if err != nil {
		return nil, err
	}
	if at.Hidden >= len(frames) {
		return nil, fmt.Errorf("the stack has %d frames", len(frames))
	}
	g, _ := proc.GetG(t.CurrentThread())
	scope := proc.FrameToScope(t, t.Memory(), g, t.CurrentThread().ThreadID(), frames[at.Hidden:]...)
	return &viewer{
		showing: &showing{types: make(map[uint64]dynType)}, h: newHandles(),
		f: &frame{index: at.Hidden}, scope: scope, t: t, stack: slices.Clone(frames), g: guard, seen: new(taint.Extents),
	}, nil
}
