//go:build linux && amd64

package session

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// Session is one IDE's view of an Engine: its breakpoints, its stops, its
// requests. All methods may be called from any goroutine.
type Session struct {
	e           *Engine
	id          int
	log         *audit.Log // with who it is; what that one may do is judged by the front ends
	queue       *queue
	stopOnEntry atomic.Bool
	armed       atomic.Pointer[ready]

	guard       *taint.Guard
	toldMoved   atomic.Bool // see tellMoved
	toldReturns atomic.Bool // what is watched of the returns of errors

	// Guarded by Engine.mu.
	started bool
	closed  bool
	wants   Wants
	tally   tally

	// Guarded by Engine.brain.
	breakpoints []*userBreakpoint          // in the order in which they were set
	owners      map[uint64]*userBreakpoint // of addresses, those that are verified
	lastID      int
	returned    map[RequestID]*seenErrors // of the requests in flight, by their roots
}

// NewSession attaches the IDE of who; ErrBusy while maxSessions are attached, ErrEnded
// when the engine has ended. Each has its own breakpoints, stops and requests; see
// Wants for which request is whose.
func (e *Engine) NewSession(who access.Identity) (*Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.state != engineArmed:
		return nil, ErrEnded
	case len(e.sessions) >= maxSessions:
		return nil, ErrBusy
	}
	e.attached++
	s := &Session{e: e, id: e.attached, queue: newQueue()}
	s.armed.Store(new(ready))
	s.guard = e.guardFor(who)
	e.sessions = append(e.sessions, s)
	s.recordOpened(who)
	return s, nil
}

// maxSessions is how many IDEs may be attached at the same time.
const maxSessions = 8

// Events delivers what happens, in order; closed after EventEnded or Close. The
// queue is unbounded: a slow reader delays nobody.
func (s *Session) Events() <-chan Event { return s.queue.out }

func (s *Session) output(text string) { s.queue.put(Event{Kind: EventOutput, Text: text}) }

// SetStopOnEntry makes every request taken from now on stop on the first line
// of the user's own handler.
func (s *Session) SetStopOnEntry(on bool) { s.stopOnEntry.Store(on) }

// Start makes the session take matching requests from now on (DAP
// configurationDone).
func (s *Session) Start() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.started = true
}

// SetWants narrows which of the matching requests the session takes from now on.
func (s *Session) SetWants(w Wants) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.wants = w
}

// Sources lists the source files named in the binary's line tables.
func (s *Session) Sources() []string {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	return slices.Clone(s.e.bi.Sources)
}

// Requests lists the requests in flight, oldest first.
func (s *Session) Requests() []Request {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	var list []Request
	for _, r := range s.e.requests {
		if r.session == s {
			list = append(list, r.info)
		}
	}
	slices.SortFunc(list, func(a, b Request) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Continue starts a frozen request and returns at once; what comes of it arrives
// as EventStopped or EventExited. ErrRunning if it is not frozen, ErrNoRequest
// if it is not in flight. Next, StepIn and StepOut are the same for steps.
func (s *Session) Continue(id RequestID) error { return s.command(id, commandContinue) }

// Next runs to the next line of the same function; see Continue.
func (s *Session) Next(id RequestID) error { return s.command(id, commandNext) }

// StepIn runs to the next line, also of a function that is called; see Continue.
func (s *Session) StepIn(id RequestID) error { return s.command(id, commandStepIn) }

// StepOut runs until the function has returned; see Continue.
func (s *Session) StepOut(id RequestID) error { return s.command(id, commandStepOut) }

// lookup finds a request of this session. Called under Engine.mu.
func (s *Session) lookup(id RequestID) (*request, error) {
	if s.closed || s.e.state != engineArmed {
		return nil, ErrEnded
	}
	r := s.e.requests[id]
	if r == nil || r.session != s || r.state == requestGone {
		return nil, ErrNoRequest
	}
	return r, nil
}

func (s *Session) command(id RequestID, cmd command) error {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	r, err := s.lookup(id)
	if err != nil {
		return err
	}
	if r.state == requestCalling {
		return ErrCalling
	}
	if r.state != requestFrozen {
		return ErrRunning
	}
	r.state = requestRunning
	r.info.Frozen = false
	r.cmds <- cmd // empty: only a frozen request gets here
	return nil
}

// Pause asks a running request to stop where it can; EventStopped follows. A
// request that is blocked stops when it gets back to the user's code, and an
// EventOutput says so. ErrFrozen if it is stopped.
func (s *Session) Pause(id RequestID) error {
	s.e.mu.Lock()
	r, err := s.lookup(id)
	if err == nil && r.state == requestFrozen {
		err = ErrFrozen
	}
	if err == nil && r.state == requestCalling {
		err = ErrCalling
	}
	s.e.mu.Unlock()
	if err != nil {
		return err
	}
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	return r.startPause()
}

// Inspect runs f with the Delve target of a frozen request. f may read memory,
// stacks and variables and evaluate expressions without calls; it must not
// resume. Variables and frames that it keeps may be used again only inside a
// later Inspect of the same stop. Delve's symbol tables are not safe for
// concurrent use, so one Inspect at a time runs in the whole Engine; requests
// run meanwhile.
func (s *Session) Inspect(id RequestID, f func(t *proc.Target) error) error {
	return s.inspect(id, (*request).look, f)
}

// Unwind is Inspect for an f that shows where the request is, and no value: it does
// not wait until the secrets of the stop have been looked for.
func (s *Session) Unwind(id RequestID, f func(t *proc.Target) error) error {
	return s.inspect(id, (*request).ready, f)
}

func (s *Session) inspect(id RequestID, prepare func(*request), f func(t *proc.Target) error) error {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.e.mu.Lock()
	r, err := s.lookup(id)
	if err == nil && r.state == requestCalling {
		err = ErrCalling
	}
	if err == nil && r.state != requestFrozen {
		err = ErrRunning
	}
	s.e.mu.Unlock()
	if err != nil {
		return err
	}
	prepare(r)
	return f(r.group.Selected)
}

// Close detaches the IDE: its breakpoints go, its requests are thawed and let
// go of, and another IDE may attach. It may be called more than once.
func (s *Session) Close() error {
	e := s.e
	e.mu.Lock()
	if s.closed {
		e.mu.Unlock()
		return nil
	}
	s.closed, s.started = true, false
	e.mu.Unlock()
	e.releaseAll(s, "its IDE has detached")
	s.recordClosed()
	e.mu.Lock()
	e.sessions = slices.DeleteFunc(e.sessions, func(other *Session) bool { return other == s })
	e.kin.forget(s)
	e.mu.Unlock()
	s.queue.abandon()
	return nil
}
