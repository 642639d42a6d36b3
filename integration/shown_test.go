//go:build linux && amd64

package integration_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// matches fails unless the values match the regular expressions.
func (th *thread) matches(vars map[string]daptest.Variable, want map[string]string) {
	th.t.Helper()
	for name, expression := range want {
		v, found := vars[name]
		if ok, err := regexp.MatchString("^(?:"+expression+")$", v.Value); !found || !ok || err != nil {
			th.t.Errorf("%s is %q (there: %t), want %s (%v)", name, v.Value, found, expression, err)
		}
	}
}

// TestMethodValueFrame: a handler that is a method value is called by a wrapper
// of the compiler's, which has no source. Neither frame may be without a place.
func TestMethodValueFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, mark, handler string }{
		{"/orders/7", "order-loaded", "main.(*api).order"},
		{"/healthz", "healthz", "main.(*api).healthz"}, // small: inlined into the wrapper
	} {
		r := newRig(t, harness.Variant{})
		ide := r.debug(c.mark)
		p := r.request(c.path)
		th := ide.stopped("breakpoint", c.mark)
		frames, _, err := th.StackTrace(th.id, 0, 0)
		must(t, err)
		for _, f := range frames {
			if strings.HasPrefix(f.Name, c.handler) && (f.Source == nil || f.Source.Path != mark(t, c.mark).File || f.Line == 0) {
				t.Errorf("%s: frame %s is at %+v:%d", c.path, f.Name, f.Source, f.Line)
			}
			if f.Source == nil && f.PresentationHint != "label" {
				t.Errorf("%s: frame %s has no source and no hint (%q)", c.path, f.Name, f.PresentationHint)
			}
		}
		th.callers(c.handler, c.handler+"-fm", "http.HandlerFunc.ServeHTTP")
		th.resume()
		p.ok(t)
	}
}

// TestShownValues looks at the kinds of values that are shown as a person writes
// them, in an optimised build while the service runs on.
func TestShownValues(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("values-inner")
	p := r.request("/values?a=1")
	th := c.stopped("breakpoint", "values-inner")
	locals, err := th.Locals(th.id)
	must(t, err)
	th.matches(locals, map[string]string{
		"ctx": `context\.Context\(\*context\.timerCtx\) not cancelled; deadline in 59m.*; values: main\.traceKey, .*\*http\.contextKey\("http-server"\).*|.*optimized away.*`,
	})
	parcel := th.children(locals, "p")
	th.matches(parcel, map[string]string{
		"ID":      `6ba7b810-9dad-11d1-80b4-00c04fd430c8`,
		"Sent":    `2024-05-06T07:08:09\+02:00 CEST`,
		"Transit": `36h0m0s`, "From": `203\.0\.113\.7`, "Network": `10\.0\.0\.0/8`,
		"Weight": `1267650600228229401496703205376`,
		"Label":  `\[\]uint8 len: 7, "fragile"`, "Meta": `\{"gift":true\}`,
		"Lock": `locked`, "Shelf": `locked for reading by 1`, "Scans": `0`, "Loaded": `counter 2`,
		"Trouble": `error\(\*errors\.joinError\) "2 errors joined" <- \*fmt\.wrapError "printing: open /no/such/label: no such file or directory" <- .*`,
	})
	chain := th.children(th.children(parcel, "Trouble"), "(chain)")
	th.matches(chain, map[string]string{
		"[0.0.0]":   `"open /no/such/label: no such file or directory"`,
		"[0.0.0.0]": `"no such file or directory"`,
		"[0.1]":     `\{Carrier: "postal", Code: 17, Cause: \*errors\.errorString\}`,
		"[0.1.0]":   `"not found"`,
	})
	if v := parcel["Stops"]; v.IndexedVariables != 150 {
		t.Errorf("Stops has %d entries to page", v.IndexedVariables)
	}
	if v := parcel["Route"]; v.IndexedVariables != 5000 {
		t.Errorf("Route has %d elements to page", v.IndexedVariables)
	}
	for range 20 {
		parcel = th.children(parcel, "Next")
	}
	th.matches(parcel, map[string]string{"Transit": `36h0m0s`})
	top := th.top().ID
	if got, err := th.Evaluate("p.Manual", top, "clipboard"); err != nil || len(got.Result) < 600_000 {
		t.Errorf("the whole of a long string: %d bytes, %v", len(got.Result), err)
	}
	th.evaluates(top, "p.Transit", "36h0m0s")
	if got, err := th.Evaluate("p.Transit,raw", top, "repl"); err != nil || !strings.Contains(got.Result, "129600000000000") {
		t.Errorf("p.Transit,raw is %q, %v", got.Result, err)
	}
	th.resume()
	p.ok(t)
}

// TestPlainValues: an IDE can have values as Delve shows them.
func TestPlainValues(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach(), map[string]any{"plainValues": true}, "values-inner")
	p := r.request("/values")
	th := c.stopped("breakpoint", "values-inner")
	locals, err := th.Locals(th.id)
	must(t, err)
	parcel := th.children(locals, "p")
	th.matches(parcel, map[string]string{"Lock": `.*\{.*`, "Transit": `.*129600000000000.*`, "Weight": `.*\{.*`})
	th.resume()
	p.ok(t)
}

