//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"errors"
	"strings"
	"testing"
)

func word(name string) *dwarf.StructField {
	return &dwarf.StructField{Name: name, Type: &dwarf.UintType{}}
}

// TestLayoutOfAnotherGate: what this agent cannot find on a board must be a
// refusal that names it, never offset 0.
func TestLayoutOfAnotherGate(t *testing.T) {
	slot := &dwarf.StructType{StructName: "gate.slot", Field: []*dwarf.StructField{word("state"), word("gen")}}
	arrayOf := func(elem dwarf.Type) dwarf.Type { return &dwarf.ArrayType{Type: elem, Count: 3} }
	for _, c := range []struct {
		name  string
		board *dwarf.StructType
		names []string
	}{
		{"empty", &dwarf.StructType{StructName: "gate.board"},
			[]string{"magic", "abi", "armed", "lease", "callText", "ruleGen", "rules", "slots", "in gate.journal"}},
		{"slots are a number", &dwarf.StructType{Field: []*dwarf.StructField{word("slots")}},
			[]string{"slots is no array"}},
		{"slots are numbers", &dwarf.StructType{Field: []*dwarf.StructField{{Name: "slots", Type: arrayOf(&dwarf.UintType{})}}},
			[]string{"slots is no array of structs"}},
		{"a slot without a thread", &dwarf.StructType{Field: []*dwarf.StructField{{Name: "slots", Type: arrayOf(slot)}}},
			[]string{"no field tid in gate.slot", "no field held in gate.slot"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newLayout(c.board, &dwarf.StructType{StructName: "gate.journal"})
			if !errors.Is(err, ErrABI) {
				t.Fatalf("newLayout: %v, want ErrABI", err)
			}
			for _, name := range c.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%q does not say %q", err, name)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has several lines", err)
			}
		})
	}
}

func TestStripTypedefs(t *testing.T) {
	want := &dwarf.UintType{}
	if got := strip(&dwarf.TypedefType{Type: &dwarf.TypedefType{Type: want}}); got != want {
		t.Errorf("strip = %v", got)
	}
}
