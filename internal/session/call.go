//go:build linux && amd64

package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// Calls of functions in expressions. The request stays frozen where it is; its
// thread makes the call (internal/live, Call) without anybody's lock, and what
// comes of it is read when it is back.

// callPatience is how long a call is waited for.
const callPatience = 5 * time.Second

// ErrCalling says that a frozen request's thread makes a call.
var ErrCalling = errors.New("a function is being called in the request: wait until it has returned")

// A CallRequest is an expression with calls.
type CallRequest struct {
	Expr   string
	Frame  int  // 0: the innermost
	Unsafe bool // pointers to the request's stack may be passed to functions
	// Before is called before the first call is made, if there is one, with
	// the function's name, and can refuse it; may be nil.
	Before func(name string) error
	// Shown is the memory that the client was shown, of which it may make
	// pointers; nil: none.
	Shown *taint.Extents
}

// ongoing is a call that a request's thread makes. Guarded by Engine.mu.
type ongoing struct {
	done chan *live.Called // capacity 1; nil: nobody waits any more
	gone chan struct{}     // closed when the request is let go of
	name string
}

// Call evaluates an expression that may call functions of the service, in the
// goroutine that a frozen request's thread holds for it. The request is frozen
// where it was afterwards, and what it said of its variables may be out of date.
// Breakpoints in the functions are not watched. If they do not return within
// callPatience, or ctx ends, an EventContinued says that the request is busy, and
// an EventStopped follows when it has returned.
func (s *Session) Call(ctx context.Context, id RequestID, q CallRequest) (invoke.Result, error) {
	if q.Shown == nil {
		q.Shown = new(taint.Extents) // what the calls make
	}
	e, err := invoke.Parse(q.Expr, q.Unsafe)
	if err != nil {
		return invoke.Result{}, err
	}
	r, c, err := s.beginCall(id)
	if err != nil {
		return invoke.Result{}, err
	}
	for {
		var call *live.Call
		err := r.whileCalling(q.Frame, e, q.Shown, func(env *invoke.Env) (err error) {
			call, err = e.Next(env)
			return err
		})
		if err != nil || call == nil {
			return e.Result(), errors.Join(err, r.endCall(c))
		}
		c.name = e.Result().Func
		if q.Before != nil {
			if err := q.Before(c.name); err != nil {
				return invoke.Result{}, errors.Join(err, r.endCall(c))
			}
			q.Before = nil
		}
		if err := ctx.Err(); err != nil {
			return invoke.Result{}, errors.Join(fmt.Errorf("%s was not called: %w", c.name, err), r.endCall(c))
		}
		done, err := r.makeCall(ctx, c, *call)
		if err != nil {
			return invoke.Result{}, err // somebody else ends it
		}
		err = r.whileCalling(q.Frame, e, q.Shown, func(env *invoke.Env) error { return e.Done(env, done) })
		if err != nil {
			return invoke.Result{}, errors.Join(err, r.endCall(c))
		}
	}
}

// beginCall keeps everybody else from moving or looking at the request.
func (s *Session) beginCall(id RequestID) (*request, *ongoing, error) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	r, err := s.lookup(id)
	switch {
	case err != nil:
		return nil, nil, err
	case r.state == requestCalling:
		return nil, nil, ErrCalling
	case r.state != requestFrozen:
		return nil, nil, ErrRunning
	}
	r.state = requestCalling
	r.call = &ongoing{done: make(chan *live.Called, 1), gone: make(chan struct{})}
	return r, r.call, nil
}

// endCall makes the request an ordinary frozen one again.
func (r *request) endCall(c *ongoing) error {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if r.call != c || r.state != requestCalling {
		return ErrNoRequest // let go of meanwhile
	}
	r.state, r.call = requestFrozen, nil
	return nil
}

