//go:build linux && amd64

package integration_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestConnectLatency measures what the forwarder adds to an evaluate: two IDEs with
// one frozen request each, one of them through it, in turn.
func TestConnectLatency(t *testing.T) {
	r := newRig(t, harness.Variant{})
	agent, path := r.socket()
	conn, err := net.Dial("unix", path)
	must(t, err)
	without := &ide{daptest.New(conn), t}
	t.Cleanup(func() { without.Close() })
	wanting := func(path string) map[string]any {
		return map[string]any{"requests": map[string]any{"pathPrefix": path, "client": harness.Allowed}}
	}
	must(t, without.SessionWith(wanting("/orders"), ""))
	without.breakAt("order-loaded")
	through := r.connect("unix://" + path)
	with := r.ide(through, wanting("/steps"), "steps-level3")
	orders, steps := r.request("/orders/7"), r.request("/steps")
	sides := []struct {
		c     *ide
		th    *thread
		times []time.Duration
	}{
		{c: without, th: without.stopped("breakpoint", "order-loaded")},
		{c: with, th: with.stopped("breakpoint", "steps-level3")},
	}
	n := 300
	if *full {
		n = 3000
	}
	frames := []int{sides[0].th.top().ID, sides[1].th.top().ID}
	for range n {
		for i := range sides {
			start := time.Now()
			_, err := sides[i].c.Evaluate("1 + 2", frames[i], "watch")
			must(t, err)
			sides[i].times = append(sides[i].times, time.Since(start))
		}
	}
	var p50 []time.Duration
	for _, side := range sides {
		slices.Sort(side.times)
		p50 = append(p50, side.times[n/2])
		side.th.resume()
	}
	orders.ok(t)
	steps.ok(t)
	added := p50[1] - p50[0]
	t.Logf("evaluate, p50 of %d: %v without the forwarder, %v with it, %v more", n, p50[0], p50[1], added)
	if added > 5*time.Millisecond {
		t.Errorf("the forwarder adds %v", added)
	}
	if !agent.Running() || !through.Running() {
		t.Error("an agent or forwarder has ended")
	}
}
