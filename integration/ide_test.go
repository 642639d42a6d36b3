//go:build linux && amd64

package integration_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// ide is a DAP client that has attached.
type ide struct {
	*daptest.Client
	t *testing.T
}

// ide attaches an IDE with breakpoints at the marks.
func (r *rig) ide(a *harness.Agent, arguments map[string]any, names ...string) *ide {
	r.t.Helper()
	c := &ide{r.dial(a), r.t}
	must(r.t, c.SessionWith(arguments, ""))
	for i, verified := range c.breakAt(names...) {
		if !verified.Verified {
			r.t.Fatalf("the breakpoint at %s is not verified: %s", names[i], verified.Message)
		}
	}
	return c
}

// place is a breakpoint as the server answered.
type place struct {
	ID       int
	Verified bool
	Message  string
}

// breakAt replaces the breakpoints of the files that the marks are in, and
// returns them in the order of names.
func (c *ide) breakAt(names ...string) []place {
	c.t.Helper()
	lines := make(map[string][]int)
	for _, name := range names {
		m := mark(c.t, name)
		lines[m.File] = append(lines[m.File], m.Line)
	}
	set := make(map[string][]place)
	for _, file := range slices.Sorted(maps.Keys(lines)) {
		bps, err := c.SetBreakpoints(file, lines[file]...)
		must(c.t, err)
		if len(bps) != len(lines[file]) {
			c.t.Fatalf("%d breakpoints asked for in %s, %d in the answer", len(lines[file]), file, len(bps))
		}
		for _, bp := range bps {
			set[file] = append(set[file], place{bp.Id, bp.Verified, bp.Message})
		}
	}
	var places []place
	for _, name := range names {
		file := mark(c.t, name).File
		places = append(places, set[file][0])
		set[file] = set[file][1:]
	}
	return places
}

// clear removes all breakpoints of the files that the marks are in.
func (c *ide) clear(names ...string) {
	c.t.Helper()
	for _, name := range names {
		_, err := c.SetBreakpoints(mark(c.t, name).File)
		must(c.t, err)
	}
}

// thread is a request in flight, as the IDE sees it.
type thread struct {
	*ide
	id int
}

// stopped waits for any request to stop at a mark, for a reason.
func (c *ide) stopped(reason, name string) *thread {
	c.t.Helper()
	stop, err := c.WaitStopped(daptest.AnyThread)
	if err != nil {
		c.t.Fatalf("%v; output: %q", err, outputs(c.Events()))
	}
	if stop.Reason != reason || stop.AllThreadsStopped {
		c.t.Fatalf("stopped event %+v, want the reason %s and not all threads", stop, reason)
	}
	th := &thread{c, stop.ThreadId}
	th.at(name)
	return th
}

// stoppedOrLate waits for the next stop of a thread. late: the agent says that it was
// too late for a request, or a goroutine of one, which ran untouched then. On a busy
// machine it may be.
func stoppedOrLate(c *daptest.Client, id int) (stop dap.StoppedEventBody, late bool, err error) {
	_, err = c.Wait(fmt.Sprintf("stopped of thread %d", id), func(ev dap.EventMessage) bool {
		switch ev := ev.(type) {
		case *dap.StoppedEvent:
			stop = ev.Body
			return id == daptest.AnyThread || stop.ThreadId == id
		case *dap.OutputEvent:
			late = wasLate(ev.Body.Output)
			return late
		}
		return false
	})
	return stop, late, err
}

// wasLate says whether an output tells of requests or goroutines that the agent was
// too late for.
func wasLate(output string) bool { return strings.Contains(output, "ran untouched") }

// again waits for the next stop of th, at a mark.
func (th *thread) again(reason, name string) {
	th.t.Helper()
	stop, err := th.WaitStopped(th.id)
	must(th.t, err)
	if stop.Reason != reason {
		th.t.Fatalf("stopped event %+v, want the reason %s", stop, reason)
	}
	th.at(name)
}

