//go:build linux && amd64

package integration_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestThroughputBesideDlvConnect compares what everybody else gets while somebody
// at a `dlv connect` sits at a stop with what they get of a service that nobody
// debugs, in pairs that take turns, and prints beside it what the machine's own
// noise is and what the stock headless dlv leaves of the service.
func TestThroughputBesideDlvConnect(t *testing.T) {
	pairs, window := 5, time.Second
	if *full {
		pairs, window = 15, 2*time.Second
	}
	r := newRig(t, harness.Variant{})
	quiet := newRig(t, harness.Variant{}) // nobody debugs this one
	dlv := connect(t, r.attach("--stall-guard", "off"))
	loaded := mark(t, "order-loaded")
	dlv.types(fmt.Sprintf("break %s:%d", loaded.File, loaded.Line))
	var p *pending
	dlv.runs("continue", func() {
		r.await(r.agents[0], "/healthz")
		p = r.request("/orders/7")
	}, at(t, "order-loaded"))

	measure := func(s *harness.Service) float64 {
		load := harness.StartLoad(s.URL, "/orders/3", 4)
		<-time.After(window)
		result := load.Stop()
		if result.Failed > 0 {
			t.Errorf("%d of the others failed: %v", result.Failed, result.FirstBad)
		}
		return result.PerSecond()
	}
	measure(r.service) // warm up
	measure(quiet.service)
	var held, noise, alone []float64
	for range pairs {
		a, b, again := measure(quiet.service), measure(r.service), measure(quiet.service)
		held = append(held, b/((a+again)/2))
		noise = append(noise, again/a)
		alone = append(alone, a)
	}
	p.held(t)
	dlv.types("print order.ID", `7`)
	must(t, dlv.Send("exit"))
	_, err := dlv.Await("[Y/n] ")
	must(t, err)
	must(t, dlv.Send("n")) // the connection ends, and that is all
	p.ok(t)

	stock := r.underStockDlv(quiet, window)
	ratio := median(held)
	t.Logf("requests/s of the others with one request held through dlv connect, against no debugger: %.3f (median of %d pairs)", ratio, pairs)
	t.Logf("no debugger against no debugger: %.3f (%.3f to %.3f), %.0f requests/s", median(noise), slices.Min(noise), slices.Max(noise), median(alone))
	t.Logf("stock headless dlv at a breakpoint: %.0f requests/s", stock)
	if ratio < 0.95 && ratio < slices.Min(noise) {
		t.Errorf("the others get %.3f of what they get without a debugger, want at least 0.95", ratio)
	}
	if stock > 0 {
		t.Errorf("the stock dlv let %.1f requests/s through: it does not stop at the breakpoint", stock)
	}
}

// underStockDlv measures a service that the stock dlv holds at a breakpoint.
func (r *rig) underStockDlv(q *rig, window time.Duration) float64 {
	r.t.Helper()
	binary, err := builder.Module(stockDlv)
	must(r.t, err)
	dlv, err := harness.Start(binary, "attach", strconv.Itoa(q.service.PID), "--headless", "--api-version=2", "--listen=127.0.0.1:0")
	must(r.t, err)
	const ready = "API server listening at: "
	line, err := dlv.Stdout.WaitLine(ready, time.Minute)
	must(r.t, err)
	c := dialRPC(r.t, &harness.Agent{Addr: strings.TrimPrefix(line, ready)})
	c.breakAt("order-loaded")
	var stopped struct{ State rpcState }
	running := c.resume(&stopped)
	p := q.send("GET", "/orders/7", nil)
	c.wait(running)

	load := harness.StartLoad(q.service.URL, "/orders/3", 4)
	<-time.After(window)
	got := load.Stop().PerSecond()

	c.call("ClearBreakpoint", map[string]int{"Id": 1}, new(struct{}))
	c.call("Detach", map[string]bool{"Kill": false}, new(struct{}))
	if _, err := dlv.Stop(syscall.SIGTERM, 30*time.Second); err != nil {
		r.t.Error(err)
	}
	p.ok(r.t)
	return got
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
