//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"

	godap "github.com/google/go-dap"
)

// locals is the reference of the first scope of the innermost frame.
func (b *bench) locals(t *testing.T) int {
	t.Helper()
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	scopes, err := b.Scopes(top[0].Id)
	must(t, err)
	return scopes[0].VariablesReference
}

func TestSetVariable(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	ref := b.locals(t)
	rows, err := b.Children(ref)
	must(t, err)
	for _, tt := range []struct {
		parent      int
		name, value string
		want        string
		check       string // an expression that sees the new value
	}{
		{ref, "captured", "6", "6", "captured"},
		{ref, "yes", "false", "false", "yes"},
		{ref, "ratio", "2.25", "2.25", "ratio"},
		{ref, "text", "o.Customer", `"ada"`, "text"},
		{ref, "text", `""`, `""`, "text"},
		{ref, "plainErr", "nil", "nil", "plainErr"},
		{ref, "numbers", "numbers[1:3]", "[]int len: 2, cap: 249, [1,4]", "numbers"},
		{rows["o"].VariablesReference, "ID", "8", "8", "o.ID"},
		{rows["o"].VariablesReference, "Parent", "nil", "nil", "o.Parent"},
		{rows["grid"].VariablesReference, "[1]", "grid[0]", "[3]int [1,2,3]", "grid[1]"},
	} {
		got := ask[*godap.SetVariableResponse](t, b, "setVariable",
			godap.SetVariableArguments{VariablesReference: tt.parent, Name: tt.name, Value: tt.value}).Body
		if !strings.Contains(got.Value, tt.want) {
			t.Errorf("%s = %s: shown as %q, want %q", tt.name, tt.value, got.Value, tt.want)
		}
		ev, err := b.WaitEvent("invalidated")
		must(t, err)
		if areas := ev.(*godap.InvalidatedEvent).Body.Areas; len(areas) != 1 || areas[0] != "variables" {
			t.Errorf("invalidated %v", areas)
		}
		if v, err := b.Evaluate(tt.check, 0, "watch"); err != nil || !strings.Contains(v.Result, tt.want) {
			t.Errorf("%s afterwards: %q, %v", tt.check, v.Result, err)
		}
	}
}

func TestSetVariableRefusals(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	ref := b.locals(t)
	rows, err := b.Children(ref)
	must(t, err)
	for _, tt := range []struct {
		parent            int
		name, value, want string
	}{
		{ref, "text", `"new"`, "heap"},
		{ref, "captured", "inner(3)", ""},
		{ref, "captured", "1 +", "value"},
		{ref, "captured", `"x"`, ""},
		{ref, "captured", "", "bytes"},
		{ref, "nosuch", "1", "there is no"},
		{ref, "(shadow)", "2", "shadowed"},
		{ref, "nilPtr", "5", "a number is no pointer"},
		{ref, "nilPtr", "(*order)(0xc000010000)", "names a"},
		{ref, "nilPtr", "&o", ""},
		{rows["counts"].VariablesReference, "3", `"x"`, "map"},
		{rows["o"].VariablesReference, "Note", "&text", ""},
	} {
		if tt.want == "names a" {
			tt.want = "name the variable"
		}
		_, err := b.Do("setVariable", godap.SetVariableArguments{VariablesReference: tt.parent, Name: tt.name, Value: tt.value})
		if e := failure(t, err); e.ID != 1312 || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s = %s: %+v, want %q", tt.name, tt.value, e, tt.want)
		}
	}
	if v, err := b.Evaluate("captured", 0, "watch"); err != nil || v.Result != "5" {
		t.Errorf("a refused value was written: %q, %v", v.Result, err)
	}
	_, err = b.Do("setVariable", godap.SetVariableArguments{VariablesReference: 99999, Name: "x", Value: "1"})
	if e := failure(t, err); e.ID != 1303 {
		t.Errorf("an unknown reference: %+v", e)
	}
}

// TestSetOptimized: what the compiler keeps in registers is refused with the
// reason.
func TestSetOptimized(t *testing.T) {
	b, _ := frozenAt(t, "inner")
	rows, err := b.Locals(1)
	must(t, err)
	refused := 0
	for name, row := range rows {
		if row.MemoryReference != "" || name == "~r0" {
			continue
		}
		_, err := b.Do("setVariable", godap.SetVariableArguments{VariablesReference: b.locals(t), Name: name, Value: "1"})
		e := failure(t, err)
		if e.ID != 1312 || !strings.Contains(e.Message, "registers") && !strings.Contains(e.Message, "optimized away") {
			t.Errorf("%s (%s): %+v", name, row.Value, e)
		}
		refused++
	}
	if refused == 0 {
		t.Fatalf("the compiler keeps nothing in registers: %+v", rows)
	}
}

func TestSetExpression(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	for expr, value := range map[string]string{"o.Items[0].Qty": "77", "*&captured": "12", "(*ptrToPtr).ID": "3"} {
		got := ask[*godap.SetExpressionResponse](t, b, "setExpression", godap.SetExpressionArguments{Expression: expr, Value: value}).Body
		if v, err := b.Evaluate(expr, 0, "watch"); got.Value != value || err != nil || v.Result != value {
			t.Errorf("%s = %s: shown %q, is %q, %v", expr, value, got.Value, v.Result, err)
		}
	}
	for expr, want := range map[string]string{"1 + 2": "", "len(numbers)": "", "nosuch": "", "o.Note": "number"} {
		_, err := b.Do("setExpression", godap.SetExpressionArguments{Expression: expr, Value: "4"})
		if e := failure(t, err); e.ID != 1312 || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %+v", expr, e)
		}
	}
	_, err := b.Do("setExpression", godap.SetExpressionArguments{Expression: "", Value: "4"})
	if e := failure(t, err); e.ID != 1401 {
		t.Errorf("an empty expression: %+v", e)
	}
}
