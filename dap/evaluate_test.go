//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/session"
)

func TestEvaluate(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	frame := top[0].Id
	for expr, want := range map[string]string{
		"o.ID": "7", " o.ID + 1 ": "8", "len(numbers)": "250", "cap(ch)": "3", `o.Customer == "ada"`: "true",
		"o.Items[1].SKU": `"B-2"`, "*o.Note": `"ring twice"`, `o.Tags["gift"]`: "1", "numbers[3:5]": "[]int len: 2, cap: 247, [9,16]",
		"o.Parent == nil": "false", "typedErr.(*main.shopError).Code": "7", "float64(o.ID) / 2": "3.5", "nilPtr": "*main.order nil",
	} {
		got, err := b.Evaluate(expr, frame, "repl")
		if err != nil || got.Result != want {
			t.Errorf("%s = %q, %v; want %q", expr, got.Result, err, want)
		}
	}

	// Results can be opened, and names below them lead back.
	got, err := b.Evaluate("o.Items[0:1]", frame, "watch")
	must(t, err)
	rows, err := b.Children(got.VariablesReference)
	must(t, err)
	if v := b.open(t, rows["[0]"])["Qty"]; v.Value != "2" || v.EvaluateName != "(o.Items[0:1])[0].Qty" {
		t.Errorf("below an expression: %+v", v)
	}

	for _, tt := range []struct {
		expr string
		id   int
	}{
		{"inner(1)", 1402}, {"call inner(1)", 1402}, {"o.nothing", 1401}, {"nosuch", 1401}, {"1 +", 1401},
		{"", 1401}, {"   ", 1401}, {"o.ID = 9", 1401}, {"dlv config -list", 1404}, {strings.Repeat("(", 20000), 1401},
		{"nilPtr.ID", 1401}, {"numbers[9999]", 1401},
	} {
		_, err := b.Evaluate(tt.expr, frame, "hover")
		if e := failure(t, err); e.ID != tt.id || e.Show {
			t.Errorf("%.20s: %+v, want id %d without a dialog", tt.expr, e, tt.id)
		}
	}
	if got, err := b.Evaluate("o.ID", frame, "watch"); err != nil || got.Result != "7" {
		t.Errorf("a refused call or assignment has left its mark: %q, %v", got.Result, err)
	}
}

func TestEvaluateLongStrings(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	for where, want := range map[string]int{"watch": 512, "hover": 4096, "repl": 4096, "clipboard": 5000, "variables": 5000} {
		got, err := b.Evaluate("long", top[0].Id, where)
		must(t, err)
		if n := strings.Count(got.Result, "x"); n != want {
			t.Errorf("%s shows %d bytes, want %d", where, n, want)
		}
		if cut := strings.Contains(got.Result, "5000 bytes"); cut != (want < 5000) {
			t.Errorf("%s: the full length is told: %v", where, cut)
		}
	}
}

func TestEvaluateWithoutFrame(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	if got, err := b.Evaluate("o.ID", 0, "watch"); err != nil || got.Result != "7" {
		t.Errorf("the only frozen request: %q, %v", got.Result, err)
	}
	b.fake.requests = append(b.fake.requests, aRequest(2))
	if _, err := b.Evaluate("o.ID", 0, "watch"); failure(t, err).ID != 1403 {
		t.Errorf("two frozen requests: %v", err)
	}
	b.fake.requests = []session.Request{{ID: 3}}
	if _, err := b.Evaluate("o.ID", 0, "watch"); failure(t, err).ID != 1403 {
		t.Errorf("none frozen: %v", err)
	}
}

// Optimised functions cannot be called in another way than others, and none is
// where a client evaluates by itself.
func TestCallsAreRefusedInOptimizedCode(t *testing.T) {
	b, _ := frozenAt(t, "values")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	for _, expr := range []string{"inner(1)", "o.Placed.Unix()", "typedErr.Error()", `keep("x")`, "call inner(1)"} {
		for _, where := range []string{"watch", "hover", "clipboard", "variables"} {
			if _, err := b.Evaluate(expr, top[0].Id, where); failure(t, err).ID != 1402 {
				t.Errorf("%s in a %s: %v", expr, where, err)
			}
		}
	}
	for _, call := range b.fake.calls {
		if strings.HasPrefix(call, "Call ") {
			t.Errorf("called: %q", call)
		}
	}
}

// A panic below Inspect is caught inside it: the engine holds locks there.
func TestPanicInInspectionStaysInside(t *testing.T) {
	fake := newFake()
	fake.requests = []session.Request{aRequest(1)}
	fake.target = nil // Delve dereferences it
	b := attached(t, fake)
	b.stopped(t, 1)
	_, _, err := b.StackTrace(1, 0, 1)
	if e := failure(t, err); e.ID != 1306 {
		t.Errorf("%+v", e)
	}
	_, err = b.Threads()
	must(t, err)
}
