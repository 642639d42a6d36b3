//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// Refusal is an error that says what to do next.
type Refusal struct {
	What   string // what could not be done
	Err    error  // why
	Advice string // what to do
}

func (r *Refusal) Error() string { return "remotedbg: " + r.What + ": " + r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// Hint says what to do next.
func (r *Refusal) Hint() string { return r.Advice }

// refuse adds the advice that fits err.
func refuse(pid int, what string, err error) error {
	var advice string
	switch {
	case errors.Is(err, board.ErrNoGate):
		advice = "import github.com/remotedbg/remotedbg/middleware in the service and wrap its handler with middleware.Handler"
	case errors.Is(err, board.ErrNotGo):
		advice = "name the process of the Go service itself, not of a wrapper script or container runtime"
	case errors.Is(err, board.ErrStripped):
		advice = "build the service without -ldflags='-s -w': the symbols are what the debugger reads"
	case errors.Is(err, board.ErrNoSights), errors.Is(err, board.ErrNoTokens):
		advice = "build the service with a newer github.com/remotedbg/remotedbg/gate, or do without --whoami and --require-token"
	case errors.Is(err, board.ErrABI):
		advice = "use the remotedbg of the version that the service's go.mod names for remotedbg/gate"
	case errors.Is(err, board.ErrArmed):
		advice = "stop that agent first, or wait five seconds if it has died: its lease runs out"
	case errors.Is(err, live.ErrBreakpoint) && errors.Is(err, unix.EINVAL):
		advice = "hardware breakpoints that signal their thread need Linux 5.13 or newer: see uname -r"
	case errors.Is(err, live.ErrBreakpoint) && errors.Is(err, unix.ENOSPC):
		advice = "another debugger or perf uses the debug registers of this machine: end it first"
	case errors.Is(err, live.ErrBreakpoint):
		advice = "run with CAP_PERFMON, or lower /proc/sys/kernel/perf_event_paranoid to 2; in a container its seccomp profile must allow perf_event_open"
	case errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("no process %d: %w", pid, err)
		advice = "look the process up with pgrep or ps; inside a container its number is another one"
	case errors.Is(err, unix.EPERM), errors.Is(err, fs.ErrPermission):
		advice = "run as root or as the service's user with CAP_SYS_PTRACE; if /proc/sys/kernel/yama/ptrace_scope is 1 or more, being the same user is not enough"
	default:
		advice = "if this looks like a defect of remotedbg, report it with this message and the Go version of the service"
	}
	return &Refusal{What: what, Err: err, Advice: advice}
}
