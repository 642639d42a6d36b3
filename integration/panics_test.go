//go:build linux && amd64

package integration_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// panicMarks are the marked lines of the target panics.
var panicMarks = sync.OnceValues(func() (map[string]harness.Mark, error) {
	return harness.Marks(filepath.Join(builder.Root, "integration", "targets", "panics"))
})

// panicRig is the target panics with an IDE that asks for stops at panics.
type panicRig struct {
	*rig
	*daptest.Client
	marks map[string]harness.Mark
}

// atPanics attaches with the filters on.
func atPanics(t *testing.T, filters ...dap.ExceptionFilterOptions) *panicRig {
	t.Helper()
	binary, err := builder.Target("panics")
	must(t, err)
	marks, err := panicMarks()
	must(t, err)
	r := &panicRig{rig: rigOf(t, binary), marks: marks}
	r.Client = r.dial(r.attach())
	must(t, r.SessionWith(nil, ""))
	for i, bp := range r.filter(filters...) {
		if !bp.Verified {
			t.Fatalf("filter %+v is not verified: %s", filters[i], bp.Message)
		}
	}
	return r
}

// filter replaces the filters.
func (r *panicRig) filter(filters ...dap.ExceptionFilterOptions) []dap.Breakpoint {
	r.t.Helper()
	m, err := r.Do("setExceptionBreakpoints", dap.SetExceptionBreakpointsArguments{Filters: []string{}, FilterOptions: filters})
	must(r.t, err)
	bps := m.(*dap.SetExceptionBreakpointsResponse).Body.Breakpoints
	if len(bps) != len(filters) {
		r.t.Fatalf("%d breakpoints for %d filters", len(bps), len(filters))
	}
	return bps
}

func filter(id, condition string) dap.ExceptionFilterOptions {
	return dap.ExceptionFilterOptions{FilterId: id, Condition: condition}
}

// exception waits for a stop at a panic, with the marked line on top.
func (r *panicRig) exception(text, name string) *thread {
	r.t.Helper()
	stop, err := r.WaitStopped(daptest.AnyThread)
	if err != nil {
		r.t.Fatalf("%v; output: %q", err, outputs(r.Events()))
	}
	if stop.Reason != "exception" || stop.AllThreadsStopped || !strings.Contains(stop.Description, text) {
		r.t.Fatalf("stopped event %+v, want an exception %q", stop, text)
	}
	th := &thread{&ide{r.Client, r.t}, stop.ThreadId}
	top, want := th.top(), r.marks[name]
	if want.Line == 0 {
		r.t.Fatalf("no mark %s", name)
	}
	if top.File != want.File || top.Line != want.Line {
		r.t.Fatalf("stopped at %v, want %s (%s:%d) on top; the stack:\n%v", top, name, want.File, want.Line, th.stack())
	}
	return th
}

func (r *panicRig) info(th *thread) dap.ExceptionInfoResponseBody {
	r.t.Helper()
	m, err := r.Do("exceptionInfo", dap.ExceptionInfoArguments{ThreadId: th.id})
	must(r.t, err)
	return m.(*dap.ExceptionInfoResponse).Body
}

// sameAsUndebugged fails unless the reply is what a request gets that nobody
// debugs.
func (r *panicRig) sameAsUndebugged(path string, got harness.Reply) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	want := r.others.Send(ctx, "POST", path, nil)
	if got.Status != want.Status || got.Body != want.Body || (got.Err == nil) != (want.Err == nil) {
		r.t.Errorf("%s: status %d, body %q, error %v; without a debugger it is %d, %q, %v", path, got.Status, got.Body, got.Err, want.Status, want.Body, want.Err)
	}
}

