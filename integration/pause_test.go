//go:build linux && amd64

package integration_test

import (
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestStopOnEntry stops a request on the first line of the user's own handler,
// not in net/http and not in the middleware.
func TestStopOnEntry(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach(), map[string]any{"stopOnEntry": true}, "order-loaded")
	for _, handler := range []struct{ path, mark, function string }{
		{"/orders/7", "order-entry", "main.(*api).order"},
		{"/steps", "steps-entry", "main.(*api).steps"},
		{"/healthz", "healthz", "main.(*api).healthz"},
	} {
		p := r.request(handler.path)
		th := c.entered(handler.mark)
		th.in(handler.function)
		if handler.mark == "order-entry" {
			must(t, th.Continue(th.id))
			th.again("breakpoint", "order-loaded")
		}
		th.resume()
		p.ok(t)
	}
	r.serving(100)
}

// entered waits for a request to stop at the entry of the handler whose first
// line is marked. It stands on the line of the func keyword, where the
// arguments are complete, or on the first one below it.
func (c *ide) entered(name string) *thread {
	c.t.Helper()
	stop, err := c.WaitStopped(daptest.AnyThread)
	must(c.t, err)
	th := &thread{c, stop.ThreadId}
	m, top := mark(c.t, name), th.top()
	if stop.Reason != "entry" || top.File != m.File || top.Line != m.Line && top.Line != m.Line-1 {
		c.t.Fatalf("stopped event %+v at %v, want it at the entry of the handler with %s (%s:%d)", stop, top, name, m.File, m.Line)
	}
	return th
}

// started waits until the IDE has been told of a new request.
func (c *ide) started() *thread {
	c.t.Helper()
	id, err := c.WaitThread("started", daptest.AnyThread)
	must(c.t, err)
	return &thread{c, id}
}

// TestPauseBlocked pauses a request that waits in a select: it stops when it
// comes back to the user's code.
func TestPauseBlocked(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	p := r.request("/slow?ms=1500")
	th := c.started()
	must(t, harness.WaitBlocked(r.service.PID, time.Second))
	must(t, th.Pause(th.id))
	stop, err := c.WaitStopped(th.id)
	must(t, err)
	if stop.Reason != "pause" {
		t.Errorf("stopped event %+v", stop)
	}
	th.in("main.(*api).slow")
	p.held(t)
	th.nextTo("slow-done")
	th.resume()
	p.ok(t)
}

// TestPauseRunning pauses a request that computes.
func TestPauseRunning(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	p := r.request("/spin?ms=3000")
	th := c.started()
	for range 3 {
		must(t, th.Pause(th.id))
		stop, err := c.WaitStopped(th.id)
		must(t, err)
		if stop.Reason != "pause" {
			t.Fatalf("stopped event %+v", stop)
		}
		th.callers("", "main.(*api).spin")
		p.held(t)
		must(t, th.Continue(th.id))
	}
	th.gone()
	p.ok(t)
}

// TestPausePending pauses a request and has the IDE leave before it has come
// to a stop.
func TestPausePending(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	p := r.request("/slow?ms=1500")
	th := c.started()
	must(t, harness.WaitBlocked(r.service.PID, time.Second))
	must(t, th.Pause(th.id))
	must(t, c.Disconnect())
	p.ok(t)
	must(t, harness.Until(endTimeout, "no thread is traced", func() error {
		return harness.Untraced(r.service.PID)
	}))
}
