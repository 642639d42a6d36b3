//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/access"
)

func exitedError() error   { return proc.ErrProcessExited{Pid: 1} }
func detachedError() error { return proc.ErrProcessDetached }

// TestRefuse: each refusal says what to do, and no two the same.
func TestRefuse(t *testing.T) {
	hints := make(map[string]string)
	for _, c := range []struct {
		name string
		err  error
		hint string
	}{
		{"no gate", board.ErrNoGate, "middleware.Handler"},
		{"not Go", board.ErrNotGo, "wrapper script"},
		{"stripped", board.ErrStripped, "-ldflags='-s -w'"},
		{"ABI", board.ErrABI, "go.mod"},
		{"armed", board.ErrArmed, "lease"},
		{"old kernel", fmt.Errorf("%w: perf_event_open: %w", live.ErrBreakpoint, unix.EINVAL), "5.13"},
		{"debug registers taken", fmt.Errorf("%w: perf_event_open: %w", live.ErrBreakpoint, unix.ENOSPC), "another debugger"},
		{"perf forbidden", fmt.Errorf("%w: perf_event_open: %w", live.ErrBreakpoint, unix.EACCES), "perf_event_paranoid"},
		{"no process", fs.ErrNotExist, "pgrep"},
		{"no permission", fs.ErrPermission, "CAP_SYS_PTRACE"},
		{"anything else", errors.New("surprise"), "report it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := refuse(42, "attach to process 42", fmt.Errorf("wrapped: %w", c.err))
			var r *Refusal
			if !errors.As(err, &r) || !errors.Is(err, c.err) {
				t.Fatalf("%v is not a Refusal for %v", err, c.err)
			}
			if !strings.HasPrefix(err.Error(), "remotedbg: attach to process 42: ") || !strings.Contains(err.Error(), c.err.Error()) {
				t.Errorf("message %q", err)
			}
			if !strings.Contains(r.Hint(), c.hint) {
				t.Errorf("hint %q, want one with %q", r.Hint(), c.hint)
			}
			if strings.Contains(r.Hint(), "\n") || strings.HasSuffix(r.Hint(), ".") {
				t.Errorf("hint %q is not one line without a full stop", r.Hint())
			}
			if other, twice := hints[r.Hint()]; twice {
				t.Errorf("the same hint as for %q", other)
			}
			hints[r.Hint()] = c.name
		})
	}
}

// TestRefuseErrno: the same cause comes from the file system and from system
// calls.
func TestRefuseErrno(t *testing.T) {
	for _, pair := range [][2]error{{unix.ESRCH, fs.ErrNotExist}, {unix.EPERM, fs.ErrPermission}, {unix.EACCES, fs.ErrPermission}} {
		var a, b *Refusal
		if !errors.As(refuse(42, "x", pair[0]), &a) || !errors.As(refuse(42, "x", pair[1]), &b) {
			t.Fatal("no Refusal")
		}
		if a.Hint() != b.Hint() {
			t.Errorf("%v: %q, but %v: %q", pair[0], a.Hint(), pair[1], b.Hint())
		}
	}
	if err := refuse(42, "x", unix.ESRCH); !strings.Contains(err.Error(), "no process 42") {
		t.Errorf("%q does not name the process", err)
	}
}

// TestErrorsOfTheEnded: a session without an engine that takes requests answers
// everything with ErrEnded.
func TestErrorsOfTheEnded(t *testing.T) {
	for _, state := range []engineState{engineEnding, engineEnded} {
		e := &Engine{state: state, requests: make(map[RequestID]*request)}
		if _, err := e.NewSession(access.Identity{Role: access.Mutate}); !errors.Is(err, ErrEnded) {
			t.Errorf("NewSession: %v", err)
		}
		s := &Session{e: e}
		checkAll(t, s, 1, ErrEnded)
		if _, err := s.SetBreakpoints("a.go", nil); !errors.Is(err, ErrEnded) {
			t.Errorf("SetBreakpoints: %v", err)
		}
	}
	closed := &Session{e: &Engine{requests: make(map[RequestID]*request)}, closed: true}
	checkAll(t, closed, 1, ErrEnded)
}

// TestErrorsByState: what can be asked of a request depends on where it stands.
func TestErrorsByState(t *testing.T) {
	e := &Engine{requests: make(map[RequestID]*request)}
	s, other := &Session{e: e}, &Session{e: e}
	e.requests[1] = &request{e: e, session: s, state: requestRunning}
	e.requests[2] = &request{e: e, session: s, state: requestGone}
	e.requests[3] = &request{e: e, session: other, state: requestFrozen}
	e.requests[4] = &request{e: e, session: s, state: requestFrozen}
	for _, id := range []RequestID{0, 2, 3, 99} {
		checkAll(t, s, id, ErrNoRequest)
	}
	for name, f := range commands(s) {
		if err := f(1); !errors.Is(err, ErrRunning) {
			t.Errorf("%s of a running request: %v", name, err)
		}
	}
	if err := s.Inspect(1, inspectNothing); !errors.Is(err, ErrRunning) {
		t.Errorf("Inspect of a running request: %v", err)
	}
	if err := s.Pause(4); !errors.Is(err, ErrFrozen) {
		t.Errorf("Pause of a frozen request: %v", err)
	}
}

func inspectNothing(*proc.Target) error { return nil }

func commands(s *Session) map[string]func(RequestID) error {
	return map[string]func(RequestID) error{"Continue": s.Continue, "Next": s.Next, "StepIn": s.StepIn, "StepOut": s.StepOut}
}

func checkAll(t *testing.T, s *Session, id RequestID, want error) {
	t.Helper()
	for name, f := range commands(s) {
		if err := f(id); !errors.Is(err, want) {
			t.Errorf("%s(%d): %v, want %v", name, id, err, want)
		}
	}
	if err := s.Pause(id); !errors.Is(err, want) {
		t.Errorf("Pause(%d): %v, want %v", id, err, want)
	}
	if err := s.Inspect(id, inspectNothing); !errors.Is(err, want) {
		t.Errorf("Inspect(%d): %v, want %v", id, err, want)
	}
}
