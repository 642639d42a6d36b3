//go:build linux && amd64

package integration_test

import (
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestCore is what the matrix repeats for every way of building a service.
func TestCore(t *testing.T) {
	core(t, newRig(t, harness.Variant{}), nil)
}

// core freezes one request, looks at it, steps it and lets it go.
func core(t *testing.T, r *rig, arguments map[string]any) {
	a := r.attach()
	c := r.ide(a, arguments, "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")

	// It alone is stopped, and named after the request.
	threads, err := c.Threads()
	must(t, err)
	if len(threads) != 1 || threads[0].Name != "GET /orders/7 from "+harness.Allowed {
		t.Errorf("threads are %+v", threads)
	}
	r.serving(200)
	p.held(t)

	th.callers("(*api).order", "http.HandlerFunc.ServeHTTP", "http.(*ServeMux).ServeHTTP",
		"http.serverHandler.ServeHTTP", "http.(*conn).serve", "goexit")
	th.checkOrder()

	th.nextTo("order-price")
	th.step(th.StepIn)
	th.in("(*service).Price")
	th.step(th.StepOut)
	th.in("(*api).order")
	th.nextTo("order-priced")
	p.held(t)
	th.resume()
	if reply := p.ok(t); !strings.Contains(reply.Body, `"total_cents"`) {
		t.Errorf("the response is %q", reply.Body)
	}
}
