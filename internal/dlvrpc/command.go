//go:build linux && amd64

package dlvrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/session"
)

// haltWait is how long a halt waits for a running request to stop. One that is
// blocked stops when it gets back to the user's code, which may be much later,
// and then it is not wanted any more.
const haltWait = time.Second

// refusedCommands are those of Delve that there is no way to carry out here.
var refusedCommands = map[string]error{
	api.Rewind:                 refuse("rewind", errRecording),
	api.ReverseStep:            refuse("reverse step", errRecording),
	api.ReverseStepOut:         refuse("reverse stepout", errRecording),
	api.ReverseNext:            refuse("reverse next", errRecording),
	api.ReverseStepInstruction: refuse("reverse step-instruction", errRecording),
	api.ReverseNextInstruction: refuse("reverse next-instruction", errRecording),
}

// Command moves the current request, halts, or makes another request current.
func (s service) Command(arg api.DebuggerCommand, out *rpc2.CommandOut) (later, error) {
	if arg.Name == api.Call {
		return s.call(arg, out)
	}
	move, step, err := s.movement(arg)
	if err != nil {
		if arg.WithEvents && arg.Name != api.Halt {
			s.events.put(api.EventResumed)
			s.events.put(api.EventStopped) // the client waits for it whatever becomes of the command
		}
		return nil, err
	}
	switch {
	case move == nil && arg.Name == api.Halt:
		return s.halt(out), nil
	case move == nil: // a switch, which is done
		return nil, s.report(&out.State, nil)
	}
	if arg.WithEvents {
		s.events.put(api.EventResumed)
	}
	s.seen.forget()
	s.sess.Start() // from now on requests are wanted
	if err := s.world.resume(move, step); err != nil {
		if arg.WithEvents {
			s.events.put(api.EventStopped)
		}
		return nil, err
	}
	return func(ctx context.Context) error {
		if arg.WithEvents {
			defer s.events.put(api.EventStopped)
		}
		return s.arrive(s.world.await(ctx), arg.ReturnInfoLoadConfig, &out.State)
	}, nil
}

// movement says what a command asks of the engine; it is nil for those that move
// nothing, and a switch is done here. step says whether the movement ends by
// itself.
func (s service) movement(arg api.DebuggerCommand) (move func(session.RequestID) error, step bool, err error) {
	if err := refusedCommands[arg.Name]; err != nil {
		return nil, false, err
	}
	switch arg.Name {
	case api.Halt:
		return nil, false, nil
	case api.Continue, api.DirectionCongruentContinue:
		return s.sess.Continue, false, nil
	case api.Next:
		return s.sess.Next, true, nil
	case api.Step:
		return s.sess.StepIn, true, nil
	case api.StepOut:
		return s.sess.StepOut, true, nil
	case api.StepInstruction:
		return s.sess.StepInstruction, true, nil
	case api.NextInstruction:
		return s.sess.NextInstruction, true, nil
	case api.SwitchGoroutine:
		if arg.GoroutineID <= 0 {
			return nil, false, nil // the current one
		}
		return nil, false, s.world.choose(fmt.Sprintf("goroutine %d", arg.GoroutineID), func(st *stop) bool { return st.goroutine == arg.GoroutineID })
	case api.SwitchThread:
		return nil, false, s.world.choose(fmt.Sprintf("thread %d", arg.ThreadID), func(st *stop) bool { return st.thread == arg.ThreadID })
	}
	return nil, false, fmt.Errorf("remotedbg: unknown command %q", arg.Name)
}

// halt makes the world stop. The request whose step is awaited is paused, else
// the one that has run for longest; where there is none, nothing is touched.
func (s service) halt(out *rpc2.CommandOut) later {
	return func(ctx context.Context) error {
		if id, running := s.world.runner(s.sess.Requests()); running {
			asked := false
			if id != 0 {
				asked = s.sess.Pause(id) == nil
			}
			s.world.halt(ctx, id, asked)
		}
		if err := s.world.quiet(ctx); err != nil {
			return s.exit(err, &out.State)
		}
		return s.report(&out.State, nil)
	}
}

// runner is the request that a halt has to pause, 0 if there is none; running is
// false if the world has stopped already.
func (w *world) runner(inFlight []session.Request) (id session.RequestID, running bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return 0, false
	}
	if w.moving != 0 {
		return w.moving, true
	}
	i := slices.IndexFunc(inFlight, func(r session.Request) bool { return !r.Frozen })
	if i < 0 {
		return 0, true
	}
	return inFlight[i].ID, true
}

// halt waits until the world has stopped, for haltWait if a request was asked to
// pause, and then declares it stopped as it is.
func (w *world) halt(ctx context.Context, id session.RequestID, asked bool) {
	if asked {
		wait, cancel := context.WithTimeout(ctx, haltWait)
		err := w.quiet(wait)
		cancel()
		if err == nil {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running || w.why != "" {
		return
	}
	if asked {
		w.lates[id] = true
	}
	w.halted = true
	w.change()
}

// State tells what the current request is at. With NonBlocking it does so at
// once, and that it runs is all that is said of a world that does.
func (s service) State(arg rpc2.StateIn, out *rpc2.StateOut) (later, error) {
	out.State = new(api.DebuggerState)
	if !s.world.isRunning() {
		return nil, s.report(out.State, nil)
	}
	if arg.NonBlocking {
		out.State.Running = true
		return nil, nil
	}
	return func(ctx context.Context) error {
		if err := s.world.quiet(ctx); err != nil {
			return s.exit(err, out.State)
		}
		return s.report(out.State, nil)
	}, nil
}

// CancelNext forgets what is left of an interrupted step.
func (s service) CancelNext(_ rpc2.CancelNextIn, _ *rpc2.CancelNextOut) error {
	s.world.mu.Lock()
	s.world.moving = 0
	cur := s.world.current
	s.world.mu.Unlock()
	if cur == 0 {
		return nil
	}
	return wrap("cancel the step", s.sess.Inspect(cur, func(t *proc.Target) error { return t.ClearSteppingBreakpoints() }))
}

// GetEvents waits for at least one event.
func (s service) GetEvents(_ rpc2.GetEventsIn, out *rpc2.GetEventsOut) (later, error) {
	return func(ctx context.Context) error {
		var err error
		out.Events, err = s.events.take(ctx, s.world.ended)
		if err != nil {
			return s.world.overNow()
		}
		return nil
	}, nil
}

func (w *world) overNow() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over()
}

// events is what GetEvents delivers: that the process was resumed and stopped.
type events struct{ queue chan api.Event }

func newEvents() *events { return &events{make(chan api.Event, 100)} }

// put never waits: a client that does not ask for events loses them.
func (e *events) put(kind api.EventKind) {
	select {
	case e.queue <- api.Event{Kind: kind}:
	default:
	}
}

func (e *events) take(ctx context.Context, ended <-chan struct{}) (list []api.Event, err error) {
	select {
	case ev := <-e.queue:
		list = append(list, ev)
	case <-ended:
		return nil, errors.New("ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		select {
		case ev := <-e.queue:
			list = append(list, ev)
		default:
			return list, nil
		}
	}
}
