//go:build linux && amd64

package integration_test

import (
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestLocals looks at a value of each kind, in an optimised build.
func TestLocals(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	th.checkOrder()
	th.resume()
	p.ok(t)

	// Order 3 has what order 7 has not: a nil pointer, a nil error, a struct in
	// the interface.
	p = r.request("/orders/3")
	th = c.stopped("breakpoint", "order-loaded")
	locals, err := th.Locals(th.id)
	must(t, err)
	order := th.children(locals, "order")
	th.expect(order, map[string]string{"ID": "3", "Note": "nil", "Delivery": "nil", "Placed": "2024-03-03T12:30:00Z"})
	th.expect(th.children(order, "Payment"), map[string]string{"Brand": `"visa"`, "Last4": `"4003"`})
	th.resume()
	p.ok(t)
}

// checkOrder holds the locals of (*api).order, right after it has fetched order
// 7, against the values that the store has.
func (th *thread) checkOrder() {
	th.t.Helper()
	locals, err := th.Locals(th.id)
	must(th.t, err)
	th.expect(locals, map[string]string{"id": "7"})
	order := th.children(locals, "order")
	th.expect(order, map[string]string{
		"ID":       "7",
		"Placed":   "2024-03-07T12:30:00Z", // a time.Time
		"Delivery": "DeliveryError",        // an error
		"Note":     `"leave at the door"`,  // a pointer
		"Payment":  "Invoice",              // an interface
	})
	th.expect(th.children(order, "Customer"), map[string]string{
		"ID": "107", "Name": `"Edsger"`, "Email": `"Edsger.7@example.com"`,
	})
	items := th.children(order, "Items")
	if len(items) != 3 {
		th.t.Errorf("the order has %d items, want 3: %v", len(items), items)
	}
	th.expect(th.children(items, "[1]"), map[string]string{"SKU": `"pen-blue"`, "Quantity": "12", "Cents": "149"})
	attributes := th.children(order, "Attributes")
	if len(attributes) != 3 {
		th.t.Errorf("the order has %d attributes, want 3: %v", len(attributes), attributes)
	}
	th.expect(attributes, map[string]string{`"channel"`: `"web"`, `"priority"`: `"high"`, `"gift"`: `"yes"`})
	th.expect(th.children(order, "Payment"), map[string]string{"Days": "30"})
	th.expect(th.children(order, "Delivery"), map[string]string{"Carrier": `"postal"`, "Code": "17", "Cause": "errorString"})
}

// children lists the children of one of vars by name; those of a pointer or
// interface are what it points to or holds.
func (th *thread) children(vars map[string]daptest.Variable, name string) map[string]daptest.Variable {
	th.t.Helper()
	v, found := vars[name]
	if !found || v.VariablesReference == 0 {
		th.t.Fatalf("no variable %s with children among %+v", name, vars)
	}
	list, err := th.Children(v.VariablesReference)
	must(th.t, err)
	if len(list) != 1 {
		return list
	}
	for _, only := range list {
		if (only.Name == "" || only.Name == "data") && only.VariablesReference != 0 {
			return th.children(list, only.Name)
		}
	}
	return list
}

// expect fails unless each variable is there and its value contains the text; a
// number must be the whole value.
func (th *thread) expect(vars map[string]daptest.Variable, want map[string]string) {
	th.t.Helper()
	for name, text := range want {
		v, found := vars[name]
		number := strings.Trim(text, "-0123456789") == ""
		if !found || !strings.Contains(v.Value, text) || number && v.Value != text {
			th.t.Errorf("%s is %q (%s, there: %t), want %s", name, v.Value, v.Type, found, text)
		}
	}
}

// TestEvaluate evaluates expressions in a frozen request, in its innermost
// frame and in a caller's.
func TestEvaluate(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("repo-found", "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "repo-found")
	for _, f := range th.stack() {
		if strings.HasSuffix(f.Func, "(*api).order") {
			th.evaluates(f.ID, "id", "7")
		}
	}
	th.evaluates(th.top().ID, "order.ID", "7")
	must(t, th.Continue(th.id))
	th.again("breakpoint", "order-loaded")
	top := th.top().ID
	for expression, want := range map[string]string{
		"id":                          "7",
		"order.Customer.Name":         `"Edsger"`,
		"order.Items[1].Quantity * 2": "24",
		"len(order.Items)":            "3",
		"order.ID == id":              "true",
		`order.Attributes["gift"]`:    `"yes"`,
		"*order.Note":                 `"leave at the door"`,
	} {
		th.evaluates(top, expression, want)
	}
	for expression, why := range map[string]string{
		"nosuchthing":              "nosuchthing",
		"order.Nothing":            "Nothing",
		"order.Payment.Describe()": "needs the role mutate",
		"order.Items[99].SKU":      "out of bounds",
	} {
		got, err := th.Evaluate(expression, top, "repl")
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s is %q, error %v; want an error with %q", expression, got.Result, err, why)
		}
	}
	th.resume()
	p.ok(t)
}

// evaluates fails unless an expression has a value, typed and hovered over.
func (th *thread) evaluates(frameID int, expression, want string) {
	th.t.Helper()
	for _, where := range []string{"repl", "hover", "watch"} {
		got, err := th.Evaluate(expression, frameID, where)
		if err != nil || got.Result != want {
			th.t.Errorf("%s (%s) is %q, error %v; want %s", expression, where, got.Result, err, want)
		}
	}
}

// TestStackPaged reads a stack as VS Code does: one frame first, then the rest
// in pages.
func TestStackPaged(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("repo-found")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "repo-found")
	whole := th.stack()
	var paged []string
	for _, page := range []struct{ start, levels int }{{0, 1}, {1, 4}, {5, 100}, {100, 20}} {
		frames, total, err := c.StackTrace(th.id, page.start, page.levels)
		must(t, err)
		if total != len(whole) {
			t.Errorf("from %d: %d frames in all, want %d", page.start, total, len(whole))
		}
		for _, f := range frames {
			paged = append(paged, f.Name)
		}
	}
	if len(paged) != len(whole) {
		t.Fatalf("the pages have %d frames, want %d", len(paged), len(whole))
	}
	for i, name := range paged {
		if name != whole[i].Func {
			t.Errorf("frame %d is %s, want %s", i, name, whole[i].Func)
		}
	}
	th.resume()
	p.ok(t)
}
