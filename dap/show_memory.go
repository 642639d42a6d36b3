//go:build linux && amd64

package dap

import (
	bin "encoding/binary"
	"fmt"
	"go/constant"
	"reflect"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// A shower may read that much of the service's memory for one answer. What it
// reads was written by a program that may be wrong: lengths lie, lists are
// rings. Beyond it values look as Delve shows them.
const (
	maxReads     = 4096
	maxReadBytes = 2 << 20
)

// val is a value in the service for a shower to look at: an address and a type,
// or what Delve read where there is no address (in registers).
//
// Showers do not ask Delve to load what they need: that costs a look at the
// debug information each time, and loads all of a struct for one field of it. A
// val that is not what its reader expects yields zeros, and ok answers false.
type val struct {
	x    *viewer
	t    godwarf.Type
	addr uint64
	v    *proc.Variable
}

// userMemory bounds addresses of the service (arch/x86/include/asm/page_64_types.h,
// TASK_SIZE_MAX). Delve invents others for what is in registers.
const userMemory = 1 << 47

func isReal(addr uint64) bool { return addr != 0 && addr < userMemory }

// of makes a val of what Delve read.
func (x *viewer) of(v *proc.Variable) val {
	if v == nil || v.Unreadable != nil || v.DwarfType == nil {
		return val{}
	}
	if isReal(v.Addr) && v.Flags&proc.VariableFakeAddress == 0 {
		return val{x: x, t: v.DwarfType, addr: v.Addr}
	}
	return val{x: x, t: v.DwarfType, v: v}
}

func (v val) ok() bool { return v.t != nil && (v.addr != 0 || v.v != nil) }

// real is the type without names, nil if there is none.
func (v val) real() godwarf.Type {
	if v.t == nil {
		return nil
	}
	return taint.Resolved(v.t)
}

// typeName is the full name of the type, as in the debug information.
func (v val) typeName() string {
	if v.t == nil {
		return ""
	}
	return api.PrettyTypeName(v.t)
}

// read fills buf from addr. It answers false if the memory is not there or too
// much was read for this answer.
func (x *viewer) read(buf []byte, addr uint64) bool {
	if !isReal(addr) || !isReal(addr+uint64(len(buf))) || x.reads >= maxReads || x.readBytes+len(buf) > maxReadBytes {
		return false
	}
	x.reads++
	x.readBytes += len(buf)
	n, err := x.scope.Mem.ReadMemory(buf, addr)
	return err == nil && n == len(buf)
}

func (x *viewer) word(addr uint64) (uint64, bool) {
	var buf [8]byte
	ok := x.read(buf[:], addr)
	return bin.LittleEndian.Uint64(buf[:]), ok
}

// field is a field of a struct by its name.
func (v val) field(name string) val {
	if v.v != nil {
		for i := range v.v.Children {
			if v.v.Children[i].Name == name {
				return v.x.of(&v.v.Children[i])
			}
		}
		return val{}
	}
	st, ok := v.real().(*godwarf.StructType)
	if !ok {
		return val{}
	}
	for _, f := range st.Field {
		if f.Name == name {
			return val{x: v.x, t: f.Type, addr: v.addr + uint64(f.ByteOffset)}
		}
	}
	return val{}
}

// path is field for several names in a row; pointers are followed.
func (v val) path(names ...string) val {
	for _, name := range names {
		if _, isPtr := v.real().(*godwarf.PtrType); isPtr {
			v = v.deref()
		}
		v = v.field(name)
	}
	return v
}

// pointer is the address that a pointer holds.
func (v val) pointer() (uint64, bool) {
	switch {
	case v.v != nil:
		if len(v.v.Children) == 1 {
			return v.v.Children[0].Addr, true
		}
		return 0, false
	case v.addr == 0:
		return 0, false
	}
	return v.x.word(v.addr)
}

// deref is what a pointer points to.
func (v val) deref() val {
	pt, ok := v.real().(*godwarf.PtrType)
	if !ok {
		return val{}
	}
	p, ok := v.pointer()
	if !ok || !isReal(p) {
		return val{}
	}
	return val{x: v.x, t: pt.Type, addr: p}
}

// isNil tells pointers and interfaces that are nil; what cannot be read is not.
func (v val) isNil() bool {
	switch v.real().(type) {
	case *godwarf.PtrType:
		p, ok := v.pointer()
		return ok && p == 0
	case *godwarf.InterfaceType:
		if v.v != nil {
			return len(v.v.Children) == 0 || v.v.Children[0].Addr == 0
		}
		w, ok := v.x.word(v.addr)
		return ok && w == 0
	}
	return false
}

// uint is an integer, a bool or a pointer as a number, without a sign.
func (v val) uint() (uint64, bool) {
	if v.v != nil {
		if v.v.Value == nil {
			return 0, false
		}
		switch v.v.Value.Kind() {
		case constant.Int:
			if n, ok := constant.Uint64Val(v.v.Value); ok {
				return n, true
			}
			n, ok := constant.Int64Val(v.v.Value)
			return uint64(n), ok
		case constant.Bool:
			if constant.BoolVal(v.v.Value) {
				return 1, true
			}
			return 0, true
		}
		return 0, false
	}
	if v.t == nil {
		return 0, false
	}
	size := v.t.Size()
	if size < 1 || size > 8 {
		return 0, false
	}
	var buf [8]byte
	ok := v.x.read(buf[:size], v.addr)
	return bin.LittleEndian.Uint64(buf[:]), ok
}

// int is an integer with a sign.
func (v val) int() (int64, bool) {
	n, ok := v.uint()
	if !ok || v.v != nil {
		return int64(n), ok
	}
	shift := 64 - 8*v.t.Size()
	return int64(n<<shift) >> shift, true
}

// str is a string of at most most bytes, and how many it has.
func (v val) str(most int) (s string, n int64, ok bool) {
	if v.v != nil {
		if v.v.Kind != reflect.String || v.v.Value == nil {
			return "", v.v.Len, v.v.Kind == reflect.String && v.v.Len == 0
		}
		s = constant.StringVal(v.v.Value)
		return s[:min(len(s), most)], v.v.Len, true
	}
	if _, isString := v.real().(*godwarf.StringType); !isString {
		return "", 0, false
	}
	b, n, ok := v.x.bytesAt(v.addr, most)
	return string(b), n, ok
}

// bytesAt reads what a string or slice header at addr describes.
func (x *viewer) bytesAt(addr uint64, most int) (b []byte, n int64, ok bool) {
	var head [16]byte
	if !x.read(head[:], addr) {
		return nil, 0, false
	}
	p, n := bin.LittleEndian.Uint64(head[:]), int64(bin.LittleEndian.Uint64(head[8:]))
	if n == 0 {
		return nil, 0, true
	}
	if n < 0 || n > 1<<40 {
		return nil, 0, false
	}
	b = make([]byte, min(n, int64(most)))
	return b, n, x.read(b, p)
}

// bytes is a []byte, or the bytes of a [n]byte, of at most most elements.
func (v val) bytes(most int) (b []byte, n int64, ok bool) {
	switch t := v.real().(type) {
	case *godwarf.SliceType:
		if t.ElemType == nil || t.ElemType.Size() != 1 {
			return nil, 0, false
		}
		if v.v != nil {
			if v.v.Len == 0 {
				return nil, 0, true
			}
			b = make([]byte, max(0, min(v.v.Len, int64(most))))
			return b, v.v.Len, v.x.read(b, v.v.Base)
		}
		return v.x.bytesAt(v.addr, most)
	case *godwarf.ArrayType:
		if t.Type == nil || t.Type.Size() != 1 || v.addr == 0 || t.Count < 0 {
			return nil, 0, false
		}
		b = make([]byte, min(t.Count, int64(most)))
		return b, t.Count, v.x.read(b, v.addr)
	}
	return nil, 0, false
}

// elems are the elements of a slice, at most most of them, and how many it has.
func (v val) elems(most int) (list []val, n int64) {
	t, ok := v.real().(*godwarf.SliceType)
	if !ok || t.ElemType == nil {
		return nil, 0
	}
	var base uint64
	if v.v != nil {
		base, n = v.v.Base, v.v.Len
	} else {
		var head [16]byte
		if !v.x.read(head[:], v.addr) {
			return nil, 0
		}
		base, n = bin.LittleEndian.Uint64(head[:]), int64(bin.LittleEndian.Uint64(head[8:]))
	}
	size := uint64(t.ElemType.Size())
	if n < 0 || n > 1<<40 || !isReal(base) {
		return nil, 0
	}
	for i := range uint64(min(n, int64(most))) {
		list = append(list, val{x: v.x, t: t.ElemType, addr: base + i*size})
	}
	return list, n
}

// dynType is what an interface with a certain first word holds.
type dynType struct {
	t      godwarf.Type
	inside bool // the interface's second word is the value; otherwise it points to it
}

// dynamic is what an interface holds; not ok if it is nil or cannot be told.
func (v val) dynamic() val {
	it, ok := v.real().(*godwarf.InterfaceType)
	if !ok {
		return val{}
	}
	if v.v != nil {
		if len(v.v.Children) == 1 && v.v.Children[0].Addr != 0 {
			return v.x.of(&v.v.Children[0])
		}
		return val{}
	}
	w, ok := v.x.word(v.addr)
	if !ok || !isReal(w) {
		return val{}
	}
	// An itab or a type stays where it is for the life of the process, and so
	// does what it stands for.
	d, known := v.x.types[w]
	if !known {
		d = v.x.resolveDynamic(it, v.addr)
		if len(v.x.types) > 4096 {
			clear(v.x.types) // a service that makes types up all the time
		}
		v.x.types[w] = d
	}
	switch {
	case d.t == nil:
		return val{}
	case d.inside:
		return val{x: v.x, t: d.t, addr: v.addr + 8}
	}
	p, ok := v.x.word(v.addr + 8)
	if !ok || !isReal(p) {
		return val{}
	}
	return val{x: v.x, t: d.t, addr: p}
}

// resolveDynamic asks Delve, which maps runtime types to debug information.
func (x *viewer) resolveDynamic(it *godwarf.InterfaceType, addr uint64) dynType {
	at := fmt.Sprintf("*(*%q)(%#x)", api.PrettyTypeName(it), addr)
	v, err := x.scope.EvalExpression(at, proc.LoadConfig{MaxStructFields: 0})
	if err != nil || v.Unreadable != nil || v.Kind != reflect.Interface || len(v.Children) != 1 {
		return dynType{}
	}
	child := &v.Children[0]
	if child.DwarfType == nil || child.Addr == 0 {
		return dynType{}
	}
	return dynType{child.DwarfType, child.Addr == addr+8}
}
