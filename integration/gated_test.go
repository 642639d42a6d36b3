//go:build linux && amd64

package integration_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestOthersRun has a request frozen and lets the others go by the same line.
func TestOthersRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	load := harness.StartLoad(r.service.URL, "/orders/7", 4)
	must(t, load.WaitServed(100, 20*time.Second))
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	must(t, load.WaitServed(500, 20*time.Second))
	p.held(t)
	th.at("order-loaded")
	th.resume()
	p.ok(t)
	must(t, load.WaitServed(100, 20*time.Second))
	if result := load.Stop(); result.Failed > 0 {
		t.Errorf("%d of the others failed: %v", result.Failed, result.FirstBad)
	}
	for _, ev := range c.Events() {
		if about, ok := ev.(*dap.ThreadEvent); ok && about.Body.ThreadId == th.id {
			continue // its start
		}
		if ev.GetEvent().Event == "remotedbg/armed" {
			continue // said once, when the IDE is ready
		}
		t.Errorf("an event of nobody's: %+v", ev)
	}
}

// TestNarrowed sends requests from the allowlisted address that differ from
// what the agent was told in one thing each: they must run, and only the one
// that matches stop.
func TestNarrowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--method", "GET", "--path", "/orders/", "--header", "X-Debug: alice")
	c := r.ide(a, nil, "order-entry", "healthz", "order-loaded")
	alice := http.Header{"X-Debug": {"alice"}}
	for _, other := range []struct {
		name, method, path string
		header             http.Header
	}{
		{"method", http.MethodHead, "/orders/7", alice},
		{"path", http.MethodGet, "/healthz", alice},
		{"no header", http.MethodGet, "/orders/7", nil},
		{"another value", http.MethodGet, "/orders/7", http.Header{"X-Debug": {"bob"}}},
		{"case of the value", http.MethodGet, "/orders/7", http.Header{"X-Debug": {"Alice"}}},
	} {
		reply := r.send(other.method, other.path, other.header).wait(t)
		if reply.Err != nil || reply.Status != http.StatusOK {
			t.Errorf("%s: status %d, error %v", other.name, reply.Status, reply.Err)
		}
	}
	must(t, r.others.All(10, "/orders/7", time.Minute))
	for _, ev := range c.Events() {
		if ev.GetEvent().Event == "thread" || ev.GetEvent().Event == "stopped" {
			t.Errorf("a request was taken that does not match: %+v", ev)
		}
	}
	p := r.send(http.MethodGet, "/orders/7", alice)
	th := c.stopped("breakpoint", "order-entry")
	must(t, th.Continue(th.id))
	th.again("breakpoint", "order-loaded")
	th.resume()
	p.ok(t)
}

// TestSlots has as many requests in flight as the gate has slots for, two of
// them frozen. The next one is not debugged, but served; and every slot is used
// again.
func TestSlots(t *testing.T) {
	t.Parallel()
	const slots, frozen = 32, 2
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--stall-guard", "off"), nil, "order-loaded") // the slow ones wait, and that is meant
	for round := range 2 {
		var running, held []*pending
		var runners, threads []*thread
		for range frozen {
			held = append(held, r.request("/orders/7"))
			threads = append(threads, c.stopped("breakpoint", "order-loaded"))
			c.started()
		}
		for range slots - frozen {
			running = append(running, r.request("/slow?ms=60000"))
			runners = append(runners, c.started())
		}
		list, err := c.Threads()
		must(t, err)
		if len(list) != slots {
			t.Fatalf("round %d: %d threads while %d requests are in flight", round, len(list), slots)
		}
		r.request("/orders/7").ok(t)
		r.serving(50)
		for i, th := range threads {
			held[i].held(t)
			th.resume()
			held[i].ok(t)
		}
		for i, th := range runners {
			running[i].hangUp()
			running[i].wait(t)
			th.gone()
		}
	}
}

// TestMaxFrozen has one request more reach a breakpoint than may be frozen at
// the same time: it passes, and the IDE is told why.
func TestMaxFrozen(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	var held []*pending
	var threads []*thread
	for range 2 {
		held = append(held, r.request("/orders/7"))
		threads = append(threads, c.stopped("breakpoint", "order-loaded"))
	}
	r.request("/orders/14").ok(t)
	text, err := c.WaitOutput("without stopping")
	must(t, err)
	if !strings.Contains(text, "/orders/14") || !strings.Contains(text, "--max-frozen") {
		t.Errorf("the IDE was told %q", text)
	}
	for i, th := range threads {
		held[i].held(t)
		th.at("order-loaded")
		th.resume()
		held[i].ok(t)
	}
}

// TestPanic has a handler panic under the debugger: net/http closes the
// connection, and the request's slot and thread are let go of.
func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("panic")
	for range 3 {
		p := r.request("/panic")
		th := c.stopped("breakpoint", "panic")
		th.step(th.Next)
		th.resume()
		if reply := p.wait(t); reply.Err == nil {
			t.Errorf("a handler that panics answered with %d", reply.Status)
		}
	}
}

// TestClientGoesAway hangs up while the request is frozen. It stays frozen, and
// its handler sees that the context is done.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("steps-entry", "steps-level1")
	p := r.request("/steps")
	th := c.stopped("breakpoint", "steps-entry")
	p.hangUp()
	if reply := p.wait(t); reply.Err == nil {
		t.Fatalf("the client that hung up got %d", reply.Status)
	}
	must(t, th.Continue(th.id))
	th.again("breakpoint", "steps-level1")
	th.resume()
}

// TestEightFrozen freezes as many requests as the gate has slots for.
func TestEightFrozen(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--max-frozen", "8"), nil, "order-loaded")
	var held []*pending
	var threads []*thread
	for range 8 {
		held = append(held, r.request("/orders/7"))
		threads = append(threads, c.stopped("breakpoint", "order-loaded"))
	}
	list, err := c.Threads()
	must(t, err)
	if len(list) != len(held) {
		t.Fatalf("%d threads while %d requests are frozen", len(list), len(held))
	}
	r.serving(100)
	for i, th := range threads {
		held[i].held(t)
		th.checkOrder()
		th.resume()
		held[i].ok(t)
	}
}
