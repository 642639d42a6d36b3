//go:build linux && amd64

package invoke

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/dwarf/op"
	"github.com/go-delve/delve/pkg/proc"
)

// Registers by their DWARF numbers (System V ABI, figure 3.36), in the order of
// Go's ABI: RAX RBX RCX RDI RSI R8 R9 R10 R11, and XMM0 on.
var intNumbers = []uint64{0, 3, 2, 5, 4, 8, 9, 10, 11}

const firstXMM = 17

// params reads the parameters that the debug information has of each function,
// by its entry.
func (b *built) params(t *testing.T) map[uint64]map[string]*dwarf.Entry {
	t.Helper()
	all := make(map[uint64]map[string]*dwarf.Entry)
	r := b.bi.Images[0].DwarfReader()
	names := make(map[dwarf.Offset]string) // of abstract parameters
	type origin struct {
		entry  uint64
		of     dwarf.Offset
		concre *dwarf.Entry
	}
	var later []origin
	var function uint64
	depth, at := 0, 0
	for e, err := r.Next(); e != nil || err != nil; e, err = r.Next() {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Tag {
		case 0:
			depth--
			continue
		case dwarf.TagSubprogram:
			function, _ = e.Val(dwarf.AttrLowpc).(uint64)
			at = depth
		case dwarf.TagFormalParameter:
			name, named := e.Val(dwarf.AttrName).(string)
			if named {
				names[e.Offset] = name
			}
			if isResult, _ := e.Val(dwarf.AttrVarParam).(bool); function == 0 || depth != at+1 || isResult {
				break
			}
			if of, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok && !named {
				later = append(later, origin{function, of, e})
				break
			}
			if all[function] == nil {
				all[function] = make(map[string]*dwarf.Entry)
			}
			all[function][name] = e
		}
		if e.Children {
			depth++
		}
	}
	for _, o := range later {
		if all[o.entry] == nil {
			all[o.entry] = make(map[string]*dwarf.Entry)
		}
		all[o.entry][names[o.of]] = o.concre
	}
	return all
}

// where says in which registers, by their DWARF numbers, or at which place on the
// stack a parameter is when its function is entered; ok is false if the compiler
// does not tell of all of it.
func (b *built) where(fn *proc.Function, e *dwarf.Entry) (regs []uint64, stack int64, ok bool) {
	const cfa = 1 << 40
	at := op.DwarfRegisters{CFA: cfa, FrameBase: cfa}
	addr, pieces, _, err := b.bi.Location(e, dwarf.AttrLocation, fn.Entry, at, nil)
	if err != nil {
		return nil, 0, false
	}
	if len(pieces) == 0 {
		return nil, addr - cfa, addr != 0
	}
	for _, p := range pieces {
		if p.Kind != op.RegPiece {
			return nil, 0, false
		}
		regs = append(regs, p.Val)
	}
	return regs, 0, true
}

// expected is a place as where tells it.
func (p place) expected() (regs []uint64) {
	for i, r := range p.regs {
		if p.parts[i].float {
			regs = append(regs, uint64(firstXMM+r))
		} else {
			regs = append(regs, intNumbers[r])
		}
	}
	return regs
}

// TestAssignAsTheCompiler holds assign against what the compiler has done: for
// every function of a program that can be called, the room that the runtime knows
// its arguments and results to take, and each argument's place at its entry.
func TestAssignAsTheCompiler(t *testing.T) {
	b, e := env(t, "main.work")
	params := b.params(t)
	functions, inRegs, onStack, wide, odd := 0, 0, 0, 0, 0
	refused := make(map[string]int)
	for i := range b.bi.Functions {
		fn := &b.bi.Functions[i]
		if fn.Entry == 0 || params[fn.Entry] == nil {
			continue
		}
		if file, _ := b.bi.EntryLineForFunc(fn); strings.HasSuffix(file, ".s") {
			continue // assembly: ABI0
		}
		sig, err := e.readable(fn)
		if err != nil {
			refused[reason(err)]++
			continue
		}
		if sig.fn != fn {
			continue // made for assembly: ABI0
		}
		functions++
		for k, p := range sig.frame.args {
			entry := params[fn.Entry][sig.names[k]]
			if entry == nil || sig.names[k] == "_" || p.typ.Size() == 0 || strings.HasPrefix(sig.names[k], "~") {
				continue // of a wrapper: where it will be spilled to
			}
			regs, stack, ok := b.where(fn, entry)
			switch {
			case !ok || len(regs) > 0 && len(regs) != len(p.regs) && p.regs != nil:
				continue // a part of it is not used
			case p.regs == nil && (len(regs) > 0 || stack != p.stack):
				t.Errorf("%s: %s is in %v, at %d on the stack; assigned to %d on the stack", fn.Name, sig.names[k], regs, stack, p.stack)
			case p.regs == nil:
				onStack++
			case len(regs) > 0 && !slices.Equal(regs, p.expected()):
				odd++
				t.Logf("%s: %s is in %v; assigned to registers %v", fn.Name, sig.names[k], regs, p.expected())
			case len(regs) == 0:
				t.Errorf("%s: %s is in %v, at %d on the stack; assigned to registers %v", fn.Name, sig.names[k], regs, stack, p.expected())
			default:
				inRegs++
				if len(regs) > 1 {
					wide++
				}
			}
		}
	}
	t.Logf("%d functions; arguments in registers: %d, %d of several words; on the stack: %d; refused: %v", functions, inRegs, wide, onStack, refused)
	// Of a parameter that its function assigns to the compiler may give the place of
	// the later value from the entry on.
	if odd > inRegs/500 {
		t.Errorf("%d arguments are in other registers", odd)
	}
	if functions < 2000 || inRegs < 3000 || wide < 500 || onStack < 10 {
		t.Error("too few to prove anything")
	}
}

