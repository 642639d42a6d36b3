//go:build linux && amd64

package integration_test

import (
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestRequireToken: of the requests from the allowlisted address only those that
// carry the token stop, and their handlers do not see it.
func TestRequireToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--require-token", "--role", "mutate", "--no-redaction") // headers are looked at
	line, err := a.Stdout.WaitLine("Remotedbg-Token: ", 10*time.Second)
	must(t, err)
	token := strings.Fields(line)[1]
	c := r.ide(a, nil, "order-loaded")

	for name, header := range map[string]http.Header{
		"no token":       nil,
		"an empty one":   {"Remotedbg-Token": {""}},
		"one byte more":  {"Remotedbg-Token": {token + "A"}},
		"another expiry": {"Remotedbg-Token": {token[:8] + "B" + token[9:]}},
		"in a parameter": {"X-Remotedbg-Token": {token}},
	} {
		if reply := r.send(http.MethodGet, "/orders/7", header).wait(t); reply.Err != nil || reply.Status != http.StatusOK {
			t.Errorf("%s: status %d, %v", name, reply.Status, reply.Err)
		}
	}
	others := r.others.Send(t.Context(), http.MethodGet, "/orders/7", http.Header{"Remotedbg-Token": {token}})
	if others.Err != nil || others.Status != http.StatusOK {
		t.Errorf("from elsewhere, with the token: status %d, %v", others.Status, others.Err)
	}
	for name, header := range map[string]http.Header{
		"header": {"Remotedbg-Token": {token}, "Cookie": {"cart=7"}},
		"cookie": {"Cookie": {"cart=7; remotedbg_token=" + token}},
	} {
		p := r.send(http.MethodGet, "/orders/7", header)
		th := c.stopped("breakpoint", "order-loaded")
		read := 0
		for _, frame := range th.stack() {
			for _, header := range []string{"r.Header", "req.Header", "w.req.Header"} {
				seen, err := c.Evaluate(header, frame.ID, "watch")
				if err != nil || strings.Contains(seen.Result, "optimized away") {
					continue
				}
				read++
				if strings.Contains(seen.Result, "rdbg1") || !strings.Contains(seen.Result, "cart=7") {
					t.Errorf("%s: %s in %s: %s", name, header, frame.Func, seen.Result)
				}
			}
		}
		if read == 0 {
			t.Errorf("%s: no frame shows the request's header", name)
		}
		th.resume()
		p.ok(t)
	}
	if strings.Contains(a.Stderr.String(), token[:20]) {
		t.Error("the token is in the log")
	}
}

// TestWhoami looks at the clients without stopping anybody.
func TestWhoami(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{}, "-trusted-proxies", "127.0.0.3/32", "-client-ip-header", "X-Forwarded-For")
	binary, err := builder.Agent()
	must(t, err)
	p, err := harness.Start(binary, "attach", "--pid", strconv.Itoa(r.service.PID), "--whoami", "--for", "1m")
	must(t, err)
	t.Cleanup(func() { p.Kill() })
	_, err = p.Stderr.WaitLine("looking at the clients", 20*time.Second)
	must(t, err)

	proxy := harness.NewClient(r.service.URL, "127.0.0.3", 1)
	defer proxy.Close()
	seen := func(want ...string) {
		t.Helper()
		line, err := p.Stdout.WaitLine(want[0], 20*time.Second)
		must(t, err)
		for _, text := range want {
			if !strings.Contains(line, text) {
				t.Errorf("%q is not in %q", text, line)
			}
		}
	}
	// The first requests may come before the gate is armed.
	must(t, harness.Until(20*time.Second, "a request is seen", func() error {
		if reply := r.others.Get(t.Context(), "/orders/7"); reply.Err != nil {
			return reply.Err
		}
		_, err := p.Stdout.WaitLine("127.0.0.1  ", 100*time.Millisecond)
		return err
	}))
	for _, h := range []http.Header{
		{"X-Forwarded-For": {"203.0.113.9, 198.51.100.77"}},
		{"X-Forwarded-For": {"203.0.113.9, nonsense"}},
	} {
		if reply := proxy.Send(t.Context(), http.MethodGet, "/healthz", h); reply.Err != nil || reply.Status != http.StatusOK {
			t.Errorf("status %d, %v", reply.Status, reply.Err)
		}
	}
	seen("198.51.100.77  ", "X-Forwarded-For", "GET /healthz", "peer 127.0.0.3:")
	seen("unknown  ", "X-Forwarded-For", "GET /healthz")
	if strings.Contains(p.Stdout.String(), "203.0.113.9") {
		t.Errorf("what the sender wrote is taken for an address:\n%s", p.Stdout)
	}

	code, err := p.Stop(syscall.SIGINT, endTimeout)
	if err != nil || code != 0 {
		t.Errorf("it ended with %d, %v: %s", code, err, p.Stderr)
	}
	if !strings.Contains(p.Stdout.String(), "--allow 198.51.100.77") {
		t.Errorf("no summary:\n%s", p.Stdout)
	}
}