// TestPanics: each kind of panic stops with the frame that panicked on top and
// its variables, whoever recovers it; the response is the one without a debugger.
func TestPanics(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("panic", ""))
	for _, c := range []struct {
		kind, text, typ string
		expr, value     string // in the frame that panicked
	}{
		{"nil", "invalid memory address or nil pointer dereference", "runtime.errorString", "known.Balance", "799"},
		{"index", "index out of range [5] with length 3", "runtime.boundsError", "known.Balance", "799"},
		{"nilmap", "assignment to entry in nil map", "runtime.plainError", "", ""},
		{"custom", "load /", "*fmt.wrapError", "", ""},
		{"text", "no more than ", "string", "", ""},
		{"assert", "interface conversion", "*runtime.TypeAssertionError", "", ""},
		{"divide", "integer divide by zero", "runtime.errorString", "", ""},
		{"slice", "slice bounds out of range", "runtime.boundsError", "", ""},
		{"panicnil", "panic called with nil argument", "*runtime.PanicNilError", "", ""},
		{"indefer", "deferred /", "string", "", ""},
		{"unlock", "locked", "string", "", ""},
		{"inlined", "index out of range [2] with length 1", "runtime.boundsError", "", ""},
	} {
		for _, way := range []string{"bare", "recovered", "outside"} {
			path := "/" + way + "/" + c.kind
			p := r.send("POST", path, nil)
			name := c.kind
			if name == "inlined" {
				name = "third"
			}
			th := r.exception(c.text, name)
			p.held(t)
			info := r.info(th)
			if info.ExceptionId != "panic" || info.Details == nil || !strings.Contains(info.Details.Message, c.text) || info.Details.FullTypeName != c.typ {
				t.Errorf("%s: %+v, %+v", path, info, info.Details)
			}
			if c.expr != "" {
				v, err := r.Evaluate(c.expr, th.top().ID, "watch")
				if err != nil || v.Result != c.value {
					t.Errorf("%s: %s is %q, %v", path, c.expr, v.Result, err)
				}
			}
			th.callers(th.top().Func, "middleware.(*handler).serveArmed", "http.(*conn).serve")
			must(t, th.Continue(th.id))
			reply := p.wait(t)
			th.gone()
			r.sameAsUndebugged(path, reply)
		}
	}
}

// TestPanicsThatAreNone: http.ErrAbortHandler is left alone unless a condition
// asks for it, and runtime.Goexit is no panic.
func TestPanicsThatAreNone(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("panic", ""), filter("recovered", ""))
	for _, path := range []string{"/bare/abort", "/recovered/abort", "/bare/goexit", "/recovered/goexit", "/recovered/fine"} {
		p := r.send("POST", path, nil)
		r.sameAsUndebugged(path, p.wait(t))
	}
	r.filter(filter("panic", `panicText == "net/http: abort Handler"`))
	p := r.send("POST", "/bare/abort", nil)
	th := r.exception("panic: net/http: abort Handler", "abort")
	must(t, th.Continue(th.id))
	r.sameAsUndebugged("/bare/abort", p.wait(t))
}

// TestPanicAgain: a panic in a deferred function is one more, with its own frame
// on top, whether the first was recovered or not.
func TestPanicAgain(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("panic", ""))
	for _, c := range []struct {
		path  string
		stops [][2]string // text and mark
	}{
		{"/again/text", [][2]string{{"no more than", "text"}, {"no more than", "again"}}},
		{"/recovered/nested", [][2]string{{"first", "nested-first"}, {"second", "nested-second"}}},
		{"/bare/nested", [][2]string{{"first", "nested-first"}, {"second", "nested-second"}}},
	} {
		p := r.send("POST", c.path, nil)
		for _, s := range c.stops {
			th := r.exception(s[0], s[1])
			p.held(t)
			must(t, th.Continue(th.id))
		}
		r.sameAsUndebugged(c.path, p.wait(t))
	}
}

// TestRecovered: a request stops when a panic of it was recovered, with the frame
// that panicked on top, and goes on in the deferred function.
func TestRecovered(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("recovered", ""))
	for _, path := range []string{"/recovered/text", "/again/text", "/outside/text", "/bare/text", "/recovered/fine"} {
		p := r.send("POST", path, nil)
		if strings.HasSuffix(path, "/fine") || path == "/outside/text" || path == "/bare/text" {
			// Nothing is recovered, or it is when the request is no longer
			// traced.
			r.sameAsUndebugged(path, p.wait(t))
			continue
		}
		th := r.exception("recovered panic: no more than", "text")
		p.held(t)
		if info := r.info(th); info.ExceptionId != "recovered panic" || !strings.Contains(info.Details.StackTrace, "main.text") {
			t.Errorf("%s: %+v, %+v", path, info, info.Details)
		}
		must(t, th.Continue(th.id))
		if path == "/again/text" {
			th = r.exception("recovered panic: no more than", "again")
			must(t, th.Continue(th.id))
		}
		r.sameAsUndebugged(path, p.wait(t))
	}
}

