//go:build linux && amd64

package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// set replaces the breakpoints of the file of a mark by one with more to it.
func (c *ide) set(name string, more dap.SourceBreakpoint) dap.Breakpoint {
	c.t.Helper()
	m := mark(c.t, name)
	more.Line = m.Line
	r, err := c.Do("setBreakpoints", dap.SetBreakpointsArguments{
		Source: dap.Source{Path: m.File}, Breakpoints: []dap.SourceBreakpoint{more},
	})
	must(c.t, err)
	bps := r.(*dap.SetBreakpointsResponse).Body.Breakpoints
	if len(bps) != 1 {
		c.t.Fatalf("%d breakpoints in the answer", len(bps))
	}
	return bps[0]
}

func (c *ide) verified(bp dap.Breakpoint) dap.Breakpoint {
	c.t.Helper()
	if !bp.Verified {
		c.t.Fatalf("not verified: %s", bp.Message)
	}
	return bp
}

// passes sends a request that must not stop.
func (r *rig) passes(c *ide, path string) {
	r.t.Helper()
	p := r.request(path)
	if _, err := c.WaitThread("exited", 0); err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
	p.ok(r.t)
	for _, ev := range c.Events() {
		if stop, ok := ev.(*dap.StoppedEvent); ok {
			r.t.Fatalf("%s stopped: %+v", path, stop.Body)
		}
	}
}

// stopsOnce sends a request that must stop at a mark, and lets it go on.
func (r *rig) stopsOnce(c *ide, path, name string) {
	r.t.Helper()
	p := r.request(path)
	th := c.stopped("breakpoint", name)
	th.resume()
	p.ok(r.t)
}

func TestConditions(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	c.verified(c.set("order-loaded", dap.SourceBreakpoint{Condition: "order.ID == 7"}))
	for range 3 {
		r.passes(c, "/orders/3")
		r.stopsOnce(c, "/orders/7", "order-loaded")
	}
	// One that cannot be evaluated stops, and says why: to pass would hide it.
	c.verified(c.set("order-loaded", dap.SourceBreakpoint{Condition: "nothing.ID == 7"}))
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	th.resume()
	p.ok(t)

	for what, more := range map[string]dap.SourceBreakpoint{
		"condition":     {Condition: "order.ID =="},
		"hit condition": {HitCondition: "often"},
		"log message":   {LogMessage: "total {order.Total"},
	} {
		if bp := c.set("order-loaded", more); bp.Verified || !strings.Contains(bp.Message, what) {
			t.Errorf("%s: %+v", what, bp)
		}
	}
	r.passes(c, "/orders/7")
}

// TestHitConditions: hits are counted over requests, and only those for which
// the condition holds.
func TestHitConditions(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	c.verified(c.set("order-loaded", dap.SourceBreakpoint{HitCondition: "> 2"}))
	r.passes(c, "/orders/7")
	r.passes(c, "/orders/7")
	r.stopsOnce(c, "/orders/7", "order-loaded")
	c.verified(c.set("order-loaded", dap.SourceBreakpoint{HitCondition: "% 2", Condition: "order.ID == 7"}))
	for range 2 {
		r.passes(c, "/orders/7")
		r.passes(c, "/orders/3")
		r.stopsOnce(c, "/orders/7", "order-loaded")
	}
}

// TestLogPoints log and do not stop, and a step goes on over them.
func TestLogPoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	bp := c.verified(c.set("service-priced", dap.SourceBreakpoint{LogMessage: "order {order.ID}, {len(order.Items)} items, {nothing}"}))
	r.passes(c, "/orders/7")
	logged := func() {
		t.Helper()
		ev, err := c.Wait("the log point", func(ev dap.EventMessage) bool {
			out, ok := ev.(*dap.OutputEvent)
			return ok && strings.Contains(out.Body.Output, "order 7, ")
		})
		must(t, err)
		out := ev.(*dap.OutputEvent).Body
		if out.Line != bp.Line || out.Source == nil || !strings.Contains(out.Output, "GET /orders/7 from 127.0.0.2: order 7, ") ||
			!strings.Contains(out.Output, "{nothing: ") || strings.Contains(out.Output, "{len") {
			t.Errorf("logged %+v", out)
		}
	}
	logged()

	c.breakAt("order-price")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-price")
	th.nextTo("order-priced")
	logged()
	th.resume()
	p.ok(t)
}

func TestFunctionBreakpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	set := func(names ...string) []dap.Breakpoint {
		t.Helper()
		var args dap.SetFunctionBreakpointsArguments
		for _, name := range names {
			args.Breakpoints = append(args.Breakpoints, dap.FunctionBreakpoint{Name: name})
		}
		got, err := c.Do("setFunctionBreakpoints", args)
		must(t, err)
		return got.(*dap.SetFunctionBreakpointsResponse).Body.Breakpoints
	}
	got := set("main.(*service).Price", "nosuch.Function", "handlers.go:3")
	c.verified(got[0])
	for i, bad := range got[1:] {
		if bad.Verified || bad.Message == "" {
			t.Errorf("name %d: %+v", i+1, bad)
		}
	}
	p := r.request("/orders/7")
	stop, err := c.WaitStopped(0)
	must(t, err)
	th := &thread{ide: c, id: stop.ThreadId}
	th.in("(*service).Price")
	if len(stop.HitBreakpointIds) != 1 || stop.HitBreakpointIds[0] != got[0].Id {
		t.Errorf("hit %v, want %d", stop.HitBreakpointIds, got[0].Id)
	}
	frames, _, err := c.StackTrace(th.id, 0, 1)
	must(t, err)
	th.resume()
	p.ok(t)

	set()
	address := frames[0].InstructionPointerReference
	got2, err := c.Do("setInstructionBreakpoints", dap.SetInstructionBreakpointsArguments{
		Breakpoints: []dap.InstructionBreakpoint{{InstructionReference: address}},
	})
	must(t, err)
	bp := c.verified(got2.(*dap.SetInstructionBreakpointsResponse).Body.Breakpoints[0])
	p = r.request("/orders/7")
	stop, err = c.WaitStopped(0)
	must(t, err)
	th.id = stop.ThreadId
	if top := th.top(); top.Line != bp.Line || fmt.Sprint(stop.HitBreakpointIds) != fmt.Sprint([]int{bp.Id}) {
		t.Errorf("stopped at %v (hit %v), want line %d", top, stop.HitBreakpointIds, bp.Line)
	}
	th.resume()
	p.ok(t)
}