// whileCalling runs f with the request as the expression sees it. f must see the
// service's memory as it is, and not without its secrets: what it reads is
// handed to functions.
func (r *request) whileCalling(frame int, e *invoke.Evaluation, shown *taint.Extents, f func(env *invoke.Env) error) error {
	r.e.brain.Lock()
	defer r.e.brain.Unlock()
	r.e.mu.Lock()
	calling := r.state == requestCalling
	r.e.mu.Unlock()
	if !calling || r.group == nil {
		return ErrNoRequest
	}
	r.mem.Use(nil)
	r.mem.Forget()
	defer r.mem.Use(r.session.Guard())
	r.search = nil // the functions may have made secrets
	t := r.group.Selected
	if err := r.proc.Refocus(t); err != nil { // and changed anything
		return err
	}
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), frame+1)
	if err != nil {
		return err
	}
	if frame >= len(frames) {
		return fmt.Errorf("the stack has %d frames", len(frames))
	}
	regs, err := t.CurrentThread().Registers()
	if err != nil {
		return err
	}
	g, _ := proc.GetG(t.CurrentThread())
	env := &invoke.Env{Target: t, Scope: proc.FrameToScope(t, t.Memory(), g, t.CurrentThread().ThreadID(), frames[frame:]...)}
	if env.StackLo, env.StackHi, err = r.stack(regs); err != nil {
		return err
	}
	guard := r.session.Guard()
	for _, m := range e.Made() {
		shown.Add(guard, m.Type, m.Addr)
		shown.Add(guard, godwarf.ResolveTypedef(m.Type), m.Addr) // as Delve finds it by name
	}
	env.Check = func(expr string) error {
		secret, err := guard.Check(env.Scope, expr, shown)
		if secret {
			err = fmt.Errorf("%s: %w", expr, taint.ErrRedacted)
		}
		return err
	}
	return guarded(func() error { return f(env) })
}

// guarded makes a panic of f an error: it works on what a person typed, under a
// lock that everybody needs.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("remotedbg: evaluating the call panicked: %v: please report it", p)
		}
	}()
	return f()
}

// stack is where the stack of the frozen request's goroutine lies: the first two
// words of its g (runtime/runtime2.go).
func (r *request) stack(regs proc.Registers) (lo, hi uint64, err error) {
	g, ok := regs.GAddr()
	if !ok {
		return 0, 0, errors.New("its goroutine is not known")
	}
	if lo, err = r.e.mem.Uint64(g); err != nil {
		return 0, 0, err
	}
	hi, err = r.e.mem.Uint64(g + 8)
	return lo, hi, err
}

// makeCall has the thread make a call and waits for it, but not for ever.
func (r *request) makeCall(ctx context.Context, c *ongoing, call live.Call) (*live.Called, error) {
	r.thread.Call(call)
	patience := time.NewTimer(callPatience)
	defer patience.Stop()
	var why string
	select {
	case done := <-c.done:
		return done, nil
	case <-c.gone:
		return nil, fmt.Errorf("%s was being called when the request was let go of: it runs to its end", c.name)
	case <-patience.C:
		why = fmt.Sprintf("%s has not returned after %v", c.name, callPatience)
	case <-ctx.Done():
		why = fmt.Sprintf("%s has not returned yet", c.name)
	}
	r.e.mu.Lock()
	select {
	case done := <-c.done: // just now
		r.e.mu.Unlock()
		return done, nil
	default:
	}
	c.done = nil
	r.info.Frozen = false
	info := r.info
	r.e.mu.Unlock()
	why += ": it cannot be interrupted, the request shows as running until it has"
	r.session.queue.put(Event{Kind: EventContinued, Request: info, Text: why})
	r.e.cfg.Log(fmt.Sprintf("request %d: %s", r.id, why))
	return nil, errors.New(why)
}

// called takes note that the thread has made its call. Called by run.
func (r *request) called(done *live.Called) {
	r.e.mu.Lock()
	c := r.call
	if c == nil || r.state != requestCalling {
		r.e.mu.Unlock()
		return
	}
	if c.done != nil {
		c.done <- done // empty: one call at a time
		r.e.mu.Unlock()
		return
	}
	r.state, r.call = requestFrozen, nil
	r.info.Frozen = true
	info := r.info
	r.e.mu.Unlock()
	text := c.name + " has returned"
	switch {
	case done.Panic != nil:
		text = c.name + " has panicked"
	case done.Exited:
		text = c.name + " has called runtime.Goexit"
	case done.Err != nil:
		text = done.Err.Error()
	}
	r.session.output(fmt.Sprintf("%s: %s", r.name, text))
	r.session.queue.put(Event{Kind: EventStopped, Request: info, Reason: StopPause})
}

// abandonCall tells whoever waits for a call that the request has been let go of.
// Called under Engine.mu.
func (r *request) abandonCall() {
	if r.call != nil {
		close(r.call.gone)
		r.call = nil
	}
}
