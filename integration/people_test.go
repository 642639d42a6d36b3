//go:build linux && amd64

package integration_test

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// number evaluates an expression that is one, in the innermost frame of th.
func (th *thread) number(expr string) uint64 {
	th.t.Helper()
	v, err := th.Evaluate(expr, th.top().ID, "watch")
	must(th.t, err)
	text, _, _ := strings.Cut(v.Result, " ")
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		th.t.Fatalf("%s is %q", expr, v.Result)
	}
	return n
}

// TestTwoPeople: two IDEs on one service, each with requests of its own, cannot see,
// move or change the other's.
func TestTwoPeople(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "mutate", "--no-redaction")
	wanting := func(path string) map[string]any {
		return map[string]any{"requests": map[string]any{"pathPrefix": path}}
	}
	alice := r.ide(a, wanting("/orders"), "order-loaded", "steps-level3")
	bob := r.ide(a, wanting("/steps"), "order-loaded", "steps-level3")
	orders, steps := r.request("/orders/7"), r.request("/steps")
	hers, his := alice.stopped("breakpoint", "order-loaded"), bob.stopped("breakpoint", "steps-level3")

	for name, look := range map[string]struct {
		own, other *thread
	}{"alice": {hers, his}, "bob": {his, hers}} {
		c, other := look.own.ide, look.other
		threads, err := c.Threads()
		must(t, err)
		if len(threads) != 1 || threads[0].Id != look.own.id {
			t.Errorf("%s sees the threads %v", name, threads)
		}
		for command, args := range map[string]any{
			"stackTrace":        map[string]any{"threadId": other.id},
			"continue":          map[string]any{"threadId": other.id},
			"next":              map[string]any{"threadId": other.id},
			"pause":             map[string]any{"threadId": other.id},
			"exceptionInfo":     map[string]any{"threadId": other.id},
			"scopes":            map[string]any{"frameId": 1 << 20},
			"variables":         map[string]any{"variablesReference": 1 << 20},
			"restartFrame":      map[string]any{"frameId": 1},
			"remotedbg/request": map[string]any{"threadId": other.id},
		} {
			if _, err := c.Do(command, args); err == nil {
				t.Errorf("%s may %s the other one's request", name, command)
			}
		}
		// Its stack is where its variables are: it can be read, like all memory, but
		// not be written, in none of the ways to write.
		top := other.number("runtime.curg.stack.hi")
		at := top - 64
		was := c.read(fmt.Sprintf("%#x", at), 8)
		_, err = c.Do("writeMemory", dap.WriteMemoryArguments{MemoryReference: fmt.Sprintf("%#x", at), Data: base64.StdEncoding.EncodeToString(was)})
		isOthers(t, name+" writes memory", err)
		_, err = c.Do("setExpression", dap.SetExpressionArguments{Expression: fmt.Sprintf("*(*uint8)(%#x)", at), Value: strconv.Itoa(int(was[0])), FrameId: look.own.top().ID})
		isOthers(t, name+" sets an expression", err)
		// And its own can.
		mine := look.own.number("runtime.curg.stack.hi") - 64
		own := c.read(fmt.Sprintf("%#x", mine), 8)
		if _, err := c.Do("writeMemory", dap.WriteMemoryArguments{MemoryReference: fmt.Sprintf("%#x", mine), Data: base64.StdEncoding.EncodeToString(own)}); err != nil {
			t.Errorf("%s writes to the stack of the own request: %v", name, err)
		}
	}
	orders.held(t)
	steps.held(t)
	hers.at("order-loaded")
	his.at("steps-level3")

	hers.resume()
	orders.ok(t)
	steps.held(t)
	his.resume()
	steps.ok(t)
	for id, c := range map[int]*ide{his.id: alice, hers.id: bob} {
		for _, ev := range c.Events() {
			switch ev := ev.(type) {
			case *dap.StoppedEvent:
				if ev.Body.ThreadId == id {
					t.Errorf("a stop of the other one's: %+v", ev.Body)
				}
			case *dap.ThreadEvent:
				if ev.Body.ThreadId == id {
					t.Errorf("a thread of the other one's: %+v", ev.Body)
				}
			}
		}
	}
	lines := auditOf(t, a)
	for id, session := range map[int]int{hers.id: 1, his.id: 2} {
		for _, l := range lines.find(audit.RequestTaken, "request", id) {
			if l["session"] != float64(session) {
				t.Errorf("request %d: %v", id, l)
			}
		}
	}
}

