//go:build linux && amd64

package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// console evaluates an expression as a person types it.
func (th *thread) console(expr string) (string, error) {
	th.t.Helper()
	body, err := th.Evaluate(expr, th.top().ID, "repl")
	return body.Result, err
}

// comesTo fails unless an expression typed in the console has a value.
func (th *thread) comesTo(expr, want string) {
	th.t.Helper()
	if got, err := th.console(expr); err != nil || got != want {
		th.t.Errorf("%s is %q, %v, want %q", expr, got, err, want)
	}
}

// refuses fails unless the console answers an expression with an error that
// contains text.
func (th *thread) refuses(expr, text string) {
	th.t.Helper()
	got, err := th.console(expr)
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, text) {
		th.t.Errorf("%s is %q, %v, want an error with %q", expr, got, err, text)
	}
}

// asUsual is what the shop answers to whoever is not debugged.
func (r *rig) asUsual(path string) harness.Reply {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	usual := r.others.Get(ctx, path)
	if usual.Err != nil || usual.Status != http.StatusOK {
		r.t.Fatalf("%s: status %d, %v", path, usual.Status, usual.Err)
	}
	return usual
}

// total is the price of an order as the shop answers it.
func total(t *testing.T, reply harness.Reply) int64 {
	t.Helper()
	var quote struct {
		Total int64 `json:"total_cents"`
	}
	must(t, json.Unmarshal([]byte(reply.Body), &quote))
	if quote.Total <= 0 {
		t.Fatalf("the order costs %d cents: %s", quote.Total, reply.Body)
	}
	return quote.Total
}

// TestCalls calls functions of a live service from a frozen request: the request
// answers as it would have. The runtime's insides that calls are prepared from
// differ from one Go to the next.
func TestCalls(t *testing.T) {
	for _, toolchain := range toolchains {
		v := harness.Variant{Go: toolchain}
		_, err := builder.Shop(v) // before any runs: a compiler starves the agents of others
		must(t, err)
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			callsOf(t, v)
		})
	}
}

