package taint

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/go-delve/delve/pkg/astutil"
	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
)

// Tag is the struct tag that hides a field.
const Tag = `remotedbg:"-"`

// tags are the fields with the tag. The debug information has no tags, the
// runtime's own type data has: it is read once, from the process.
//
// A type has such data if the program makes an interface of it or allocates it,
// alone or as a part of another one. Of what is on the stack only there is none.
type tags struct{ found atomic.Pointer[tagged] }

type tagged struct {
	fields map[string]map[string]bool // struct type, as in the debug information: field
	names  map[string]bool            // of all fields
}

// hidden tells whether a field is tagged. Types without a name are written with
// their tags, in the runtime as in the debug information.
func (ts *tags) hidden(structName, field string) bool {
	t := ts.found.Load()
	if t == nil || !t.names[field] {
		return false
	}
	if strings.HasPrefix(structName, "struct {") {
		return true // which of those without a name it is cannot be told
	}
	return t.fields[structName][field]
}

func (ts *tags) any() bool {
	t := ts.found.Load()
	return t != nil && len(t.names) > 0
}

// Bounds of what is read of the runtime's types.
const (
	maxTypeData = 256 << 20
	maxTypes    = 1 << 20
)

// The layout of internal/abi.Type and its relatives, which has been the same since
// Go 1.18 (internal/abi/type.go). 64-bit.
const (
	abiFlag, abiKind, abiStr = 20, 23, 40
	abiSize                  = 48
	abiFields                = abiSize + 8
	abiStructSize            = abiSize + 8 + 24
	abiFieldSize             = 24
	flagUncommon, flagStar   = 1, 2
	kindMask                 = 31
)

// typeData is the runtime's types, as bytes.
type typeData struct {
	base  uint64
	bytes []byte
	seen  map[uint64]bool
	queue []uint64
	out   *tagged
}

// load reads the tags.
func (ts *tags) load(scope *proc.EvalScope, mem *Memory) error {
	word := func(name string) (uint64, error) {
		v, err := scope.EvalExpression("runtime.firstmoduledata."+name, addressOnly)
		if err == nil && v.Unreadable != nil {
			err = v.Unreadable
		}
		if err != nil {
			return 0, fmt.Errorf("read the runtime's types: %w", err)
		}
		if v.Kind == reflect.Slice {
			return v.Base, nil
		}
		if v.Value == nil {
			return 0, fmt.Errorf("read the runtime's types: %s has no value", name)
		}
		n, _ := constant.Uint64Val(v.Value)
		return n, nil
	}
	types, err := word("types")
	if err != nil {
		return err
	}
	end, err := word("etypes")
	if err != nil {
		return err
	}
	links, err := scope.EvalExpression("runtime.firstmoduledata.typelinks", addressOnly)
	if err != nil || links.Unreadable != nil || links.Len < 0 || links.Len > maxTypes || end <= types || end-types > maxTypeData {
		return fmt.Errorf("read the runtime's types: their table is not what is expected: %w", err)
	}
	d := &typeData{base: types, bytes: make([]byte, end-types), seen: make(map[uint64]bool),
		out: &tagged{fields: make(map[string]map[string]bool), names: make(map[string]bool)}}
	if _, err := mem.raw.ReadMemory(d.bytes, types); err != nil {
		return err
	}
	offsets := make([]byte, 4*links.Len)
	if _, err := mem.raw.ReadMemory(offsets, links.Base); err != nil {
		return err
	}
	for i := 0; i < len(offsets); i += 4 {
		d.push(types + uint64(binary.LittleEndian.Uint32(offsets[i:])))
	}
	for len(d.queue) > 0 && len(d.seen) <= maxTypes {
		at := d.queue[len(d.queue)-1]
		d.queue = d.queue[:len(d.queue)-1]
		d.visit(at)
	}
	ts.found.Store(d.out)
	return nil
}

func (d *typeData) push(at uint64) {
	if at > d.base && at < d.base+uint64(len(d.bytes)) && !d.seen[at] {
		d.seen[at] = true
		d.queue = append(d.queue, at)
	}
}

// slice is n bytes at an address of the process, nil if they are not there.
func (d *typeData) slice(at, n uint64) []byte {
	if at < d.base || at-d.base > uint64(len(d.bytes)) || n > uint64(len(d.bytes))-(at-d.base) {
		return nil
	}
	return d.bytes[at-d.base:][:n]
}

