//go:build linux && amd64

package invoke

import (
	"fmt"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"

	"github.com/remotedbg/remotedbg/internal/live"
)

// part is one word of a value, as it is assigned to a register.
type part struct {
	off, size int64
	float     bool
	ptr       bool
}

// place is where an argument or result is passed: in registers, one for each
// part, or on the stack.
type place struct {
	typ   godwarf.Type
	parts []part
	regs  []int // nil: on the stack
	stack int64 // offset there
}

// frame is how a function is called.
type frame struct {
	args, results []place
	stack         int64 // bytes of stack arguments and results
	width         int64 // with the room for spilled register arguments, as the compiler counts it
}

// assign follows cmd/compile/abi-internal.md, "Function call argument and result
// passing".
func assign(args, results []godwarf.Type) (frame, error) {
	var f frame
	spill := int64(0)
	for i, list := range [][]godwarf.Type{args, results} {
		ints, floats := 0, 0
		for _, t := range list {
			p := place{typ: t}
			regs, ok := []int(nil), false
			if t.Size() > 0 {
				var err error
				if p.parts, ok, err = parts(t, 0, nil); err != nil {
					return f, err
				}
			}
			if ok {
				regs, ok = take(p.parts, &ints, &floats)
			}
			switch {
			case ok:
				p.regs = regs
				if i == 0 {
					spill = align(spill, alignOf(t)) + t.Size()
				}
			default:
				f.stack = align(f.stack, alignOf(t))
				p.stack = f.stack
				f.stack += t.Size()
			}
			if i == 0 {
				f.args = append(f.args, p)
			} else {
				f.results = append(f.results, p)
			}
		}
		f.stack = align(f.stack, 8)
	}
	f.width = f.stack + align(spill, 8)
	return f, nil
}

// LastResult says where a function leaves the last of its results: in registers
// from number reg on, as the ABI counts them, or, with reg -1, on the stack, stack
// bytes from where the frame of its caller begins. What is left out of args matters
// for the latter only.
func LastResult(args, results []godwarf.Type) (reg int, stack int64, err error) {
	f, err := assign(args, results)
	if err != nil || len(results) == 0 {
		return 0, 0, err
	}
	last := f.results[len(results)-1]
	if len(last.regs) == 0 {
		return -1, last.stack, nil
	}
	return last.regs[0], 0, nil
}

// take assigns parts to registers; not ok if there are not enough, and then none
// is used up.
func take(parts []part, ints, floats *int) (regs []int, ok bool) {
	i, f := *ints, *floats
	regs = []int{}
	for _, p := range parts {
		if p.float {
			regs = append(regs, f)
			f++
		} else {
			regs = append(regs, i)
			i++
		}
	}
	if i > live.IntRegisters || f > live.FloatRegisters {
		return nil, false
	}
	*ints, *floats = i, f
	return regs, true
}

// alignOf is the type's alignment: godwarf takes a complex number for one big
// word.
func alignOf(t godwarf.Type) int64 {
	if c, ok := godwarf.ResolveTypedef(t).(*godwarf.ComplexType); ok {
		return c.Size() / 2
	}
	return min(t.Align(), 8)
}

func align(n, to int64) int64 {
	if to <= 1 {
		return n
	}
	return (n + to - 1) / to * to
}

// parts breaks a type down into words. not ok: an array keeps it out of
// registers.
func parts(t godwarf.Type, off int64, list []part) (_ []part, ok bool, err error) {
	const most = 64 // more than there are registers
	if len(list) > most {
		return list, false, nil
	}
	word := func(at int64, ptr bool) { list = append(list, part{off: off + at, size: 8, ptr: ptr}) }
	switch t := godwarf.ResolveTypedef(t).(type) {
	case *godwarf.BoolType, *godwarf.CharType, *godwarf.UcharType, *godwarf.IntType, *godwarf.UintType, *godwarf.AddrType, *godwarf.EnumType:
		return append(list, part{off: off, size: t.Size()}), true, nil
	case *godwarf.FloatType:
		return append(list, part{off: off, size: t.Size(), float: true}), true, nil
	case *godwarf.ComplexType:
		half := t.Size() / 2
		return append(list, part{off: off, size: half, float: true}, part{off: off + half, size: half, float: true}), true, nil
	case *godwarf.PtrType, *godwarf.MapType, *godwarf.ChanType, *godwarf.FuncType:
		word(0, true)
	case *godwarf.StringType:
		word(0, true)
		word(8, false)
	case *godwarf.InterfaceType:
		word(0, true)
		word(8, true)
	case *godwarf.SliceType:
		word(0, true)
		word(8, false)
		word(16, false)
	case *godwarf.StructType:
		for _, f := range t.Field {
			if list, ok, err = parts(f.Type, off+f.ByteOffset, list); err != nil || !ok {
				return list, ok, err
			}
		}
	case *godwarf.ArrayType:
		switch {
		case t.Count == 0:
		case t.Count == 1:
			return parts(t.Type, off, list)
		default:
			return list, false, nil
		}
	default:
		return list, false, fmt.Errorf("values of type %s cannot be passed", t)
	}
	return list, true, nil
}

// pointers lists where in a value of type t pointers are, and gives up beyond
// limit.
func pointers(t godwarf.Type, off int64, list []int64, limit int) ([]int64, error) {
	if len(list) > limit {
		return list, fmt.Errorf("it holds more than %d pointers", limit)
	}
	var err error
	switch t := godwarf.ResolveTypedef(t).(type) {
	case *godwarf.StructType:
		for _, f := range t.Field {
			if list, err = pointers(f.Type, off+f.ByteOffset, list, limit); err != nil {
				return list, err
			}
		}
	case *godwarf.ArrayType:
		for i := range t.Count {
			before := len(list)
			if list, err = pointers(t.Type, off+i*t.Type.Size(), list, limit); err != nil {
				return list, err
			}
			if len(list) == before {
				break // none in any element
			}
		}
	default:
		words, _, err := parts(t, off, nil)
		if err != nil {
			return list, err
		}
		for _, w := range words {
			if w.ptr {
				list = append(list, w.off)
			}
		}
	}
	return list, nil
}