func callsOf(t *testing.T, v harness.Variant) {
	t.Helper()
	r := newRig(t, v)
	usual := r.asUsual("/orders/7")
	c := r.ide(r.attach("--role", "mutate"), nil, "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	before := th.stack()

	price := fmt.Sprint(total(t, usual))
	th.comesTo("a.service.Price(order).Total", price) // a method
	th.comesTo("call a.service.Price(order).Total", price)
	th.comesTo(`strconv.Atoi("12")`, "12, error nil") // several results
	if got, err := th.console(`strconv.Atoi("twelve")`); err != nil || !strings.HasPrefix(got, "0, error(") {
		t.Errorf("strconv.Atoi of no number is %q, %v", got, err)
	}
	th.comesTo("a.service.Price(order).Total + 1", fmt.Sprint(total(t, usual)+1))
	th.refuses("a.service.Price(nil)", "panic(") // one that panics
	th.refuses("a.service.Price(nil)", "nil pointer dereference")
	th.refuses("a.panic(nil, r)", "inlined")
	th.refuses("a.service.Price()", "takes 1 arguments, not 0")
	th.refuses("a.service.Price(r)", "cannot be used as a")

	// What clients evaluate by themselves calls nothing.
	for _, where := range []string{"watch", "hover"} {
		_, err := c.Evaluate("a.service.Price(order).Total", th.top().ID, where)
		var refused *daptest.ResponseError
		if !errors.As(err, &refused) {
			t.Errorf("a call in a %s: %v, want it refused", where, err)
		}
	}
	p.held(t)
	for i, f := range th.stack() {
		if i < len(before) && (f.Func != before[i].Func || f.Line != before[i].Line) {
			t.Errorf("frame %d is %v after the calls, was %v", i, f, before[i])
		}
	}
	th.nextTo("order-price")
	th.comesTo("a.service.Price(order).Total", price)
	th.resume()
	if reply := p.ok(t); reply.Body != usual.Body {
		t.Errorf("the response is %q, to others %q", reply.Body, usual.Body)
	}
}

// TestCallsUnderLoad makes calls while others use the same functions and the
// garbage collector is busy with what they leave.
func TestCallsUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	usual := r.asUsual("/orders/7")
	price := fmt.Sprint(total(t, usual))
	c := r.ide(r.attach("--role", "mutate"), nil, "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	load := harness.StartLoad(r.service.URL, "/orders/3", 4)
	for range 40 {
		th.comesTo("a.service.Price(order).Total", price)
		th.comesTo(`strconv.Atoi("-3")`, "-3, error nil")
		th.refuses("a.service.Price(nil)", "nil pointer dereference")
		if err := load.WaitServed(10, 10*time.Second); err != nil {
			t.Fatalf("while calls are made: %v", err)
		}
	}
	result := load.Stop()
	if result.Failed > 0 {
		t.Errorf("%d of the others' requests failed: %v", result.Failed, result.FirstBad)
	}
	t.Logf("the others were served %d times, slowest %v", result.Served, result.Quantile(1))
	th.resume()
	if reply := p.ok(t); reply.Body != usual.Body {
		t.Errorf("the response is %q, to others %q", reply.Body, usual.Body)
	}
}

// TestCallBlocks calls what waits for a lock that another frozen request holds.
// The console is told so; the request counts as running until the lock is free.
func TestCallBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--role", "mutate", "--stall-guard", "off"), nil, "locked-held", "locked-entry")
	first := r.request("/locked")
	holder := c.stopped("breakpoint", "locked-entry")
	must(t, c.Continue(holder.id))
	holder.again("breakpoint", "locked-held")
	second := r.request("/locked")
	th := c.stopped("breakpoint", "locked-entry")

	began := time.Now()
	th.refuses("t.sell()", "has not returned after 5s")
	if took := time.Since(began); took < 4*time.Second || took > 15*time.Second {
		t.Errorf("the console waited for %v", took)
	}
	if _, err := c.Do("next", map[string]int{"threadId": th.id}); err == nil {
		t.Error("a step while its call is under way is carried out")
	}
	r.serving(100) // of another route
	c.clear("locked-held")
	holder.resume()
	first.ok(t)
	// The call has the lock now, and returns.
	stop, err := c.WaitStopped(th.id)
	must(t, err)
	t.Logf("stopped again: %+v", stop)
	th.at("locked-entry")
	th.comesTo("t.sales", "2") // the holder's and the call's
	th.resume()
	if reply := second.ok(t); reply.Body != "{\"sold\":true}\n" {
		t.Errorf("the response is %q", reply.Body)
	}
}

// TestCallRefusedByRole: below mutate nothing is called.
func TestCallRefusedByRole(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	usual := r.asUsual("/orders/7")
	for _, role := range []string{"observe", "control"} {
		a := r.attach("--role", role, "--stall-guard", "off")
		c := &ide{r.dial(a), t}
		must(t, c.SessionWith(map[string]any{"stopOnEntry": true}, ""))
		p := r.request("/orders/7")
		stop, err := c.WaitStopped(daptest.AnyThread)
		must(t, err)
		th := &thread{c, stop.ThreadId}
		for _, expr := range []string{`call strconv.Atoi("1")`, `strconv.Atoi("1")`, "a.service.Price(nil)"} {
			c.beyond("evaluate", dap.EvaluateArguments{Expression: expr, FrameId: th.top().ID, Context: "repl"}, "mutate")
		}
		th.resume()
		if reply := p.ok(t); reply.Body != usual.Body {
			t.Errorf("at role %s the response is %q, to others %q", role, reply.Body, usual.Body)
		}
		must(t, c.Disconnect())
		_, err = a.Stop(15, endTimeout)
		must(t, err)
	}
}