func (d *typeData) word(at uint64) uint64 {
	if b := d.slice(at, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *typeData) visit(at uint64) {
	head := d.slice(at, abiSize)
	if head == nil {
		return
	}
	switch reflect.Kind(head[abiKind] & kindMask) {
	case reflect.Array, reflect.Chan, reflect.Pointer, reflect.Slice:
		d.push(d.word(at + abiSize))
	case reflect.Map:
		d.push(d.word(at + abiSize))
		d.push(d.word(at + abiSize + 8))
	case reflect.Struct:
		d.structType(at, head)
	}
}

// structType notes the tagged fields of one.
func (d *typeData) structType(at uint64, head []byte) {
	fields, n := d.word(at+abiFields), d.word(at+abiFields+8)
	if n > 1<<16 {
		return
	}
	var hidden []string
	for i := range n {
		f := fields + i*abiFieldSize
		d.push(d.word(f + 8))
		name, tag := d.name(d.word(f))
		if strings.Contains(tag, Tag) && reflect.StructTag(tag).Get("remotedbg") == "-" {
			hidden = append(hidden, name)
			d.out.names[name] = true
		}
	}
	if len(hidden) == 0 {
		return
	}
	own, _ := d.name(d.base + uint64(binary.LittleEndian.Uint32(head[abiStr:])))
	if head[abiFlag]&flagStar != 0 {
		own = strings.TrimPrefix(own, "*")
	}
	if head[abiFlag]&flagUncommon != 0 {
		if b := d.slice(at+abiStructSize, 4); b != nil {
			if pkg, _ := d.name(d.base + uint64(binary.LittleEndian.Uint32(b))); pkg != "" {
				_, after, _ := strings.Cut(own, ".")
				own = pkg + "." + after
			}
		}
	}
	if d.out.fields[own] == nil {
		d.out.fields[own] = make(map[string]bool)
	}
	for _, h := range hidden {
		d.out.fields[own][h] = true
	}
}

// name reads an abi.Name: flags, a length, the text, and perhaps the same for the
// tag.
func (d *typeData) name(at uint64) (name, tag string) {
	flags := d.slice(at, 1)
	if flags == nil {
		return "", ""
	}
	name, next := d.text(at + 1)
	if flags[0]&2 != 0 {
		tag, _ = d.text(next)
	}
	return name, tag
}

func (d *typeData) text(at uint64) (s string, next uint64) {
	head := d.slice(at, min(4, d.base+uint64(len(d.bytes))-min(at, d.base+uint64(len(d.bytes)))))
	n, used := binary.Uvarint(head)
	if used <= 0 || n > 1<<16 {
		return "", at
	}
	return string(d.slice(at+uint64(used), n)), at + uint64(used) + n
}

// tagInside tells whether an expression selects a tagged field.
func (g *Guard) tagInside(scope *proc.EvalScope, expr string) bool {
	t := g.shared.tags.found.Load()
	if t == nil || len(t.names) == 0 {
		return false
	}
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return false
	}
	found := false
	ast.Inspect(tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if ok && !found && t.names[sel.Sel.Name] {
			found = g.selectsTagged(scope, sel)
		}
		return !found
	})
	return found
}

// selectsAny tells whether an expression selects a field with one of the names.
func selectsAny(expr string, names map[string]bool) (found bool) {
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return false
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && names[sel.Sel.Name] {
			found = true
		}
		return !found
	})
	return found
}

// selectsTagged asks for the type that a field is selected of. What cannot be
// told counts as tagged: the field may be promoted from a struct inside.
func (g *Guard) selectsTagged(scope *proc.EvalScope, sel *ast.SelectorExpr) bool {
	v, err := scope.EvalExpression(astutil.ExprToString(sel.X), addressOnly)
	if err != nil || v.RealType == nil {
		return true
	}
	t := v.RealType
	for range 3 {
		if p, ok := Resolved(t).(*godwarf.PtrType); ok {
			t = p.Type
		}
	}
	st := resolvedStruct(t)
	if st == nil {
		return true
	}
	for _, f := range st.Field {
		if f.Name == sel.Sel.Name {
			return g.Tagged(st.StructName, f.Name)
		}
	}
	return true
}
