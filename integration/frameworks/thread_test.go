//go:build linux && amd64

package frameworks_test

import (
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// thread is a frozen request, as the IDE sees it.
type thread struct {
	*rig
	id int
}

// stopped waits for any request to stop at a mark because of its breakpoint.
func (r *rig) stopped(name string) *thread {
	r.t.Helper()
	stop, err := r.WaitStopped(daptest.AnyThread)
	must(r.t, err)
	if stop.Reason != "breakpoint" || stop.AllThreadsStopped {
		r.t.Fatalf("stopped event %+v, want a breakpoint's and not all threads", stop)
	}
	th := &thread{r, stop.ThreadId}
	if top := th.stack()[0]; !th.at(name, top) {
		r.t.Fatalf("stopped at %s, want %s", place(top), name)
	}
	return th
}

// name is the thread's, as the IDE shows it.
func (th *thread) name() string {
	th.t.Helper()
	threads, err := th.Threads()
	must(th.t, err)
	for _, one := range threads {
		if one.Id == th.id {
			return one.Name
		}
	}
	th.t.Fatalf("thread %d is not one of %+v", th.id, threads)
	panic("unreachable")
}

// stack returns all frames, innermost first.
func (th *thread) stack() []dap.StackFrame {
	th.t.Helper()
	frames, _, err := th.StackTrace(th.id, 0, 0)
	must(th.t, err)
	if len(frames) == 0 {
		th.t.Fatalf("thread %d has no stack", th.id)
	}
	return frames
}

func (th *thread) at(name string, f dap.StackFrame) bool {
	th.t.Helper()
	m := th.mark(name)
	return f.Source != nil && f.Source.Path == m.File && f.Line == m.Line
}

func place(f dap.StackFrame) string {
	if f.Source == nil {
		return f.Name
	}
	return fmt.Sprintf("%s %s:%d", f.Name, f.Source.Path, f.Line)
}

// callers fails unless the stack has functions with these ends of their names,
// in this order, innermost first.
func (th *thread) callers(functions ...string) {
	th.t.Helper()
	var stack []string
	next := 0
	for _, f := range th.stack() {
		stack = append(stack, f.Name)
		if next < len(functions) && strings.HasSuffix(f.Name, functions[next]) {
			next++
		}
	}
	if next < len(functions) {
		th.t.Errorf("no %s where it should be in the stack %v", functions[next], stack)
	}
}

// evaluates fails unless an expression has a value in the innermost frame, and
// the variables of that frame show the same.
func (th *thread) evaluates(name, want string) {
	th.t.Helper()
	got, err := th.Evaluate(name, th.stack()[0].Id, "watch")
	if err != nil || got.Result != want {
		th.t.Errorf("%s is %q, %v; want %s", name, got.Result, err, want)
	}
	locals, err := th.Locals(th.id)
	must(th.t, err)
	if locals[name].Value != want {
		th.t.Errorf("%s is %q among the variables %v, want %s", name, locals[name].Value, locals, want)
	}
}

// nextTo steps over lines of one function until th is at a mark, at most 20
// times: the compiler may visit a line twice.
func (th *thread) nextTo(name string) {
	th.t.Helper()
	from := th.stack()[0]
	way := []string{place(from)}
	for range 20 {
		must(th.t, th.Next(th.id))
		stop, err := th.WaitStopped(th.id)
		must(th.t, err)
		top := th.stack()[0]
		way = append(way, place(top))
		if stop.Reason != "step" || top.Name != from.Name {
			break
		}
		if th.at(name, top) {
			return
		}
	}
	th.t.Fatalf("next did not come to %s but by %v", name, way)
}

// resume continues th and waits until the IDE has been told that the request is
// over.
func (th *thread) resume() {
	th.t.Helper()
	must(th.t, th.Continue(th.id))
	_, err := th.WaitThread("exited", th.id)
	must(th.t, err)
}