// readable is signatureOf for functions whose debug information Delve may not be
// able to read: it panics then, which the engine catches.
func (env *Env) readable(fn *proc.Function) (sig *signature, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("Delve panics")
		}
	}()
	return env.signatureOf(fn, nil)
}

// reason is what an error is about, without names and numbers.
func reason(err error) string {
	for _, about := range []string{"does not tell all", "is generic", "on the stack", "cannot be passed", "table of functions"} {
		if strings.Contains(err.Error(), about) {
			return about
		}
	}
	return err.Error()
}

// goType is one of Go's types in the debug information of the program.
func goType(t *testing.T, b *built, name string) godwarf.Type {
	t.Helper()
	if of, ok := strings.CutPrefix(name, "[2]"); ok {
		elem := goType(t, b, of)
		return &godwarf.ArrayType{CommonType: godwarf.CommonType{ByteSize: 2 * elem.Size(), Name: name}, Type: elem, Count: 2}
	}
	if name == "struct{}" {
		return &godwarf.StructType{CommonType: godwarf.CommonType{Name: name}, Kind: "struct", StructName: name}
	}
	typ, err := b.bi.FindType(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return typ
}

func (p place) String() string {
	if p.regs == nil {
		return fmt.Sprintf("stack+%d", p.stack)
	}
	var list []string
	for i, r := range p.regs {
		kind := "i"
		if p.parts[i].float {
			kind = "f"
		}
		list = append(list, fmt.Sprint(kind, r))
	}
	return strings.Join(list, ",")
}

// TestWritten: a function that assembly calls is not called in the way that it
// does.
func TestWritten(t *testing.T) {
	b, e := env(t, "main.work")
	const name = "github.com/remotedbg/remotedbg/gate.serveCalls"
	list := b.bi.LookupFunc()[name]
	if len(list) != 2 {
		t.Fatalf("%s: %d functions: it is no example any more", name, len(list))
	}
	for _, fn := range list {
		if file, _ := b.bi.EntryLineForFunc(e.written(fn)); !strings.HasSuffix(file, ".go") {
			t.Errorf("%s at %#x is called at %#x, in %s", name, fn.Entry, e.written(fn).Entry, file)
		}
	}
}

// TestAssign has what the program's own functions may not show: the example of
// the ABI's description, and registers that run out.
func TestAssign(t *testing.T) {
	b, _ := env(t, "main.work")
	for _, c := range []struct {
		name          string
		args, results []string
		want          string
		stack, width  int64
	}{
		{"nothing", nil, nil, "() ()", 0, 0},
		{"one word", []string{"int"}, []string{"int"}, "(i0) (i0)", 0, 8},
		{"results begin anew", []string{"int", "float64"}, []string{"float64", "int"}, "(i0 f0) (f0 i0)", 0, 16},
		{"small ones share their room", []string{"uint8", "int32", "bool"}, nil, "(i0 i1 i2)", 0, 16},
		{"string, slice, interface", []string{"string", "[]int", "error"}, nil, "(i0,i1 i2,i3,i4 i5,i6)", 0, 56},
		{"complex", []string{"complex128", "int"}, nil, "(f0,f1 i0)", 0, 24},
		{"the ABI's example", []string{"uint8", "[2]uintptr", "uint8"}, []string{"[2]uintptr", "string"}, "(i0 stack+0 i1) (stack+16 i0,i1)", 32, 40},
		{"one that does not fit uses none up", []string{"string", "string", "string", "string", "string", "int"}, nil, "(i0,i1 i2,i3 i4,i5 i6,i7 stack+0 i8)", 16, 16 + 72},
		{"nine integers, then the stack", slices.Repeat([]string{"int"}, 10), nil, "(i0 i1 i2 i3 i4 i5 i6 i7 i8 stack+0)", 8, 8 + 72},
		{"fifteen floats, then the stack", slices.Repeat([]string{"float64"}, 16), []string{"int"}, "(f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 stack+0) (i0)", 8, 8 + 120},
		{"an array of two", []string{"int", "[2]string"}, nil, "(i0 stack+0)", 32, 40},
		{"an array with one byte each", []string{"[2]uint8", "[2]uint8", "int"}, nil, "(stack+0 stack+2 i0)", 8, 16},
		{"results behind arguments on the stack", []string{"[2]uint8"}, []string{"[2]int"}, "(stack+0) (stack+8)", 24, 24},
		{"an empty struct", []string{"struct{}", "int"}, nil, "(stack+0 i0)", 0, 8},
		{"a struct by its fields", []string{"main.Item", "main.wide"}, []string{"main.Item", "error"}, "(i0,i1,i2 stack+0) (i0,i1,i2 i3,i4)", 64, 88},
	} {
		t.Run(c.name, func(t *testing.T) {
			lists := make([][]godwarf.Type, 2)
			for i, names := range [][]string{c.args, c.results} {
				for _, name := range names {
					lists[i] = append(lists[i], goType(t, b, name))
				}
			}
			f, err := assign(lists[0], lists[1])
			if err != nil {
				t.Fatal(err)
			}
			got := strings.TrimSuffix(fmt.Sprintf("(%s) (%s)", places(f.args), places(f.results)), " ()")
			if want := strings.TrimSuffix(c.want, " ()"); got != want || f.stack != c.stack || f.width != c.width {
				t.Errorf("%s, %d bytes on the stack, %d in all; want %s, %d, %d", got, f.stack, f.width, c.want, c.stack, c.width)
			}
		})
	}
}

func places(list []place) string {
	var texts []string
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, " ")
}