func isOthers(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "another IDE has stopped") {
		t.Errorf("%s on the stack of the other one's request: %v", what, err)
	}
}

// TestTwoProtocols: the goroutines of a DAP client's requests are none that a
// JSON-RPC client can list or look at.
func TestTwoProtocols(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "mutate")
	alice := r.ide(a, map[string]any{"requests": map[string]any{"pathPrefix": "/orders"}}, "order-loaded")
	c := dialRPC(t, a)
	orders := r.request("/orders/7")
	th := alice.stopped("breakpoint", "order-loaded")
	id := int64(th.number("runtime.curg.goid"))

	list := func() (all []int64) {
		for start := 0; start >= 0; {
			var out struct {
				Goroutines []struct {
					ID int64 `json:"id"`
				}
				Nextg int
			}
			c.call("ListGoroutines", map[string]any{"Start": start, "Count": 50}, &out)
			for _, g := range out.Goroutines {
				all = append(all, g.ID)
			}
			start = out.Nextg
		}
		return all
	}
	contains := func(all []int64) bool {
		for _, g := range all {
			if g == id {
				return true
			}
		}
		return false
	}
	if all := list(); len(all) < 2 || contains(all) {
		t.Errorf("the other one's goroutine, %d, is among %v", id, all)
	}
	scope := map[string]any{"GoroutineID": id, "Frame": 0}
	for method, args := range map[string]any{
		"Stacktrace":       map[string]any{"Id": id, "Depth": 10},
		"ListLocalVars":    map[string]any{"Scope": scope},
		"ListFunctionArgs": map[string]any{"Scope": scope},
		"Eval":             map[string]any{"Scope": scope, "Expr": "order"},
		"Set":              map[string]any{"Scope": scope, "Symbol": "order.ID", "Value": "8"},
		"Command":          map[string]any{"name": "switchGoroutine", "goroutineID": id},
		"ListRegisters":    map[string]any{"Scope": &scope},
		"Ancestors":        map[string]any{"GoroutineID": id, "NumAncestors": 1, "Depth": 1},
	} {
		var out struct{ Locations []any }
		if err := c.Call("RPCServer."+method, args, &out); err == nil {
			t.Errorf("%s of the other one's goroutine: %+v", method, out)
		}
	}
	orders.held(t)
	th.at("order-loaded")
	th.resume()
	orders.ok(t)
	// net/http's goroutine of that connection is nobody's any more.
	if !contains(list()) {
		t.Errorf("goroutine %d is not listed although nobody debugs it any more", id)
	}
}

// TestFairShare: several IDEs share --max-frozen.
func TestFairShare(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--max-frozen", "2")
	wanting := func(path string) map[string]any {
		return map[string]any{"requests": map[string]any{"pathPrefix": path}}
	}
	alice := r.ide(a, wanting("/orders"), "order-loaded")
	bob := r.ide(a, wanting("/steps"), "steps-level3")
	first := r.request("/orders/7")
	hers := alice.stopped("breakpoint", "order-loaded")
	r.request("/orders/14").ok(t)
	text, err := alice.WaitOutput("without stopping")
	must(t, err)
	if !strings.Contains(text, "share") {
		t.Errorf("alice was told %q", text)
	}
	steps := r.request("/steps")
	bob.stopped("breakpoint", "steps-level3") // there is one left for him
	must(t, bob.Disconnect())
	steps.ok(t)
	second := r.request("/orders/14")
	more := alice.stopped("breakpoint", "order-loaded")
	more.resume()
	second.ok(t)
	hers.resume()
	first.ok(t)
}
