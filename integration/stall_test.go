//go:build linux && amd64

package integration_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestStallGuard freezes a request that holds what others need: a lock of
// theirs, and a lock of the kernel's, of which their goroutines show nothing.
// The guard lets it go by what it costs the others, says what that was, and
// everybody is answered.
func TestStallGuard(t *testing.T) {
	const others = 40
	for _, c := range []struct{ path, mark, evidence string }{
		{"/locked", "locked-held", "goroutines wait for sync.Mutex.Lock"},
		{"/drawer", "drawer-open", "take longer than a second since the stop"},
	} {
		t.Run(c.path, func(t *testing.T) {
			r := newRig(t, harness.Variant{})
			ide := r.debug(c.mark)
			load := harness.StartLoad(r.service.URL, "/orders/3", 2) // they do not need it
			must(t, load.WaitServed(100, 20*time.Second))
			p := r.request(c.path)
			ide.stopped("breakpoint", c.mark)

			replies := make(chan harness.Reply, others)
			for range others {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
					defer cancel()
					replies <- r.others.Send(ctx, http.MethodGet, c.path, nil)
				}()
			}
			began := time.Now()
			for range others {
				if reply := <-replies; reply.Err != nil || reply.Status != http.StatusOK {
					t.Errorf("one that needs what is held: status %d, %v", reply.Status, reply.Err)
				}
			}
			said, err := ide.WaitOutput(c.evidence)
			must(t, err)
			t.Logf("all were answered after %v: %s", time.Since(began), said)
			var guard struct{ Reason string }
			if err := ide.WaitCustom("remotedbg/stallGuard", &guard); err != nil || !strings.Contains(guard.Reason, c.evidence) {
				t.Errorf("remotedbg/stallGuard: %+v, %v", guard, err)
			}
			p.ok(t)
			if result := load.Stop(); result.Failed > 0 {
				t.Errorf("%d of the others failed: %v", result.Failed, result.FirstBad)
			}
		})
	}
}

// TestStallGuardOff keeps the request frozen whatever the others wait for.
func TestStallGuardOff(t *testing.T) {
	r := newRig(t, harness.Variant{})
	ide := r.ide(r.attach("--stall-guard", "off"), nil, "drawer-open")
	p := r.request("/drawer")
	th := ide.stopped("breakpoint", "drawer-open")
	replies := make(chan harness.Reply, 30)
	for range cap(replies) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			replies <- r.others.Send(ctx, http.MethodGet, "/drawer", nil)
		}()
	}
	select {
	case reply := <-replies:
		t.Fatalf("one that needs what is held was answered: %d, %v", reply.Status, reply.Err)
	case <-time.After(5 * time.Second):
	}
	p.held(t)
	th.resume()
	for range cap(replies) {
		if reply := <-replies; reply.Err != nil || reply.Status != http.StatusOK {
			t.Errorf("afterwards: status %d, %v", reply.Status, reply.Err)
		}
	}
	p.ok(t)
}
