//go:build linux && amd64

package dap_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// frozenAt is an attached client with request 1 frozen at a marker of

// testdata/values.

func (b *bench) row(t *testing.T, rows map[string]daptest.Variable, name string) daptest.Variable {
	t.Helper()
	v, ok := rows[name]
	if !ok {
		var have []string
		for n := range rows {
			have = append(have, n)
		}
		t.Fatalf("no variable %q among %v", name, have)
	}
	return v
}

func (b *bench) open(t *testing.T, v daptest.Variable) map[string]daptest.Variable {
	t.Helper()
	if v.VariablesReference == 0 {
		t.Fatalf("%s (%s) cannot be opened", v.Name, v.Value)
	}
	rows, err := b.Children(v.VariablesReference)
	must(t, err)
	return rows
}

func TestValues(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	for _, tt := range []struct {
		name, value, typ string // value is a regular expression
		open             bool
	}{
		{"nilPtr", `\*main.order nil`, `\*main.order`, false},
		{"nilMap", `map\[string\]int nil`, `map\[string\]int`, false},
		{"nilSlice", `\[\]int len: 0, cap: 0, nil`, `\[\]int`, false},
		{"nilErr", `error nil`, `error`, false},
		{"nilFunc", `nil`, `func\(\)`, false},
		{"plainErr", `error\(\*errors.errorString\) "no stock"`, `error\(\*errors.errorString\)`, true},
		{"typedErr", `error\(\*main.shopError\) \{Code: 7\}`, `error\(\*main.shopError\)`, true},
		{"anyInt", `.*42`, `(any|interface \{\})\(int\)`, false},
		{"anySlice", `.*\["a","b"\]`, `(any|interface \{\})\(\[\]string\)`, true},
		{"numbers", `\[\]int len: 250, cap: 250, \[0,1,4,9.*\.\.\.`, `\[\]int`, true},
		{"counts", `map\[int\]string \[.*\.\.\.`, `map\[int\]string`, true},
		{"grid", `\[2\]\[3\]int \[\[1,2,3\],\[4,5,6\]\]`, `\[2\]\[3\]int`, true},
		{"ch", `chan int 1/3`, `chan int`, true},
		{"fn", `main.values.func1`, `func\(int\) int`, true},
		{"long", `"x{512}"\.\.\. \(5000 bytes, 4488 more\)`, `string`, false},
		{"text", `"grüße \\"quoted\\""`, `string`, false},
		{"yes", `true`, `bool`, false},
		{"ratio", `1.5`, `float64`, false},
		{"cplx", `\(1 \+ -2i\)`, `complex128`, true},
		{"ptrToPtr", `\*\*main.order.*`, `\*\*main.order`, true},
		{"(shadow)", `1`, `int`, false},
		{"shadow", `"inner"`, `string`, false},
		{"captured", `5`, `int`, false},
		{"o", `\*main.order \{ID: 7, Customer: "ada".*`, `\*main.order`, true},
	} {
		v := b.row(t, locals, tt.name)
		if ok, _ := regexp.MatchString(`^`+tt.value+`$`, v.Value); !ok {
			t.Errorf("%s = %s, want %s", tt.name, v.Value, tt.value)
		}
		if ok, _ := regexp.MatchString(`^`+tt.typ+`$`, v.Type); !ok {
			t.Errorf("%s has type %s, want %s", tt.name, v.Type, tt.typ)
		}
		if open := v.VariablesReference != 0; open != tt.open {
			t.Errorf("%s can be opened: %v, want %v", tt.name, open, tt.open)
		}
	}
	if v := locals["(shadow)"]; v.EvaluateName != "" {
		t.Errorf("a shadowed variable's name leads to another: %q", v.EvaluateName)
	}
}

