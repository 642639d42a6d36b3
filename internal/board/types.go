//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
)

// debugInfo reads what the layout needs of the debug information: entries and
// types, neither lines nor the places of variables, which are the larger half of
// what [elf.File.DWARF] unpacks.
func debugInfo(f *elf.File) (*dwarf.Data, error) {
	if f.Section(".debug_info") == nil {
		return f.DWARF() // packed as before Go 1.19, or not there
	}
	section := func(name string) []byte {
		s := f.Section(".debug_" + name)
		if s == nil {
			return nil
		}
		data, err := unpacked(s)
		if err != nil {
			return nil // as if it were not there: what needs it says so
		}
		return data
	}
	d, err := dwarf.New(section("abbrev"), nil, nil, section("info"), nil, nil, nil, section("str"))
	if err != nil {
		return nil, err
	}
	// What entries of DWARF 5 refer to.
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		if data := section(name); data != nil {
			if err := d.AddSection(".debug_"+name, data); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// unpacked is the section's data, read into memory of its size at once:
// [elf.Section.Data] grows it in steps, which copies large ones several times.
func unpacked(s *elf.Section) ([]byte, error) {
	const implausible = 4 << 30 // the size is the file's claim
	if s.Size > implausible {
		return s.Data()
	}
	data := make([]byte, s.Size)
	_, err := io.ReadFull(s.Open(), data)
	return data, err
}

// ReadLayout reads the types of the board from DWARF, so that agent and service
// may be built from different versions of the gate, and those of the runtime.
// typeNamed finds the entry of a struct type by its name; nil: ReadLayout looks
// for it itself.
func (img *Image) ReadLayout(rd *dwarf.Reader, typeNamed func(name string) (off dwarf.Offset, ok bool)) error {
	at, err := entries(rd, typeNamed == nil)
	if err != nil {
		return err
	}
	if typeNamed != nil {
		for _, name := range runtimeTypes {
			if off, ok := typeNamed(name); ok {
				at[name] = off
			}
		}
	}
	r := typeReader{rd}
	if img.boardType, err = r.elementType(at, theBoard); err != nil {
		return err
	}
	if img.journalType, err = r.elementType(at, journals); err != nil {
		return err
	}
	types := make(map[string]*dwarf.StructType)
	for _, name := range runtimeTypes {
		if off, ok := at[name]; ok {
			if types[name], err = r.members(off); err != nil {
				return err
			}
		}
	}
	var gs GoroutineLayout
	img.Runtime, gs, err = newRuntimeLayout(types)
	gs.AllGs, gs.Reasons = img.Goroutines.AllGs, img.Goroutines.Reasons
	img.Goroutines = gs
	return err
}

// entries finds the types of the board's variables, by the variable's name, and
// if ofRuntime those of the runtime, by their own.
func entries(rd *dwarf.Reader, ofRuntime bool) (map[string]dwarf.Offset, error) {
	at := make(map[string]dwarf.Offset)
	want := 2
	if ofRuntime {
		want += len(runtimeTypes)
	}
	empty := true
	for len(at) < want {
		e, err := rd.Next()
		if err != nil {
			return nil, fmt.Errorf("read DWARF: %w", err)
		}
		if e == nil {
			break
		}
		empty = false
		name, _ := e.Val(dwarf.AttrName).(string)
		switch {
		case e.Tag == dwarf.TagCompileUnit:
			if name == gatePackage || name == "runtime" && ofRuntime {
				continue
			}
		case e.Tag == dwarf.TagVariable && (name == theBoard || name == journals):
			off, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
			if !ok {
				return nil, errors.New("read DWARF: the board has no type")
			}
			at[name] = off
		case e.Tag == dwarf.TagStructType && ofRuntime && slices.Contains(runtimeTypes, name):
			at[name] = e.Offset
		}
		rd.SkipChildren()
	}
	if empty {
		return nil, fmt.Errorf("%w: no DWARF", ErrStripped)
	}
	return at, nil
}

// typeReader reads types as far as a layout needs them. [dwarf.Data.Type] would
// also read what their pointers lead to, which is most of the runtime, and needs
// more than a Reader.
type typeReader struct{ rd *dwarf.Reader }

// elementType is the type of a variable of the gate, or of its elements if it is
// an array.
func (r typeReader) elementType(at map[string]dwarf.Offset, variable string) (*dwarf.StructType, error) {
	off, ok := at[variable]
	if !ok {
		return nil, ErrNoGate
	}
	t, err := r.read(off, 0)
	if err != nil {
		return nil, fmt.Errorf("read DWARF: type of the board: %w", err)
	}
	if at, ok := t.(*dwarf.ArrayType); ok {
		t = at.Type
	}
	st, ok := t.(*dwarf.StructType)
	if !ok {
		return nil, fmt.Errorf("read DWARF: the board is a %T", t)
	}
	return st, nil
}

// deepest bounds how types lie in types. The board's go down four levels.
const deepest = 16

// read reads the type at off: structs and arrays of them as they are, of others
// only the size. Names for a type are left out.
func (r typeReader) read(off dwarf.Offset, depth int) (dwarf.Type, error) {
	if depth > deepest {
		return nil, errors.New("a type lies in itself")
	}
	r.rd.Seek(off)
	e, err := r.rd.Next()
	if err != nil || e == nil {
		return nil, errors.Join(err, fmt.Errorf("no type at %#x", off))
	}
	size, _ := e.Val(dwarf.AttrByteSize).(int64)
	elem, hasElem := e.Val(dwarf.AttrType).(dwarf.Offset)
	switch {
	case e.Tag == dwarf.TagTypedef && hasElem:
		return r.read(elem, depth+1)
	case e.Tag == dwarf.TagStructType:
		st, offsets, err := r.structAt(e)
		for i := 0; err == nil && i < len(offsets); i++ {
			st.Field[i].Type, err = r.read(offsets[i], depth+1)
		}
		return st, err
	case e.Tag == dwarf.TagArrayType && hasElem:
		array := &dwarf.ArrayType{CommonType: dwarf.CommonType{ByteSize: size}}
		if array.Count, err = r.count(e); err == nil {
			array.Type, err = r.read(elem, depth+1)
		}
		return array, err
	}
	return &dwarf.UnsupportedType{CommonType: dwarf.CommonType{ByteSize: size}, Tag: e.Tag}, nil
}

// members reads the struct at off without the types of its fields.
func (r typeReader) members(off dwarf.Offset) (*dwarf.StructType, error) {
	r.rd.Seek(off)
	e, err := r.rd.Next()
	if err != nil || e == nil {
		return nil, fmt.Errorf("read DWARF: %w", errors.Join(err, fmt.Errorf("no type at %#x", off)))
	}
	st, _, err := r.structAt(e)
	return st, err
}

// structAt reads the struct of e, which r has just read, and where the types of
// its fields are.
func (r typeReader) structAt(e *dwarf.Entry) (*dwarf.StructType, []dwarf.Offset, error) {
	st := &dwarf.StructType{Kind: "struct"}
	st.StructName, _ = e.Val(dwarf.AttrName).(string)
	st.ByteSize, _ = e.Val(dwarf.AttrByteSize).(int64)
	var types []dwarf.Offset
	err := r.children(e, func(m *dwarf.Entry) error {
		if m.Tag != dwarf.TagMember {
			return nil
		}
		name, _ := m.Val(dwarf.AttrName).(string)
		at, ok1 := m.Val(dwarf.AttrDataMemberLoc).(int64)
		typ, ok2 := m.Val(dwarf.AttrType).(dwarf.Offset)
		if !ok1 || !ok2 {
			return fmt.Errorf("read DWARF: field %s of %s has no place or no type", name, st.StructName)
		}
		st.Field = append(st.Field, &dwarf.StructField{Name: name, ByteOffset: at})
		types = append(types, typ)
		return nil
	})
	return st, types, err
}

// count is the number of elements of the array of e, which r has just read.
func (r typeReader) count(e *dwarf.Entry) (int64, error) {
	n := int64(-1)
	err := r.children(e, func(bounds *dwarf.Entry) error {
		if c, ok := bounds.Val(dwarf.AttrCount).(int64); ok {
			n = c
		} else if last, ok := bounds.Val(dwarf.AttrUpperBound).(int64); ok {
			n = last + 1
		}
		return nil
	})
	if err == nil && n < 0 {
		err = errors.New("an array without a length")
	}
	return n, err
}

// children calls f with the children of e, which r has just read.
func (r typeReader) children(e *dwarf.Entry, f func(*dwarf.Entry) error) error {
	for e.Children {
		child, err := r.rd.Next()
		if err != nil {
			return fmt.Errorf("read DWARF: %w", err)
		}
		if child == nil || child.Tag == 0 {
			break
		}
		if err := f(child); err != nil {
			return err
		}
		r.rd.SkipChildren()
	}
	return nil
}
