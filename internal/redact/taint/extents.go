package taint

import (
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
)

// maxExtents bounds what is remembered of one stop. What is beyond is not
// readable as memory, only as variables.
const maxExtents = 1 << 16

// Extents is the memory that a client was shown as variables that are no
// secrets. A nil one is none.
type Extents struct {
	list  []extent // sorted when asked for
	dirty bool
	typed map[place]bool
}

type extent struct{ start, end uint64 }

// place is a value: the same memory with another type is another one.
type place struct {
	addr uint64
	name string
}

// Add notes that a value of type t at addr was shown: all of it but the fields
// that are secrets.
func (e *Extents) Add(g *Guard, t godwarf.Type, addr uint64) {
	if e == nil || t == nil || addr == 0 || len(e.list) > maxExtents {
		return
	}
	if e.typed == nil {
		e.typed = make(map[place]bool)
	}
	e.typed[place{addr, typeKey(t)}] = true
	e.add(g, t, addr, 0)
}

// typeKey names a type, whichever of its names it was found by.
func typeKey(t godwarf.Type) string {
	r := Resolved(t)
	if st, ok := r.(*godwarf.StructType); ok && st.StructName != "" {
		return st.StructName
	}
	if r == nil {
		r = t
	}
	return r.String()
}

func (e *Extents) add(g *Guard, t godwarf.Type, addr uint64, depth int) {
	if depth > 8 || t == nil || g.Type(t) {
		return
	}
	switch u := Resolved(t).(type) {
	case *godwarf.StructType:
		for _, f := range u.Field {
			if !g.Field(u.StructName, f.Name, f.Type) {
				e.add(g, f.Type, addr+uint64(f.ByteOffset), depth+1)
			}
		}
	case *godwarf.ArrayType:
		if resolvedStruct(u.Type) == nil {
			e.AddRange(addr, uint64(max(t.Size(), 0)))
			return
		}
		for i := range min(u.Count, 256) {
			e.add(g, u.Type, addr+uint64(i*u.Type.Size()), depth+1)
		}
	case nil:
	default:
		e.AddRange(addr, uint64(max(t.Size(), 0)))
	}
}

func resolvedStruct(t godwarf.Type) *godwarf.StructType {
	st, _ := Resolved(t).(*godwarf.StructType)
	return st
}

// AddRange notes that size bytes at addr were shown.
func (e *Extents) AddRange(addr, size uint64) {
	if e == nil || size == 0 || addr == 0 || addr+size < addr || len(e.list) > maxExtents {
		return
	}
	e.list = append(e.list, extent{addr, addr + size})
	e.dirty = true
}

// AddElements notes that the n values of type elem at base were shown.
func (e *Extents) AddElements(g *Guard, elem godwarf.Type, base uint64, n int64) {
	if e == nil || elem == nil || n <= 0 || g.Type(elem) {
		return
	}
	if resolvedStruct(elem) == nil {
		if size := elem.Size(); size > 0 && n < 1<<40/size {
			e.AddRange(base, uint64(n*size))
		}
		return
	}
	for i := range min(n, 256) {
		e.Add(g, elem, base+uint64(i*elem.Size()))
	}
}

func (e *Extents) settle() {
	if !e.dirty {
		return
	}
	e.dirty = false
	slices.SortFunc(e.list, func(a, b extent) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	out := e.list[:1]
	for _, x := range e.list[1:] {
		if last := &out[len(out)-1]; x.start <= last.end {
			last.end = max(last.end, x.end)
			continue
		}
		out = append(out, x)
	}
	e.list = out
}

// Prefix is how many of the n bytes at addr were shown, up to the first that was
// not.
func (e *Extents) Prefix(addr, n uint64) uint64 {
	if e == nil || len(e.list) == 0 {
		return 0
	}
	e.settle()
	i, found := slices.BinarySearchFunc(e.list, addr, func(x extent, a uint64) int {
		switch {
		case x.end <= a:
			return -1
		case x.start > a:
			return 1
		}
		return 0
	})
	if !found {
		return 0
	}
	return min(n, e.list[i].end-addr)
}

// Has tells whether all of the n bytes at addr were shown.
func (e *Extents) Has(addr, n uint64) bool { return n > 0 && e.Prefix(addr, n) == n }

// Same tells whether a value of type t at addr was shown.
func (e *Extents) Same(t godwarf.Type, addr uint64) bool {
	return e != nil && t != nil && e.typed[place{addr, typeKey(t)}]
}

// Resolved follows typedefs, a bounded way.
func Resolved(t godwarf.Type) godwarf.Type {
	for range 16 {
		switch u := t.(type) {
		case *godwarf.TypedefType:
			t = u.Type
		case *godwarf.QualType:
			t = u.Type
		default:
			return t
		}
	}
	return nil
}
