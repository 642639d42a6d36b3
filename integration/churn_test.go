//go:build linux && amd64

package integration_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestTakenNotStopped sends allowlisted requests, several at once, that the
// agent takes and that reach no breakpoint, beside the load of the others.
func TestTakenNotStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{}, "-gc", "50ms")
	r.debug("panic")
	load := harness.StartLoad(r.service.URL, "/orders/3", 2)
	var workers sync.WaitGroup
	for range 6 {
		workers.Go(func() {
			if err := r.allowed.All(50, "/orders/7", time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if result := load.Stop(); result.Failed > 0 {
		t.Errorf("%d of the others failed: %v", result.Failed, result.FirstBad)
	}
}

// TestChurn freezes many requests, several at once, each at two breakpoints,
// and continues each as soon as it has stopped.
func TestChurn(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{}, "-gc", "20ms")
	c := r.debug("service-loaded", "order-priced")
	load := harness.StartLoad(r.service.URL, "/orders/3", 2)
	const clients, each = 2, 20 // no more at once than may be frozen
	var workers sync.WaitGroup
	for range clients {
		workers.Go(func() {
			if err := r.allowed.All(each, "/orders/7", time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	for range clients * each * 2 {
		ev, err := c.Wait("stopped", func(ev dap.EventMessage) bool {
			_, is := ev.(*dap.StoppedEvent)
			return is
		})
		must(t, err)
		stop := ev.(*dap.StoppedEvent).Body
		if stop.Reason != "breakpoint" {
			t.Fatalf("stopped event %+v", stop)
		}
		must(t, c.Continue(stop.ThreadId))
	}
	workers.Wait()
	if result := load.Stop(); result.Failed > 0 {
		t.Errorf("%d of the others failed: %v", result.Failed, result.FirstBad)
	}
}
