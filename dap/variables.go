//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/google/go-dap"
)

const (
	// unpaged is how many elements are listed for a client that names no
	// range. VS Code names none up to 100 elements.
	unpaged = 100
	// maxPage bounds a range that is named.
	maxPage = 2000
	// maxMapStart bounds how far into a map a range may begin: Delve has to
	// walk there entry by entry, and inspections run one at a time.
	maxMapStart = 100_000
)

// page is a range of numbered children; count 0 means no range was named.
type page struct{ start, count int }

func (c *conn) variables(_ context.Context, args dap.VariablesArguments) (dap.VariablesResponseBody, error) {
	body := dap.VariablesResponseBody{Variables: []dap.Variable{}} // null is not a list
	n, err := c.handles.node(args.VariablesReference)
	if err != nil {
		return body, err
	}
	if args.Start < 0 || args.Count < 0 {
		return body, kindBadArguments.becauseOf("negative start or count")
	}
	err = c.view(n.frame, kindVariables, func(x *viewer) error {
		if n.extra != nil && args.Filter != "indexed" {
			body.Variables = append(body.Variables, n.extra(x, n.expr)...)
			if n.instead {
				if n.v != nil {
					body.Variables = append(body.Variables, x.rawRow(n))
				}
				return nil
			}
		}
		x.plain = x.plain || n.plain
		if n.v == nil {
			if args.Filter == "indexed" {
				return nil
			}
			list, err := x.locals()
			body.Variables = append(body.Variables, list...)
			return err
		}
		if args.Filter != "indexed" && n.start == 0 {
			body.Variables = append(body.Variables, x.named(n)...)
		}
		if args.Filter != "named" && indexedCount(n.v) > 0 {
			list, err := x.indexed(n, page{args.Start, args.Count})
			if err != nil {
				return err
			}
			body.Variables = append(body.Variables, list...)
		}
		return nil
	})
	return body, err
}

// locals is the scope of the frame: arguments, results and local variables.
func (x *viewer) locals() ([]dap.Variable, error) {
	args, err := x.scope.FunctionArguments(firstLook)
	if err != nil {
		return nil, err
	}
	vars, err := x.scope.LocalVariables(firstLook)
	if err != nil {
		return nil, err
	}
	var list []dap.Variable
	for _, v := range append(args, vars...) {
		name, expr := v.Name, v.Name
		switch {
		case strings.HasPrefix(name, "~"), strings.HasPrefix(name, "."):
			expr = "" // unnamed results and the compiler's own
		case v.Flags&proc.VariableShadowed != 0:
			name, expr = "("+name+")", ""
		}
		list = append(list, x.present(v, name, expr))
	}
	return list, nil
}

// present is one row of a variables pane. It gives the row a handle if it has
// children.
func (x *viewer) present(v *proc.Variable, name, expr string) dap.Variable {
	if x.g.Var(name, v.DwarfType) {
		return x.hidden(v, name, expr)
	}
	v = x.load(v, expr)
	x.noteShown(v)
	row := dap.Variable{
		Name:         name,
		Value:        x.text(v),
		Type:         x.typeName(v),
		EvaluateName: expr,

		MemoryReference: memoryReference(v),
	}
	row.VariablesReference, row.IndexedVariables, row.NamedVariables = x.expand(v, expr)
	return row
}

// expand gives v a handle, 0 if it has no children, and counts them.
func (x *viewer) expand(v *proc.Variable, expr string) (ref, indexed, named int) {
	tv, texpr := x.target(v, expr)
	if !isExpandable(tv) || x.g.Type(tv.DwarfType) {
		return 0, 0, 0
	}
	indexed = indexedCount(tv)
	if indexed > 0 && isText(tv) {
		named = 1
	}
	n := &node{frame: x.f, v: tv, expr: texpr, plain: x.plain}
	n.extra, n.instead = x.extra(v)
	return x.h.addNode(n), indexed, named
}

// rawRow is the last of the rows that are shown instead of the fields of n: it
// opens into the fields.
func (x *viewer) rawRow(n *node) dap.Variable {
	raw := *n
	raw.extra, raw.instead, raw.plain = nil, false, true
	expr := ""
	if n.expr != "" {
		expr = n.expr + ",raw" // see cutRaw
	}
	return dap.Variable{
		Name: "(raw)", Value: shortType(api.PrettyTypeName(n.v.DwarfType)), EvaluateName: expr,
		VariablesReference: x.h.addNode(&raw),
	}
}

// named lists the children of n that have names.
func (x *viewer) named(n *node) []dap.Variable {
	v := n.v
	var list []dap.Variable
	switch v.Kind {
	case reflect.Slice, reflect.Array:
		if isText(v) {
			list = append(list, x.asString(v))
		}
	case reflect.Map:
	case reflect.Complex64, reflect.Complex128:
		list = complexParts(v)
	case reflect.Pointer:
		expr := ""
		if n.expr != "" {
			expr = "(*" + n.expr + ")" // every expr here is a primary expression
		}
		list = append(list, x.present(&v.Children[0], "*", expr))
	default:
		for i := range v.Children {
			field := &v.Children[i]
			expr := ""
			if n.expr != "" && v.Kind == reflect.Struct {
				expr = n.expr + "." + field.Name
			}
			if x.hidesField(v, field) {
				list = append(list, x.hidden(field, field.Name, expr))
				continue
			}
			list = append(list, x.present(field, field.Name, expr))
		}
	}
	return list
}

// isText tells []byte, []rune and arrays of them.
func isText(v *proc.Variable) bool {
	if v.Kind != reflect.Slice && v.Kind != reflect.Array || len(v.Children) == 0 {
		return false
	}
	k := elementKind(v)
	return k == reflect.Uint8 || k == reflect.Int32
}

// elementKind is the exact kind of a loaded element. Variable.Kind is not: it
// is Int or Uint for integers of every size.
func elementKind(v *proc.Variable) reflect.Kind {
	if rt := v.Children[0].RealType; rt != nil {
		return rt.Common().ReflectKind
	}
	return reflect.Invalid
}

// asString shows the elements that were read as a string: a request body is
// read easier so.
func (x *viewer) asString(v *proc.Variable) dap.Variable {
	row := dap.Variable{Name: "string()", Type: "string"}
	cfg := firstLook
	cfg.MaxArrayValues = firstLook.MaxStringLen
	whole, err := v.LoadResliced(0, cfg)
	if err != nil {
		row.Value = unreadable(err)
		return row
	}
	bytes := elementKind(v) == reflect.Uint8
	var b strings.Builder
	for i := range whole.Children {
		n, ok := intValue(&whole.Children[i])
		switch {
		case !ok:
			continue
		case bytes:
			b.WriteByte(byte(n))
		default:
			b.WriteRune(rune(n))
		}
	}
	row.Value = fmt.Sprintf("%q", b.String())
	if more := v.Len - int64(len(whole.Children)); more > 0 {
		row.Value += fmt.Sprintf("... (%d elements, %d more)", v.Len, more)
	}
	return row
}
