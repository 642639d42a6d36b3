//go:build linux && amd64

package dap_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	godap "github.com/google/go-dap"
)

// complete returns what fits at the caret, which is marked by | in text.
func (b *bench) complete(t *testing.T, frame int, text string) ([]string, []godap.CompletionItem) {
	t.Helper()
	before, after, _ := strings.Cut(text, "|")
	items := ask[*godap.CompletionsResponse](t, b, "completions", godap.CompletionsArguments{
		FrameId: frame, Text: before + after, Column: len(utf16.Encode([]rune(before))) + 1,
	}).Body.Targets
	var labels []string
	for _, item := range items {
		labels = append(labels, item.Label)
	}
	return labels, items
}

func TestCompletions(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	frame := top[0].Id
	for _, tt := range []struct {
		text      string
		have, not []string
	}{
		{"num|", []string{"numbers"}, []string{"o", "nilMap"}},
		{"|", []string{"numbers", "o", "fmt", "strings"}, nil},
		{"o.|", []string{"ID", "Customer", "Items", "where"}, []string{"numbers", "SKU"}},
		{"o.C|", []string{"Customer"}, []string{"ID"}},
		{"o.c|", []string{"Customer"}, []string{"ID"}},
		{"o.Items[0].|", []string{"SKU", "Qty"}, []string{"ID"}},
		{"1 + o.Parent.|", []string{"ID"}, []string{"SKU"}},
		{"len(o.|)", []string{"Items"}, nil},
		{"typedErr.|", []string{"Code"}, nil},
		{"(*ptrToPtr).|", []string{"Customer"}, nil},
		{"io.EO|", []string{"EOF"}, nil},
		{"fmt.nosuch|", nil, []string{"numbers"}},
		{"nosuch.|", nil, []string{"numbers"}},
		{"dlv |", []string{"config", "stack"}, []string{"numbers"}},
		{"dlv config sub|", []string{"substitutePath"}, []string{"showRegisters"}},
	} {
		got, _ := b.complete(t, frame, tt.text)
		for _, want := range tt.have {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no %s in %q", tt.text, want, got)
			}
		}
		for _, bad := range tt.not {
			if slices.Contains(got, bad) {
				t.Errorf("%s: %s in %q", tt.text, bad, got)
			}
		}
		if len(got) > 200 {
			t.Errorf("%s: %d answers", tt.text, len(got))
		}
	}
	// The caret counts UTF-16 units, and the item replaces what was typed.
	_, items := b.complete(t, frame, `"😀" + num|x`)
	if len(items) != 1 || items[0].Start != 8 || items[0].Length != 3 || items[0].Type != "variable" || items[0].Detail != "[]int" {
		t.Errorf("behind a surrogate pair: %+v", items)
	}
	_, err = b.Do("completions", godap.CompletionsArguments{FrameId: frame, Text: "o", Column: 7})
	if e := failure(t, err); e.ID != 1004 {
		t.Errorf("a caret outside of the text: %+v", e)
	}
}
