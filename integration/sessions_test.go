//go:build linux && amd64

package integration_test

import (
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestTwoIDEs: two IDEs at one agent have their own requests, breakpoints and
// stops, and neither sees the other's.
func TestTwoIDEs(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	wanting := func(path string) map[string]any {
		return map[string]any{"requests": map[string]any{"pathPrefix": path, "client": harness.Allowed}}
	}
	alice := r.ide(a, wanting("/orders"), "order-loaded", "steps-level3")
	bob := r.ide(a, wanting("/steps"), "order-loaded", "steps-level3")

	orders, steps := r.request("/orders/7"), r.request("/steps")
	mine, his := alice.stopped("breakpoint", "order-loaded"), bob.stopped("breakpoint", "steps-level3")
	if mine.id == his.id {
		t.Fatal("two requests have one id")
	}
	for _, look := range []struct {
		c    *ide
		only int
	}{{alice, mine.id}, {bob, his.id}} {
		threads, err := look.c.Threads()
		must(t, err)
		if len(threads) != 1 || threads[0].Id != look.only {
			t.Errorf("threads %v, want only %d", threads, look.only)
		}
	}
	if err := bob.Continue(mine.id); err == nil {
		t.Error("one IDE continued the other one's request")
	}
	if _, _, err := bob.StackTrace(mine.id, 0, 1); err == nil {
		t.Error("one IDE read the other one's stack")
	}
	mine.nextTo("order-price")
	orders.held(t)

	// One leaves while the other holds.
	must(t, alice.Disconnect())
	orders.ok(t)
	steps.held(t)
	r.request("/orders/7").ok(t) // nobody wants it any more
	his.at("steps-level3")
	his.resume()
	steps.ok(t)
	for _, ev := range bob.Events() {
		if stop, ok := ev.(*dap.StoppedEvent); ok {
			t.Errorf("a stop of the other one's: %+v", stop.Body)
		}
	}
}