// TestStepFromPanic: the function that panicked never goes on. A step leads into
// the deferred function that runs next, and on from there.
func TestStepFromPanic(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("panic", ""))
	for _, step := range []struct {
		name string
		do   func(int) error
	}{{"next", r.Next}, {"stepIn", r.StepIn}, {"stepOut", r.StepOut}} {
		p := r.send("POST", "/recovered/text", nil)
		th := r.exception("no more than", "text")
		must(t, step.do(th.id))
		top := th.waitStep("main.routes.func1.recoverer.1.1")
		if want := r.marks["recover"]; top.Line != want.Line && top.Line != want.Line-1 {
			t.Errorf("%s led to %v, want line %d", step.name, top, want.Line)
		}
		for range 10 {
			if top = th.step(th.Next); top.Line == r.marks["recovered"].Line {
				break
			}
		}
		if top.Line != r.marks["recovered"].Line {
			t.Errorf("after %s, next did not come to the line that answers but to %v", step.name, top)
		}
		th.resume()
		r.sameAsUndebugged("/recovered/text", p.wait(t))
	}
}

// TestPanicConditions: conditions on the value, on its text and type, and in the
// frame that panicked; and what is wrong with one.
func TestPanicConditions(t *testing.T) {
	t.Parallel()
	r := atPanics(t)
	for _, c := range []struct {
		condition string
		stops     string // the kind of panic it is for
	}{
		{`panicType == "*fmt.wrapError"`, "custom"},
		{`/warehouse/`, "custom"},
		{`/^runtime\.boundsError: .*with length 3$/`, "index"},
		{`panic.(*fmt.wrapError).msg != ""`, "custom"},
		{`panicText == "second"`, "nested-second"},
	} {
		if bps := r.filter(filter("panic", c.condition)); !bps[0].Verified {
			t.Fatalf("%s: %s", c.condition, bps[0].Message)
		}
		for _, kind := range []string{"custom", "index", "nested"} {
			if strings.Contains(c.condition, ".(") && kind != c.stops {
				continue // another type is an error, at which a request stops
			}
			p := r.send("POST", "/recovered/"+kind, nil)
			if strings.HasPrefix(c.stops, kind) {
				th := r.exception("panic: ", c.stops)
				must(t, th.Continue(th.id))
			}
			r.sameAsUndebugged("/recovered/"+kind, p.wait(t))
		}
	}
	for _, bad := range []dap.ExceptionFilterOptions{
		filter("panic", "1 +"), filter("panic", "/(/"), filter("warnings", ""),
	} {
		if bps := r.filter(bad); bps[0].Verified || bps[0].Message == "" {
			t.Errorf("%+v: %+v", bad, bps[0])
		}
	}
	// A condition that cannot be evaluated stops, and says why.
	r.filter(filter("panic", "nowhere > 1"))
	p := r.send("POST", "/recovered/text", nil)
	th := r.exception("(condition: ", "text")
	must(t, th.Continue(th.id))
	r.sameAsUndebugged("/recovered/text", p.wait(t))
}

// TestWrappedChain: exceptionInfo shows each error that the value wraps.
func TestWrappedChain(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("panic", ""))
	p := r.send("POST", "/recovered/custom", nil)
	th := r.exception("load /recovered/custom", "custom")
	info := r.info(th)
	d := info.Details
	for i, want := range []struct{ typ, text string }{
		{"*fmt.wrapError", "load /recovered/custom"},
		{"*main.shortage", "bolts"},
		{"*fmt.wrapError", "warehouse: stock is empty"},
		{"*errors.errorString", "stock is empty"},
	} {
		if d.FullTypeName != want.typ || !strings.Contains(d.Message, want.text) {
			t.Errorf("error %d: %+v, want %s %q", i, d, want.typ, want.text)
		}
		if i == 3 {
			break
		}
		if len(d.InnerException) != 1 {
			t.Fatalf("error %d wraps %+v", i, d.InnerException)
		}
		d = &d.InnerException[0]
	}
	if len(info.Description) > 310 || !strings.HasPrefix(info.Details.StackTrace, "goroutine ") {
		t.Errorf("%+v, %+v", info, info.Details)
	}
	must(t, th.Continue(th.id))
	r.sameAsUndebugged("/recovered/custom", p.wait(t))
}