// frame is one frame of a stack.
type frame struct {
	ID      int
	Func    string
	Inlined bool // said behind the name
	File    string
	Line    int
}

func (f frame) String() string { return fmt.Sprintf("%s %s:%d", f.Func, f.File, f.Line) }

// stack returns all frames, innermost first.
func (th *thread) stack() []frame {
	th.t.Helper()
	list, total, err := th.StackTrace(th.id, 0, 0)
	must(th.t, err)
	if len(list) == 0 || total < len(list) {
		th.t.Fatalf("thread %d: %d frames, said to be %d", th.id, len(list), total)
	}
	frames := make([]frame, len(list))
	for i, f := range list {
		frames[i] = frame{ID: f.Id, Line: f.Line}
		frames[i].Func, frames[i].Inlined = strings.CutSuffix(f.Name, " (inlined)")
		if f.Source != nil {
			frames[i].File = f.Source.Path
		}
	}
	return frames
}

// top is the innermost frame.
func (th *thread) top() frame {
	th.t.Helper()
	return th.stack()[0]
}

// at fails unless th stands at a mark.
func (th *thread) at(name string) {
	th.t.Helper()
	m, top := mark(th.t, name), th.top()
	if top.File != m.File || top.Line != m.Line {
		th.t.Fatalf("thread %d is at %v, want %s (%s:%d)", th.id, top, name, m.File, m.Line)
	}
}

// in fails unless th stands in a function, given by the end of its name.
func (th *thread) in(function string) {
	th.t.Helper()
	if top := th.top(); !strings.HasSuffix(top.Func, function) {
		th.t.Fatalf("thread %d is at %v, want it in %s", th.id, top, function)
	}
}

// step carries out a step and waits until it is done. The reason of its stop
// must be step.
func (th *thread) step(kind func(threadID int) error) frame {
	th.t.Helper()
	must(th.t, kind(th.id))
	return th.waitStep("")
}

// waitStep waits for the end of a step, in a function given by the end of its
// name.
func (th *thread) waitStep(function string) frame {
	th.t.Helper()
	stop, err := th.WaitStopped(th.id)
	must(th.t, err)
	if stop.Reason != "step" {
		th.t.Fatalf("a step of thread %d ended with %+v at %v", th.id, stop, th.top())
	}
	top := th.top()
	if !strings.HasSuffix(top.Func, function) {
		th.t.Fatalf("a step of thread %d ended at %v, want it in %s", th.id, top, function)
	}
	return top
}

// callers fails unless the stack has functions with these ends of their names,
// in this order, the first of them innermost.
func (th *thread) callers(functions ...string) {
	th.t.Helper()
	stack := th.stack()
	next := 0
	for i, f := range stack {
		if next < len(functions) && strings.HasSuffix(f.Func, functions[next]) {
			next++
		}
		if i == 0 && next == 0 {
			break
		}
	}
	if next < len(functions) {
		th.t.Errorf("thread %d: no %s where it should be in the stack %v", th.id, functions[next], stack)
	}
}

// nextTo steps over lines of one function until th is at a mark, at most 20
// times: the compiler may visit a line twice.
func (th *thread) nextTo(name string) {
	th.t.Helper()
	m, from := mark(th.t, name), th.top()
	way := []frame{from}
	for range 20 {
		top := th.step(th.Next)
		way = append(way, top)
		if top.Func != from.Func {
			break
		}
		if top.File == m.File && top.Line == m.Line {
			return
		}
	}
	th.t.Fatalf("next did not come to %s (%s:%d) but by %v", name, m.File, m.Line, way)
}

// resume continues th and waits until the IDE has been told that the request
// is over.
func (th *thread) resume() {
	th.t.Helper()
	must(th.t, th.Continue(th.id))
	th.gone()
}

// gone waits until the IDE has been told that the request is over.
func (th *thread) gone() {
	th.t.Helper()
	_, err := th.WaitThread("exited", th.id)
	must(th.t, err)
}
