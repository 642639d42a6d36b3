//go:build linux && amd64

package dap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/session"
)

// TestCallInConsole: what the engine says that a function has returned is shown
// like any value, and the client is told that variables may have changed.
func TestCallInConsole(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	frame := top[0].Id
	for _, tt := range []struct {
		expr, asked string // asked: of the engine
		result      invoke.Result
		want        string
		rows        map[string]string
	}{
		{"inner(1)", "1inner(1)0false", invoke.Result{Exprs: []string{"o.ID"}}, "7", nil},
		{"call inner(1)", "1inner(1)0false", invoke.Result{Exprs: []string{"o.Customer"}}, `"ada"`, nil},
		{"call -unsafe inner(1)", "1inner(1)0true", invoke.Result{Exprs: []string{"o.ID"}}, "7", nil},
		{"o.touch()", "1o.touch()0false", invoke.Result{Exprs: []string{}}, "no results", nil},
		{"o.both()", "1o.both()0false", invoke.Result{Exprs: []string{"o.ID", "o.Items[1]"}}, "", map[string]string{"(result 1)": "7"}},
	} {
		b.fake.result = tt.result
		b.fake.result.Func = "main.inner"
		got, err := b.Evaluate(tt.expr, frame, "repl")
		if err != nil || tt.rows == nil && got.Result != tt.want {
			t.Errorf("%s = %q, %v, want %q", tt.expr, got.Result, err, tt.want)
		}
		squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if !slices.ContainsFunc(b.fake.calls, func(c string) bool { return squeeze(c) == squeeze("Call"+tt.asked) }) {
			t.Errorf("%s: asked %q", tt.expr, b.fake.calls)
		}
		ev, err := b.WaitEvent("invalidated")
		must(t, err)
		if areas := ev.(*godap.InvalidatedEvent).Body.Areas; len(areas) != 1 || areas[0] != "variables" {
			t.Errorf("%s: invalidated %v", tt.expr, areas)
		}
		if tt.rows == nil {
			continue
		}
		rows, err := b.Children(got.VariablesReference)
		must(t, err)
		for name, value := range tt.rows {
			if rows[name].Value != value {
				t.Errorf("%s: %s is %q, want %q", tt.expr, name, rows[name].Value, value)
			}
		}
		if item := rows["(result 2)"]; b.open(t, item)["Qty"].Value == "" {
			t.Errorf("%s: the second result cannot be opened: %+v", tt.expr, item)
		}
	}

	b.fake.result = invoke.Result{Func: "main.inner", Panicked: true, Exprs: []string{"o.Customer"}}
	_, err = b.Evaluate("inner(1)", frame, "repl")
	if e := failure(t, err); e.ID != 1405 || !strings.Contains(e.Error(), `panic("ada")`) {
		t.Errorf("a panic: %v", err)
	}
	b.fake.result = invoke.Result{}
	if got, err := b.Evaluate("float64(o.ID) / 2", frame, "repl"); err != nil || got.Result != "3.5" {
		t.Errorf("a conversion: %q, %v", got.Result, err)
	}
	for cause, id := range map[error]int{session.ErrCalling: 1202, errors.New("add takes 2 arguments"): 1401} {
		b.fake.fail["Call "] = cause
		if _, err := b.Evaluate("inner(1)", frame, "repl"); failure(t, err).ID != id {
			t.Errorf("%v: %v, want id %d", cause, err, id)
		}
	}
}
