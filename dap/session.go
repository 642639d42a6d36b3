//go:build linux && amd64

package dap

import (
	"context"
	"errors"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// Session is what the server needs of the engine: one IDE's view of one
// debugged process. *session.Session is it in the agent; tests script their
// own. All methods may be called from any goroutine, none may block for
// longer than an inspection takes.
type Session interface {
	Events() <-chan session.Event
	SetStopOnEntry(on bool)
	SetWants(w session.Wants)
	Start()
	SetBreakpoints(file string, want []session.SourceBreakpoint) ([]session.Breakpoint, error)
	SetFunctionBreakpoints(want []session.FunctionBreakpoint) ([]session.Breakpoint, error)
	SetInstructionBreakpoints(want []session.InstructionBreakpoint) ([]session.Breakpoint, error)
	SetExceptionFilters(f session.ExceptionFilters) (session.ExceptionBreakpoints, error)
	SetDataBreakpoints(want []session.DataBreakpoint) ([]session.Breakpoint, error)
	Watchable(id session.RequestID, t *proc.Target, scope *proc.EvalScope, expr string) (session.Data, error)
	WatchableAt(id session.RequestID, t *proc.Target, d session.Data) (session.Data, error)
	Sources() []string
	SourceLine(pc uint64) (file string, line int, ok bool)
	Requests() []session.Request
	Details(id session.RequestID, goroutine uint64) (session.Details, error)
	Status() (session.Status, error)
	Audit() *audit.Log // with this session on every line, may be nil
	Continue(id session.RequestID) error
	Next(id session.RequestID) error
	StepIn(id session.RequestID) error
	StepOut(id session.RequestID) error
	NextInstruction(id session.RequestID) error
	StepInstruction(id session.RequestID) error
	Pause(id session.RequestID) error
	Inspect(id session.RequestID, f func(t *proc.Target) error) error
	Unwind(id session.RequestID, f func(t *proc.Target) error) error                              // Inspect, and f shows no value
	Call(ctx context.Context, id session.RequestID, q session.CallRequest) (invoke.Result, error) // waits for the function, for some seconds at most
	Symbols(f func(bi *proc.BinaryInfo) error) error
	Guard() *taint.Guard // what hides secrets from the client
	WriteMemory(addr uint64, data []byte, partial bool) (int, error)
	Close() error
}

// ForEngine makes the sessions of a server come from e. It exists because
// returning a nil *session.Session as a Session would make a non-nil Session.
func ForEngine(e *session.Engine) func(access.Identity) (Session, error) {
	return func(who access.Identity) (Session, error) {
		s, err := e.NewSession(who)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// sessionError gives an error of the engine the DAP error it stands for; what
// is not one of the known causes becomes other.
func sessionError(err error, other *kind) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrNoRequest):
		return kindNoRequest.because(err)
	case errors.Is(err, session.ErrRunning), errors.Is(err, session.ErrCalling):
		return kindRunning.because(err)
	case errors.Is(err, session.ErrFrozen):
		return kindFrozen.because(err)
	case errors.Is(err, session.ErrBusy):
		return kindBusy.because(err)
	case errors.Is(err, session.ErrEnded):
		return kindEnded.because(err)
	}
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return other.because(err)
}
