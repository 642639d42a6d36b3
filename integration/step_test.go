//go:build linux && amd64

package integration_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestSteps goes through three levels of calls by next, stepIn and stepOut, and
// over calls that block in a sleep, a mutex, a channel and the network.
func TestSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("steps-entry")
	p := r.request("/steps")
	th := c.stopped("breakpoint", "steps-entry")
	for _, level := range []struct{ call, function string }{
		{"steps-call1", "main.stepLevel1"},
		{"steps-call2", "main.stepLevel2"},
		{"steps-call3", "main.stepLevel3"},
	} {
		th.nextTo(level.call)
		th.step(th.StepIn)
		th.in(level.function)
	}
	th.callers("main.stepLevel3", "main.stepLevel2", "main.stepLevel1", "main.(*api).steps")
	for _, after := range []string{"after-sleep", "after-mutex", "after-chan", "after-net", "steps-level3-end"} {
		th.nextTo(after)
	}
	for _, caller := range []struct{ call, function string }{
		{"steps-call3", "main.stepLevel2"},
		{"steps-call2", "main.stepLevel1"},
		{"steps-call1", "main.(*api).steps"},
	} {
		th.step(th.StepOut)
		// Behind the call: on its line, or on the next if nothing is left of it.
		m, top := mark(t, caller.call), th.top()
		if !strings.HasSuffix(top.Func, caller.function) || top.File != m.File || top.Line != m.Line && top.Line != m.Line+1 {
			t.Fatalf("stepOut came to %v, want it behind the call at %s (%s:%d)", top, caller.call, m.File, m.Line)
		}
	}
	th.nextTo("steps-back")
	p.held(t)
	th.resume()
	checkTrail(t, p.ok(t))
}

// checkTrail fails unless /steps came to the values that it comes to when
// nobody watches.
func checkTrail(t *testing.T, reply harness.Reply) {
	t.Helper()
	type trail struct {
		Depth, Slept, Locked, Got, Summary int
		Health                             string
	}
	var got trail
	must(t, json.Unmarshal([]byte(reply.Body), &got))
	if want := (trail{4, 41, 42, 43, 129, "ok\n"}); got != want {
		t.Errorf("/steps answered %+v, want %+v", got, want)
	}
}

// TestStepOverBreakpoint steps over a call that has a breakpoint in it: the
// breakpoint wins.
func TestStepOverBreakpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("steps-call1", "after-chan")
	p := r.request("/steps")
	th := c.stopped("breakpoint", "steps-call1")
	must(t, th.Next(th.id))
	th.again("breakpoint", "after-chan")
	th.callers("main.stepLevel3", "main.stepLevel2", "main.stepLevel1", "main.(*api).steps")
	th.resume()
	checkTrail(t, p.ok(t))
}

// TestStepRecursion steps over a recursive call: the line is reached many times
// on the way, in deeper frames, and the step must end in its own.
func TestStepRecursion(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("recursive")
	p := r.request("/recursive?n=6")
	th := c.stopped("breakpoint", "recursive")
	c.clear("recursive")
	th.evaluates(th.top().ID, "n", "6")
	th.nextTo("recursive-up")
	th.evaluates(th.top().ID, "rest", "15")
	th.step(th.StepOut)
	th.in("main.(*api).recursive")
	th.nextTo("recursive-done")
	th.resume()
	if reply := p.ok(t); reply.Body != "{\"sum\":21}\n" {
		t.Errorf("the response is %q", reply.Body)
	}
}

// TestStepToTheEnd steps out of the handler: the request is over some steps
// later, and the IDE is told so.
func TestStepToTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("healthz")
	p := r.request("/healthz")
	th := c.stopped("breakpoint", "healthz")
	th.step(th.StepOut)
	p.held(t)
	th.resume()
	p.ok(t)
}

// TestTwoFrozen has two requests frozen at the same time and steps them in
// turn, and at once: each has its own line, stack and values.
func TestTwoFrozen(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded", "steps-entry")
	steps := r.request("/steps")
	a := c.stopped("breakpoint", "steps-entry")
	order := r.request("/orders/14")
	b := c.stopped("breakpoint", "order-loaded")
	if a.id == b.id {
		t.Fatalf("both requests are thread %d", a.id)
	}
	r.serving(100)

	a.nextTo("steps-call1")
	b.nextTo("order-price")
	a.step(a.StepIn)
	b.step(b.StepIn)
	a.in("main.stepLevel1")
	b.in("main.(*service).Price")
	a.callers("main.stepLevel1", "main.(*api).steps")
	b.callers("main.(*service).Price", "main.(*api).order")
	b.evaluates(b.top().ID, "order.ID", "14")

	// Both at once: one blocks for a while below its step, the other does not.
	a.nextTo("steps-call2")
	waitA, err := a.Start("next", map[string]int{"threadId": a.id})
	must(t, err)
	waitB, err := b.Start("stepOut", map[string]int{"threadId": b.id})
	must(t, err)
	for _, wait := range []func() error{response(waitA), response(waitB)} {
		must(t, wait())
	}
	b.waitStep("main.(*api).order")
	a.waitStep("main.stepLevel1")

	b.resume()
	order.ok(t)
	a.in("main.stepLevel1")
	steps.held(t)
	a.resume()
	checkTrail(t, steps.ok(t))
}

// response drops the body of a response.
func response[R any](wait func() (R, error)) func() error {
	return func() error {
		_, err := wait()
		return err
	}
}

// TestSameLineTwice has two requests frozen at the same line.
func TestSameLineTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	first := r.request("/orders/7")
	a := c.stopped("breakpoint", "order-loaded")
	second := r.request("/orders/14")
	b := c.stopped("breakpoint", "order-loaded")
	a.evaluates(a.top().ID, "id", "7")
	b.evaluates(b.top().ID, "id", "14")
	a.resume()
	first.ok(t)
	second.held(t)
	b.at("order-loaded")
	b.resume()
	second.ok(t)
}