// TestFatalPanics: a panic that nothing will recover stops the request before the
// process ends, and only then; the others are served meanwhile. When the request
// goes on the process ends as it would have.
func TestFatalPanics(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct{ name, text, mark string }{
		{"text", "no more than", "text"}, {"nil", "nil pointer", "nil"}, {"unlock", "locked", "unlock"}, {"indefer", "deferred", "indefer"},
	} {
		r := atPanics(t, filter("fatal", ""))
		for _, way := range []string{"recovered", "outside", "bare", "again", "apart"} {
			path := "/" + way + "/" + kind.name
			p := r.send("POST", path, nil)
			r.sameAsUndebugged(path, p.wait(t))
		}
		p := r.send("POST", "/recovered/deep", nil)
		r.sameAsUndebugged("/recovered/deep", p.wait(t))

		p = r.send("POST", "/unrecovered/"+kind.name, nil)
		th := r.exception("fatal panic: ", kind.mark)
		r.serving(500)
		p.held(t)
		if info := r.info(th); info.ExceptionId != "fatal panic" || !strings.Contains(info.Details.Message, kind.text) {
			t.Errorf("%+v, %+v", info, info.Details)
		}
		must(t, th.Continue(th.id))
		if reply := p.wait(t); reply.Err == nil {
			t.Errorf("the request was answered with %d %q, the process should have ended", reply.Status, reply.Body)
		}
		must(t, harness.Until(10*time.Second, "the process has ended", func() error {
			if r.service.Running() {
				return errors.New("it runs")
			}
			return nil
		}))
		if _, err := r.WaitEvent("terminated"); err != nil {
			t.Error(err)
		}
		if err := r.service.Stderr.String(); !strings.Contains(err, kind.text) || !strings.Contains(err, "panic: ") {
			t.Errorf("the service wrote %q", err)
		}
	}
}

// TestErrorResponses: a request stops where it responds with an error, and nowhere
// else; a step leads on in the function that responds.
func TestErrorResponses(t *testing.T) {
	t.Parallel()
	r := atPanics(t, filter("error", ""))
	for _, path := range []string{"/bare/fine", "/bare/missing", "/bare/failing"} {
		p := r.send("POST", path, nil)
		if path == "/bare/failing" {
			th := r.exception("error response: status 503", "failing")
			p.held(t)
			r.serving(200)
			if info := r.info(th); info.ExceptionId != "error response" || info.Details == nil || !strings.Contains(info.Details.StackTrace, "main.failing") {
				t.Errorf("%+v, %+v", info, info.Details)
			}
			v, err := r.Evaluate("item", th.top().ID, "watch")
			if err != nil || v.Result != `"/bare/failing"` {
				t.Errorf("item is %+v, %v", v, err)
			}
			for range 3 {
				if top := th.step(th.Next); top.Func != "main.failing" {
					t.Fatalf("next led to %v", top)
				} else if top.Line == r.marks["failing-after"].Line {
					break
				}
			}
			if top := th.top(); top.Line != r.marks["failing-after"].Line {
				t.Errorf("next came to %v", top)
			}
			must(t, th.Continue(th.id))
		}
		r.sameAsUndebugged(path, p.wait(t))
	}
	// Recovery middleware responds with 500, on top of the frame that panicked.
	p := r.send("POST", "/recovered/text", nil)
	th := r.exception("error response: status 500", "recovered")
	th.callers(th.top().Func, "main.text")
	must(t, th.Continue(th.id))
	r.sameAsUndebugged("/recovered/text", p.wait(t))

	r.filter(filter("error", "status == 404"))
	for _, path := range []string{"/bare/failing", "/bare/missing"} {
		p := r.send("POST", path, nil)
		if path == "/bare/missing" {
			th := r.exception("error response: status 404", "missing")
			must(t, th.Continue(th.id))
		}
		r.sameAsUndebugged(path, p.wait(t))
	}
}

// TestBreakpointInGopanic: a function breakpoint there stops in the first deferred
// function, since there no request can be frozen.
func TestBreakpointInGopanic(t *testing.T) {
	t.Parallel()
	r := atPanics(t)
	m, err := r.Do("setFunctionBreakpoints", dap.SetFunctionBreakpointsArguments{Breakpoints: []dap.FunctionBreakpoint{{Name: "runtime.gopanic"}}})
	must(t, err)
	if bps := m.(*dap.SetFunctionBreakpointsResponse).Body.Breakpoints; len(bps) != 1 || !bps[0].Verified {
		t.Fatalf("%+v", bps)
	}
	p := r.send("POST", "/recovered/text", nil)
	stop, err := r.WaitStopped(daptest.AnyThread)
	must(t, err)
	th := &thread{&ide{r.Client, r.t}, stop.ThreadId}
	th.callers("main.routes.func1.recoverer.1.1", "runtime.gopanic", "main.text")
	must(t, th.Continue(th.id))
	r.sameAsUndebugged("/recovered/text", p.wait(t))
}
