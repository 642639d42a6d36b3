//go:build linux && amd64

package integration_test

import (
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestHoldUnderLoad keeps a request frozen while the others load the service
// and its collector runs every 50 ms: neither may ever wait for it. The full
// form, 30 s, also outlives the service's write timeout of 20 s.
func TestHoldUnderLoad(t *testing.T) {
	hold := 5 * time.Second
	if *full {
		hold = 30 * time.Second
	}
	r := newRig(t, harness.Variant{}, "-gc", "50ms")
	c := r.debug("order-loaded")
	load := harness.StartLoad(r.service.URL, "/orders/3", 4)
	must(t, load.WaitServed(100, 20*time.Second))
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")

	// Not one second of it may pass without traffic.
	const slice = 250 * time.Millisecond
	for began := time.Now(); time.Since(began) < hold; {
		if err := load.WaitServed(20, time.Second); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		<-time.After(slice)
	}
	p.held(t)
	th.checkOrder() // the stack may have been moved, the values not
	th.nextTo("order-price")
	th.step(th.StepIn)
	th.in("(*service).Price")
	th.resume()
	p.ok(t)
	if result := load.Stop(); result.Failed > 0 {
		t.Errorf("%d of %d others failed: %v", result.Failed, result.Failed+result.Served, result.FirstBad)
	} else {
		t.Logf("%d others served in %v, p99 %v", result.Served, result.Took, result.Quantile(0.99))
	}
}

// TestStepUnderLoad steps through calls that block while the collector runs and
// the others load the service, again and again.
func TestStepUnderLoad(t *testing.T) {
	rounds := 5
	if *full {
		rounds = 50
	}
	r := newRig(t, harness.Variant{}, "-gc", "20ms")
	c := r.debug("steps-level3")
	load := harness.StartLoad(r.service.URL, "/orders/3", 4)
	for range rounds {
		p := r.request("/steps")
		th := c.stopped("breakpoint", "steps-level3")
		for _, after := range []string{"after-sleep", "after-mutex", "after-chan", "after-net", "steps-level3-end"} {
			th.nextTo(after)
		}
		th.step(th.StepOut)
		th.in("main.stepLevel2")
		th.resume()
		checkTrail(t, p.ok(t))
	}
	if result := load.Stop(); result.Failed > 0 || result.Served == 0 {
		t.Errorf("of the others %d were served and %d failed: %v", result.Served, result.Failed, result.FirstBad)
	}
}