func TestChildren(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	order := b.open(t, locals["o"])
	for name, want := range map[string]string{
		"ID": "7", "Customer": `"ada"`, "Placed": "2024-05-06T07:08:09Z", "Note": `\*"ring twice"`,
		"Parent": `\*main.order \{ID: 1, Customer: "parent".*`, "where": `main.point \{X: 3, Y: 4\}`,
		"Items": `\[\]main.item len: 2, cap: 2, \[\{SKU: "A-1", Qty: 2, Price: 9.5\}, \{SKU: "B-2", Qty: 1, Price: 20\}\]`,
	} {
		if v := b.row(t, order, name); !regexp.MustCompile(`^` + want + `$`).MatchString(v.Value) {
			t.Errorf("o.%s = %s, want %s", name, v.Value, want)
		}
	}
	if v := order["ID"]; v.EvaluateName != "o.ID" {
		t.Errorf("evaluateName of o.ID is %q", v.EvaluateName)
	}
	if v := b.open(t, order["Note"])["*"]; v.Value != `"ring twice"` || v.EvaluateName != "(*o.Note)" {
		t.Errorf("*o.Note: %+v", v)
	}
	if v := b.open(t, order["Body"])["string()"]; v.Value != `"hello"` {
		t.Errorf("the body as a string: %+v", v)
	}
	second := b.open(t, b.open(t, order["Items"])["[1]"])
	if v := second["SKU"]; v.Value != `"B-2"` || v.EvaluateName != "o.Items[1].SKU" {
		t.Errorf("o.Items[1].SKU: %+v", v)
	}
	if v := b.open(t, order["Tags"])[`"gift"`]; v.Value != "1" || v.EvaluateName != `o.Tags["gift"]` {
		t.Errorf("o.Tags: %+v", v)
	}
	if v := b.open(t, locals["plainErr"])["s"]; v.Value != `"no stock"` {
		t.Errorf("the text of an error: %+v", v)
	}
	if v := b.open(t, locals["anySlice"])["[1]"]; v.Value != `"b"` {
		t.Errorf("an element of a slice in an interface: %+v", v)
	}
	keyed := b.open(t, locals["keyed"])
	if v := b.open(t, keyed["[key 0]"]); v["Y"].Value != "2" {
		t.Errorf("struct key: %+v", v)
	}
	if v := b.open(t, keyed["[val 0]"]); v["SKU"].Value != `"keyed"` {
		t.Errorf("pointer value: %+v", v)
	}
	if v := b.open(t, b.open(t, locals["grid"])["[1]"])["[2]"]; v.Value != "6" || v.EvaluateName != "grid[1][2]" {
		t.Errorf("grid[1][2]: %+v", v)
	}
	through := b.open(t, b.open(t, locals["ptrToPtr"])["*"])
	if v := through["Customer"]; v.Value != `"ada"` {
		t.Errorf("**ptrToPtr: %+v", v)
	}
	// A chain as long as the recursion limit is nowhere near.
	if v := b.open(t, b.open(t, order["Parent"])["where"])["X"]; v.Value != "0" {
		t.Errorf("o.Parent.where.X: %+v", v)
	}
	// Every name that is offered for evaluation leads to the same value.
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	for _, rows := range []map[string]daptest.Variable{locals, order, second, keyed, through} {
		for _, v := range rows {
			if v.EvaluateName == "" {
				continue
			}
			got, err := b.Evaluate(v.EvaluateName, top[0].Id, "watch")
			if strings.Contains(v.Value, "(*main.") || strings.Contains(v.Value, "(*time.") {
				got.Result = v.Value // a row shows one level less than its own evaluation
			}
			if err != nil || got.Result != v.Value || got.Type != v.Type && v.Type != "" {
				t.Errorf("%s = %s (%v), the variables pane shows %s", v.EvaluateName, got.Result, err, v.Value)
			}
		}
	}
}

func TestPaging(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	numbers, counts := locals["numbers"], locals["counts"]
	if numbers.IndexedVariables != 250 || counts.IndexedVariables != 150 {
		t.Fatalf("indexed counts %d, %d", numbers.IndexedVariables, counts.IndexedVariables)
	}
	page, err := b.VariablesPage(godap.VariablesArguments{
		VariablesReference: numbers.VariablesReference, Filter: "indexed", Start: 200, Count: 100})
	must(t, err)
	if len(page) != 50 || page[0].Name != "[200]" || page[0].Value != "40000" || page[49].EvaluateName != "numbers[249]" {
		t.Errorf("page of numbers: %d rows, first %+v", len(page), page[0])
	}
	seen := map[string]bool{}
	for start := 0; start < 150; start += 40 {
		page, err := b.VariablesPage(godap.VariablesArguments{
			VariablesReference: counts.VariablesReference, Filter: "indexed", Start: start, Count: 40})
		must(t, err)
		for _, v := range page {
			if v.Value != fmt.Sprintf("%q", "n"+v.Name) {
				t.Errorf("counts[%s] = %s", v.Name, v.Value)
			}
			seen[v.Name] = true
		}
	}
	if len(seen) != 150 {
		t.Errorf("%d map entries in all pages, want 150", len(seen))
	}
	named, err := b.VariablesPage(godap.VariablesArguments{VariablesReference: numbers.VariablesReference, Filter: "named"})
	if err != nil || len(named) != 0 {
		t.Errorf("named: %v, %v", named, err)
	}
	past, err := b.VariablesPage(godap.VariablesArguments{
		VariablesReference: numbers.VariablesReference, Filter: "indexed", Start: 250, Count: 10})
	if err != nil || len(past) != 0 {
		t.Errorf("past the end: %v, %v", past, err)
	}

	// Without a range: the first hundred, and a row that opens the rest.
	all, last := 0, numbers.VariablesReference
	for last != 0 {
		rows, err := b.Variables(last)
		must(t, err)
		last = 0
		for _, v := range rows {
			if strings.HasSuffix(v.Name, "...]") {
				last = v.VariablesReference
				continue
			}
			if v.Name != fmt.Sprintf("[%d]", all) || v.Value != fmt.Sprint(all*all) {
				t.Fatalf("row %d is %+v", all, v)
			}
			all++
		}
	}
	if all != 250 {
		t.Errorf("%d elements by opening the rest, want 250", all)
	}
}
