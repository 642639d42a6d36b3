//go:build linux && amd64

package dlvrpc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/session"
)

// arrive fills in the state after a movement: with what its breakpoint asked to
// be looked at, and what a function returned.
func (c *conn) arrive(o outcome, returns *api.LoadConfig, state *api.DebuggerState) error {
	if o.err != nil {
		return c.exit(o.err, state)
	}
	if len(o.hits) > 0 {
		c.passed(o, state)
		return nil
	}
	if _, cur, _ := c.world.now(); cur != nil && cur.text != "" {
		// A condition that cannot be evaluated, for one. It stands there all the
		// same, as State tells.
		return errors.New("remotedbg: " + cur.text)
	}
	if returns == nil {
		returns = &api.LoadConfig{}
	}
	return c.report(state, returns)
}

// exit makes the end of the process a state, as Delve does; other ends are
// errors.
func (c *conn) exit(err error, state *api.DebuggerState) error {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	if !c.world.exited {
		return err
	}
	*state = api.DebuggerState{Pid: c.cfg.PID, Exited: true, ExitStatus: unknownStatus}
	return nil
}

// unknownStatus stands for an exit status that is the parent's to know.
const unknownStatus = -1

// passed is the state at trace points: of threads that run on.
func (c *conn) passed(o outcome, state *api.DebuggerState) {
	*state = api.DebuggerState{Pid: c.cfg.PID, TargetCommandLine: c.commandLine(), NextInProgress: o.step, StopReason: proc.StopBreakpoint.String()}
	last := o.hits[len(o.hits)-1]
	for _, h := range o.hits {
		state.Threads = append(state.Threads, h.thread)
	}
	state.CurrentThread, state.SelectedGoroutine = last.thread, last.goroutine
}

// report fills in the state of a stopped world. returns is not nil if the stop
// is news: then the breakpoint's own wishes are looked at too.
func (c *conn) report(state *api.DebuggerState, returns *api.LoadConfig) error {
	stops, cur, err := c.world.now()
	if err != nil {
		return c.exit(err, state)
	}
	*state = api.DebuggerState{Pid: c.cfg.PID, TargetCommandLine: c.commandLine()}
	for _, st := range stops {
		at := c.hitBy(st.ids)
		err := c.sess.Inspect(st.id, func(t *proc.Target) error {
			th := c.thread(t, at, returns)
			state.Threads = append(state.Threads, th)
			if st != cur {
				return nil
			}
			state.CurrentThread = th
			state.SelectedGoroutine = c.goroutine(t, st)
			state.NextInProgress = t.Breakpoints().HasSteppingBreakpoints()
			if st.reason == session.StopPause {
				state.StopReason = proc.StopManual.String()
			} else if st.reason == session.StopBreakpoint {
				state.StopReason = proc.StopBreakpoint.String()
			} else if st.reason == session.StopData {
				state.StopReason = proc.StopWatchpoint.String()
			} else {
				state.StopReason = proc.StopNextFinished.String()
			}
			return nil
		})
		if err != nil && !errors.Is(err, session.ErrRunning) && !errors.Is(err, session.ErrNoRequest) {
			return fmt.Errorf("remotedbg: look at %s: %w", st.name, err)
		}
	}
	if state.CurrentThread == nil {
		// Clients read the current thread without asking whether there is one.
		state.CurrentThread = c.noThread()
		state.Threads = append(state.Threads, state.CurrentThread)
		state.StopReason = proc.StopManual.String()
	}
	return nil
}

// nowhere is the file of a thread that is not stopped.
const nowhere = "<no request is stopped>"

// noThread is the service's main thread, which is not stopped and so nowhere.
func (c *conn) noThread() *api.Thread { return &api.Thread{ID: c.cfg.PID, File: nowhere} }

// thread is a frozen request's, which stands at a breakpoint or, at being nil,
// at none. Called inside Inspect.
func (c *conn) thread(t *proc.Target, at *api.Breakpoint, returns *api.LoadConfig) *api.Thread {
	th := api.ConvertThread(t.CurrentThread(), nil)
	c.relocate(th.PC, &th.File, &th.Line)
	if th.Breakpoint = at; at != nil && returns != nil {
		th.BreakpointInfo = c.collect(t, at)
	}
	if returns != nil {
		th.ReturnValues = api.ConvertVars(t.CurrentThread().Common().ReturnValues(loadConfig(returns)))
		addTraceReturns(th)
	}
	return th
}