// TestRequestScope reads what only the debugger of a request can tell.
func TestRequestScope(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("values-inner")
	p := r.request("/values?a=1")
	th := c.stopped("breakpoint", "values-inner")
	scopes, err := th.Scopes(th.top().ID)
	must(t, err)
	if len(scopes) != 2 || scopes[1].Name != "Request" {
		t.Fatalf("scopes: %+v", scopes)
	}
	rows, err := th.Children(scopes[1].VariablesReference)
	must(t, err)
	th.matches(rows, map[string]string{
		"method": "GET", "path": "/values", "client": regexp.QuoteMeta(harness.Allowed),
		"client chosen":        "it is the remote end of the connection",
		"rule":                 regexp.QuoteMeta(harness.Allowed) + "/32",
		"elapsed":              `[\d.]+m?s`,
		"frozen for":           `[\d.]+m?s`,
		"goes on by itself in": `\d+m\d+s|\d+s`,
		"http.Request":         `GET /values\?a=1 HTTP/1\.1, Host: .*`,
		"other goroutines":     "3, read while they run",
	})
	th.matches(th.children(rows, "headers"), map[string]string{`"User-Agent"`: `\[\]string.*Go-http-client.*`})
	where := make(map[string]int)
	for _, g := range th.children(rows, "other goroutines") {
		where[regexp.MustCompile(`:.*`).ReplaceAllString(g.Value, "")]++
	}
	// The third is net/http's, which notices when the client goes away.
	if where["waiting (chan receive) at main.waitForParcel values.go"] != 2 ||
		where["waiting (IO wait) at http.(*connReader).backgroundRead server.go"] != 1 {
		t.Errorf("the goroutines are in %v", where)
	}
	// It is there in every frame, and time goes on.
	stack := th.stack()
	scopes, err = th.Scopes(stack[len(stack)-1].ID)
	must(t, err)
	if rows, err = th.Children(scopes[1].VariablesReference); err != nil || rows["path"].Value != "/values" {
		t.Errorf("the outermost frame's request: %+v, %v", rows["path"], err)
	}
	th.resume()
	p.ok(t)
}

// TestClientChosen: behind a proxy the scope says which header names the client.
func TestClientChosen(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{}, "-trusted-proxies", "127.0.0.3/32", "-client-ip-header", "X-Forwarded-For")
	c := r.ide(r.attach("--allow", "203.0.113.9"), nil, "values-inner")
	proxy := harness.NewClient(r.service.URL, "127.0.0.3", 1)
	defer proxy.Close()
	answered := make(chan harness.Reply, 1)
	go func() {
		answered <- proxy.Send(t.Context(), http.MethodGet, "/values", http.Header{"X-Forwarded-For": {"198.51.100.1, 203.0.113.9"}})
	}()
	th := c.stopped("breakpoint", "values-inner")
	scopes, err := th.Scopes(th.top().ID)
	must(t, err)
	rows, err := th.Children(scopes[1].VariablesReference)
	must(t, err)
	th.matches(rows, map[string]string{
		"client":        `203\.0\.113\.9`,
		"client chosen": `a trusted proxy, 127\.0\.0\.3, names it in X-Forwarded-For`,
		"rule":          `203\.0\.113\.9/32`,
	})
	th.resume()
	if reply := <-answered; reply.Err != nil || reply.Status != http.StatusOK {
		t.Errorf("status %d, %v", reply.Status, reply.Err)
	}
}

// TestInlinedFrame: a call that the compiler inlined has a frame of its own, with
// its own variables.
func TestInlinedFrame(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("values-inlined")
	p := r.request("/values")
	th := c.stopped("breakpoint", "values-inlined")
	th.callers("main.double", "main.showValues", "http.HandlerFunc.ServeHTTP")
	if stack := th.stack(); !stack[0].Inlined || stack[1].Inlined {
		t.Errorf("the call is not marked, or its caller is: %v", stack[:2])
	}
	locals, err := th.Locals(th.id)
	must(t, err)
	th.matches(locals, map[string]string{"twice": "6"})
	if _, there := locals["p"]; there {
		t.Error("the inlined call's frame has variables of its caller")
	}
	outer, err := th.Scopes(th.stack()[1].ID)
	must(t, err)
	vars, err := th.Children(outer[0].VariablesReference)
	must(t, err)
	th.matches(vars, map[string]string{"r": "GET /values HTTP/1.1.*"})
	if _, there := vars["twice"]; there {
		t.Error("the caller's frame has variables of the inlined call")
	}
	th.resume()
	p.ok(t)
}

// TestStatus asks how things stand before and after a request.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("values-inner")
	var armed struct{ ExpiresInMs int64 }
	must(t, c.WaitCustom("remotedbg/armed", &armed))
	var status struct {
		PID, Frozen int
		Armed       bool
		ExpiresInMs int64
		Requests    map[string]int
		Budgets     map[string]int
		Versions    map[string]string
	}
	p := r.request("/values")
	c.stopped("breakpoint", "values-inner")
	must(t, c.Custom("remotedbg/status", nil, &status))
	if !status.Armed || status.PID != r.service.PID || status.Frozen != 1 || status.ExpiresInMs > armed.ExpiresInMs ||
		status.Requests["taken"] != 1 || status.Requests["stopped"] != 1 || status.Requests["passed"] != 0 ||
		status.Budgets["maxFrozen"] < 1 || !strings.HasPrefix(status.Versions["delve"], "v1.") {
		t.Errorf("status: %+v (armed: %+v)", status, armed)
	}

	// Requests that may not be stopped are told of.
	var more []*pending
	for range status.Budgets["maxFrozen"] {
		more = append(more, r.request("/values"))
	}
	var passed struct{ More int }
	c.Timeout = 20 * time.Second
	must(t, c.WaitCustom("remotedbg/passed", &passed))
	if passed.More != 1 {
		t.Errorf("passed: %+v", passed)
	}
	must(t, c.Disconnect())
	p.ok(t)
	for _, m := range more {
		m.ok(t)
	}
}
