//go:build linux && amd64

package integration_test

import (
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestBreakpointsWhileFrozen sets and removes breakpoints in front of a frozen
// request.
func TestBreakpointsWhileFrozen(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-entry", "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-entry")
	if bp := c.breakAt("order-priced")[0]; !bp.Verified { // and no longer at order-loaded
		t.Fatalf("not verified: %s", bp.Message)
	}
	if bp := c.breakAt("service-priced")[0]; !bp.Verified { // another file
		t.Fatalf("not verified: %s", bp.Message)
	}
	must(t, th.Continue(th.id))
	th.again("breakpoint", "service-priced")
	must(t, th.Continue(th.id))
	th.again("breakpoint", "order-priced")
	th.resume()
	p.ok(t)
}

// TestBreakpointsWhileRunning sets and removes breakpoints in front of a
// request that is blocked.
func TestBreakpointsWhileRunning(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	p := r.request("/slow?ms=1000")
	th := c.started()
	c.breakAt("slow-done")
	stop, err := c.WaitStopped(th.id)
	must(t, err)
	th.at("slow-done")
	if stop.Reason != "breakpoint" || len(stop.HitBreakpointIds) != 1 {
		t.Errorf("stopped event %+v", stop)
	}
	th.resume()
	p.ok(t)

	p = r.request("/slow?ms=1000")
	th = c.started()
	c.clear("slow-done")
	p.ok(t)
	th.gone()
	for _, ev := range c.Events() {
		if stop, ok := ev.(*dap.StoppedEvent); ok {
			t.Errorf("it stopped at a breakpoint that was removed: %+v", stop)
		}
	}
}

// TestFiveBreakpoints asks for one more than a thread has hardware breakpoints,
// and no others are wanted: it is not verified, says why, and is verified when another one goes.
func TestFiveBreakpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--extra-breakpoints", "off"), nil, "order-entry", "order-loaded", "order-price", "order-priced")
	fifth := c.breakAt("service-priced")[0]
	if fifth.Verified || !strings.Contains(fifth.Message, "hardware breakpoint") {
		t.Fatalf("the fifth breakpoint: %+v", fifth)
	}
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-entry")
	for _, name := range []string{"order-loaded", "order-price", "order-priced"} {
		must(t, th.Continue(th.id))
		th.again("breakpoint", name)
	}
	th.resume()
	p.ok(t)

	c.breakAt("order-entry", "order-loaded")
	_, err := c.Wait("breakpoint event", func(ev dap.EventMessage) bool {
		changed, ok := ev.(*dap.BreakpointEvent)
		return ok && changed.Body.Breakpoint.Id == fifth.ID && changed.Body.Breakpoint.Verified
	})
	must(t, err)
	p = r.request("/orders/7")
	th = c.stopped("breakpoint", "order-entry")
	for _, name := range []string{"order-loaded", "service-priced"} {
		must(t, th.Continue(th.id))
		th.again("breakpoint", name)
	}
	th.resume()
	p.ok(t)
}

// TestBreakpointNowhere asks for breakpoints where there is no code.
func TestBreakpointNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	for _, nowhere := range []struct {
		name, file string
		line       int
		why        string
	}{
		{"a comment", mark(t, "order-entry").File, 1, "no code"},
		{"behind the end", mark(t, "order-entry").File, 100_000, "no code"},
		{"another program's file", "/nowhere/at/all.go", 10, "no such file"},
	} {
		bps, err := c.SetBreakpoints(nowhere.file, nowhere.line)
		must(t, err)
		if len(bps) != 1 || bps[0].Verified || !strings.Contains(bps[0].Message, nowhere.why) {
			t.Errorf("%s: %+v, want not verified: %s", nowhere.name, bps, nowhere.why)
		}
	}
	r.request("/orders/7").ok(t)
}