// addTraceReturns shows what a function that is traced at its end returns.
func addTraceReturns(th *api.Thread) {
	if th.Breakpoint == nil || !th.Breakpoint.TraceReturn || th.BreakpointInfo == nil {
		return
	}
	for _, v := range th.BreakpointInfo.Arguments {
		if v.Flags&api.VariableReturnArgument != 0 {
			th.ReturnValues = append(th.ReturnValues, v)
		}
	}
}

// requestLabel is the goroutine label that names the request.
const requestLabel = "request"

// goroutine is the one of a frozen request. Called inside Inspect.
func (c *conn) goroutine(t *proc.Target, st *stop) *api.Goroutine {
	g := t.SelectedGoroutine()
	if g == nil {
		return nil
	}
	ag := api.ConvertGoroutine(t, g)
	for _, l := range []*api.Location{&ag.CurrentLoc, &ag.UserCurrentLoc} {
		c.relocate(l.PC, &l.File, &l.Line)
	}
	labels := map[string]string{requestLabel: st.name}
	for k, v := range ag.Labels {
		labels[k] = v
	}
	ag.Labels = labels
	return ag
}

// relocate corrects the place of code that was inlined into a compiler-made
// wrapper; see session.SourceLine.
func (c *conn) relocate(pc uint64, file *string, line *int) {
	if *file != "<autogenerated>" {
		return
	}
	if f, l, ok := c.sess.SourceLine(pc); ok {
		*file, *line = f, l
	}
}

// collect looks at what a breakpoint asks to be looked at. Called inside
// Inspect.
func (c *conn) collect(t *proc.Target, b *api.Breakpoint) *api.BreakpointInfo {
	info := &api.BreakpointInfo{}
	if b.Goroutine {
		if g := t.SelectedGoroutine(); g != nil {
			info.Goroutine = api.ConvertGoroutine(t, g)
		} else if g, err := proc.GetG(t.CurrentThread()); err == nil && g != nil {
			info.Goroutine = api.ConvertGoroutine(t, g)
		}
	}
	if b.Stacktrace > 0 {
		if frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), min(b.Stacktrace, maxDepth)); err == nil {
			info.Stacktrace = c.frames(t, frames, nil)
		}
	}
	if len(b.Variables) == 0 && b.LoadArgs == nil && b.LoadLocals == nil {
		return info
	}
	scope, err := proc.GoroutineScope(t, t.CurrentThread())
	if err != nil {
		info.Variables = unreadable(b.Variables, err)
		return info
	}
	for _, expr := range b.Variables {
		v, err := c.evaluate(scope, expr, proc.LoadFullValue())
		if err != nil {
			info.Variables = append(info.Variables, unreadable([]string{expr}, err)...)
			continue
		}
		info.Variables = append(info.Variables, *v)
	}
	if b.LoadArgs != nil {
		if vars, err := scope.FunctionArguments(loadConfig(b.LoadArgs)); err == nil {
			info.Arguments = api.ConvertVars(vars)
		}
	}
	if b.LoadLocals != nil {
		if vars, err := scope.LocalVariables(loadConfig(b.LoadLocals)); err == nil {
			info.Locals = api.ConvertVars(vars)
		}
	}
	return info
}

func unreadable(exprs []string, err error) (vars []api.Variable) {
	for _, expr := range exprs {
		vars = append(vars, api.Variable{Name: expr, Unreadable: err.Error()})
	}
	return vars
}

// commandLine is that of the service; "" if it cannot be read any more.
func (c *conn) commandLine() string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.cfg.PID))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
}

// ListThreads lists the threads of stopped requests.
func (s service) ListThreads(_ rpc2.ListThreadsIn, out *rpc2.ListThreadsOut) error {
	var state api.DebuggerState
	err := s.report(&state, nil)
	out.Threads = state.Threads
	return err
}

// GetThread finds one of them.
func (s service) GetThread(arg rpc2.GetThreadIn, out *rpc2.GetThreadOut) error {
	var state api.DebuggerState
	if err := s.report(&state, nil); err != nil {
		return err
	}
	for _, th := range state.Threads {
		if th.ID == arg.Id {
			out.Thread = th
			return nil
		}
	}
	return fmt.Errorf("remotedbg: no stopped request is on thread %d", arg.Id)
}

// ListTargets lists the one process.
func (s service) ListTargets(_ rpc2.ListTargetsIn, out *rpc2.ListTargetsOut) error {
	var state api.DebuggerState
	if err := s.report(&state, nil); err != nil {
		return err
	}
	out.Targets = []api.Target{{Pid: s.cfg.PID, CmdLine: state.TargetCommandLine, CurrentThread: state.CurrentThread}}
	return nil
}
