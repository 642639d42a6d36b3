//go:build linux && amd64

package dap

import (
	"fmt"
	"go/constant"
	"reflect"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/google/go-dap"
)

// maxKey bounds the text of a map key used as a row's name, in bytes.
const maxKey = 64

// indexed lists the elements or map entries of n in the range p. What a client
// that names no range does not get is in a last row, "the rest", that it can
// open.
func (x *viewer) indexed(n *node, p page) ([]dap.Variable, error) {
	total := indexedCount(n.v)
	named := p.count > 0
	if !named {
		p.count = unpaged
	}
	p.start += n.start
	p.count = min(p.count, maxPage)
	if p.start >= total {
		return nil, nil
	}
	p.count = min(p.count, total-p.start)

	part, err := slice(n.v, p)
	if err != nil {
		return nil, err
	}
	var rows []dap.Variable
	got := len(part.Children)
	if n.v.Kind == reflect.Map {
		got /= 2
		for i := range got {
			rows = append(rows, x.entry(n, p.start+i, &part.Children[2*i], &part.Children[2*i+1])...)
		}
	} else {
		for i := range got {
			expr := ""
			if n.expr != "" {
				expr = fmt.Sprintf("%s[%d]", n.expr, p.start+i)
			}
			rows = append(rows, x.present(&part.Children[i], fmt.Sprintf("[%d]", p.start+i), expr))
		}
	}
	if part.Unreadable != nil {
		rows = append(rows, dap.Variable{Name: "(error)", Value: unreadable(part.Unreadable)})
	}
	if rest := p.start + p.count; !named && rest < total {
		more := *n
		more.start = rest
		rows = append(rows, dap.Variable{
			Name:               fmt.Sprintf("[%d...]", rest),
			Value:              fmt.Sprintf("%d more", total-rest),
			VariablesReference: x.h.addNode(&more),
		})
	}
	return rows, nil
}

// slice returns v with the children of the range p alone.
func slice(v *proc.Variable, p page) (*proc.Variable, error) {
	perElement := 1
	if v.Kind == reflect.Map {
		perElement = 2
		if p.start > maxMapStart {
			return nil, kindMapTooFar.becauseOf(fmt.Sprintf("entry %d of %d", p.start, v.Len))
		}
	}
	if p.start == 0 && len(v.Children) >= p.count*perElement {
		part := *v
		part.Children = v.Children[:p.count*perElement]
		return &part, nil
	}
	cfg := firstLook
	cfg.MaxArrayValues = p.count
	return v.LoadResliced(p.start, cfg)
}

// entry is a map entry: one row named after its key where the key is simple,
// else a row for the key and one for the value.
func (x *viewer) entry(n *node, i int, key, val *proc.Variable) []dap.Variable {
	expr := ""
	if lit, ok := literal(key); ok && n.expr != "" {
		expr = n.expr + "[" + lit + "]"
	}
	key = x.load(key, "")
	var row dap.Variable
	if x.hidesKey(key) {
		row = x.hidden(val, "", expr)
	} else {
		row = x.present(val, "", expr)
	}
	ref, _, _ := x.expand(key, "")
	if ref != 0 {
		row.Name = fmt.Sprintf("[val %d]", i)
		return []dap.Variable{x.present(key, fmt.Sprintf("[key %d]", i), ""), row}
	}
	row.Name = clipText(x.text(key), maxKey)
	return []dap.Variable{row}
}

// literal is a Go expression for a map key of a basic type.
func literal(key *proc.Variable) (string, bool) {
	if key.Unreadable != nil || key.Value == nil {
		return "", false
	}
	switch key.Kind {
	case reflect.String:
		s := constant.StringVal(key.Value)
		return fmt.Sprintf("%q", s), int64(len(s)) == key.Len
	case reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return api.ExtractIntValue(api.VariableValueAsString(key)), true
	}
	return "", false
}

// intValue is the number in a loaded integer variable.
func intValue(v *proc.Variable) (int64, bool) {
	if v.Unreadable != nil || v.Value == nil {
		return 0, false
	}
	return constant.Int64Val(v.Value)
}

// complexParts is a complex number as two rows.
func complexParts(v *proc.Variable) []dap.Variable {
	if v.Value == nil {
		return nil
	}
	return []dap.Variable{
		{Name: "real", Value: constant.Real(v.Value).String()},
		{Name: "imaginary", Value: constant.Imag(v.Value).String()},
	}
}
