//go:build linux && amd64

package invoke

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/live"
)

// datum is a value as it lies in memory. Words that only the call's own earlier
// steps will tell are in late, by offset.
type datum struct {
	data []byte
	late map[int64]live.Word
}

func (d datum) word(off, size int64) live.Word {
	if w, ok := d.late[off]; ok {
		return w
	}
	var buf [8]byte
	copy(buf[:], d.data[off:off+size])
	return live.Word{Value: binary.LittleEndian.Uint64(buf[:])}
}

// Offsets in the block that is made for each call, by its first step. The
// collector does not look for pointers in it: what it holds is kept alive by the
// frozen request, or by the gate.
const (
	blockPanic   = 0 // an interface value, of a panic
	blockResults = 16
)

// plan is a call being prepared.
type plan struct {
	env    *Env
	unsafe bool // pointers to the request's stack may be passed
	block  []byte
	late   map[int64]live.Word // words of the block
	steps  []live.Step         // the first makes the block
	final  live.Step
	where  []int64 // of the results, in the block
}

// block is the address of an offset in the block.
func inBlock(off int64) live.Word { return live.Word{Value: uint64(off), From: 1} }

// room takes n bytes of the block.
func (p *plan) room(n int64) (off int64) {
	off = align(int64(len(p.block)), 8)
	p.block = append(p.block, make([]byte, off+n-int64(len(p.block)))...)
	return off
}

// put writes a value to the block.
func (p *plan) put(d datum) (off int64) {
	off = p.room(int64(len(d.data)))
	copy(p.block[off:], d.data)
	for at, w := range d.late {
		if w.From == 0 {
			binary.LittleEndian.PutUint64(p.block[off+at:], w.Value)
			continue
		}
		p.late[off+at] = w
	}
	return off
}

// step adds a call of one of the runtime's functions and answers with its number.
func (p *plan) step(name string, args ...live.Word) (int, error) {
	pc, err := p.env.runtimeFunc(name)
	if err != nil {
		return 0, err
	}
	s := live.Step{PC: pc}
	copy(s.Ints[:], args)
	p.steps = append(p.steps, s)
	return len(p.steps), nil
}

// newPlan begins a call of sig's function.
func newPlan(env *Env, sig *signature, unsafe bool) (*plan, error) {
	p := &plan{env: env, unsafe: unsafe, late: make(map[int64]live.Word), final: live.Step{PC: sig.fn.Entry}}
	p.room(blockResults)
	if _, err := p.step("mallocgc"); err != nil { // its size is not known yet
		return nil, err
	}
	p.steps[0].Keep = []live.Source{{Where: live.InInt}}
	for _, r := range sig.frame.results {
		off := p.room(r.typ.Size())
		p.where = append(p.where, off)
		if err := p.result(r, off); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// result has a result written to the block, and what it points to kept alive.
func (p *plan) result(r place, off int64) error {
	if r.typ.Size() == 0 {
		return nil
	}
	if r.regs == nil {
		p.final.Saves = append(p.final.Saves, live.Save{
			To: inBlock(off), From: live.Source{Where: live.OnStack, Index: uint64(r.stack)}, Size: int(r.typ.Size()),
		})
		list, err := pointers(r.typ, 0, nil, live.KeptPointers/2)
		if err != nil {
			return fmt.Errorf("its result cannot be kept: %w", err)
		}
		for _, at := range list {
			p.final.Keep = append(p.final.Keep, live.Source{Where: live.OnStack, Index: uint64(r.stack + at)})
		}
		return nil
	}
	for i, part := range r.parts {
		from := live.Source{Where: live.InInt, Index: uint64(r.regs[i])}
		if part.float {
			from.Where = live.InFloat
		}
		p.final.Saves = append(p.final.Saves, live.Save{To: inBlock(off + part.off), From: from, Size: int(part.size)})
		if part.ptr {
			p.final.Keep = append(p.final.Keep, from)
		}
	}
	return nil
}

// pass puts an argument where the function expects it.
func (p *plan) pass(d datum, to place) {
	if to.typ.Size() == 0 {
		return
	}
	if to.regs == nil {
		for off := int64(0); off < to.typ.Size(); off += 8 {
			size := min(8, to.typ.Size()-off)
			p.final.Stack = append(p.final.Stack, live.StackWord{Offset: uint64(to.stack + off), Size: int(size), Word: d.word(off, size)})
		}
		return
	}
	for i, part := range to.parts {
		w := d.word(part.off, part.size)
		if part.float {
			p.final.Floats[to.regs[i]] = w.Value
		} else {
			p.final.Ints[to.regs[i]] = w
		}
	}
}

// call is what is to be made.
func (p *plan) call() live.Call {
	p.steps[0].Ints = [live.IntRegisters]live.Word{{Value: uint64(len(p.block))}, {}, {Value: 1}} // size, no type, zeroed
	steps := append(p.steps, p.final)
	fill := []live.Write{{To: inBlock(0), Data: p.block}}
	for off, w := range p.late {
		fill = append(fill, live.Write{To: inBlock(off), Value: w})
	}
	// Words that are known only after a later step are written when it is
	// done: once more before each.
	for i := 1; i < len(steps); i++ {
		for _, w := range fill {
			if w.Data != nil && i == 1 || w.Data == nil && w.Value.From == i {
				steps[i].Writes = append(steps[i].Writes, w)
			}
		}
	}
	return live.Call{Steps: steps}
}

// convert makes v, the value of the expression text, a value of type t as an
// assignment would.
func (p *plan) convert(v *proc.Variable, text string, t godwarf.Type) (d datum, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", text, err)
		}
	}()
	if v.Unreadable != nil {
		return d, v.Unreadable
	}
	if isNil(v) {
		switch godwarf.ResolveTypedef(t).(type) {
		case *godwarf.PtrType, *godwarf.MapType, *godwarf.ChanType, *godwarf.FuncType, *godwarf.SliceType, *godwarf.InterfaceType:
			return datum{data: make([]byte, t.Size())}, nil
		}
		return d, fmt.Errorf("nil is no %s", typeName(t))
	}
	if it, ok := godwarf.ResolveTypedef(t).(*godwarf.InterfaceType); ok {
		return p.toInterface(v, t, it)
	}
	if v.DwarfType != nil && !assignable(v.DwarfType, t) {
		return d, fmt.Errorf("a %s cannot be used as a %s", typeName(v.DwarfType), typeName(t))
	}
	return p.plain(v, t)
}

// plain is convert for what already has type t, or is a constant.
func (p *plan) plain(v *proc.Variable, t godwarf.Type) (datum, error) {
	if isMadeString(v) {
		if _, ok := godwarf.ResolveTypedef(t).(*godwarf.StringType); !ok {
			return datum{}, fmt.Errorf("a string cannot be used as a %s", typeName(t))
		}
		return p.literal(v)
	}
	if fn, ok := functionAt(p.env, v); ok && fn != nil {
		return datum{}, errors.New("a function's name cannot be passed: only func values that the service holds")
	}
	data, err := bytesOf(v, t)
	if err != nil {
		return datum{}, err
	}
	if !p.unsafe {
		err = p.env.checkEscape(data, t)
	}
	return datum{data: data}, err
}

// assignable: identical types, or the same underlying type where one has no name
// of its own.
func assignable(from, to godwarf.Type) bool {
	if typeName(from) == typeName(to) {
		return true
	}
	_, named1 := from.(*godwarf.TypedefType)
	_, named2 := to.(*godwarf.TypedefType)
	return (!named1 || !named2) && typeName(godwarf.ResolveTypedef(from)) == typeName(godwarf.ResolveTypedef(to))
}

// literal puts the text of a string into the block.
func (p *plan) literal(v *proc.Variable) (datum, error) {
	text := stringOf(v)
	if int64(len(text)) < v.Len || len(text) > maxLiteral {
		return datum{}, fmt.Errorf("a string of more than %d bytes", maxLiteral)
	}
	d := datum{data: make([]byte, 16)}
	binary.LittleEndian.PutUint64(d.data[8:], uint64(len(text)))
	if len(text) > 0 {
		d.late = map[int64]live.Word{0: inBlock(p.put(datum{data: []byte(text)}))}
	}
	return d, nil
}

// toInterface makes v a value of the interface type t.
func (p *plan) toInterface(v *proc.Variable, t godwarf.Type, it *godwarf.InterfaceType) (datum, error) {
	empty := isEmpty(it)
	if v.Kind != reflect.Interface {
		typ, data, err := p.box(v)
		if err != nil {
			return datum{}, err
		}
		return p.interfaceOf(typ, data, t, empty)
	}
	raw, err := bytesOf(v, v.DwarfType)
	if err != nil {
		return datum{}, err
	}
	if !p.unsafe {
		if err := p.env.checkEscape(raw, v.DwarfType); err != nil {
			return datum{}, err
		}
	}
	if typeName(v.DwarfType) == typeName(t) {
		return datum{data: raw}, nil
	}
	typ := binary.LittleEndian.Uint64(raw)
	if typ == 0 {
		return datum{data: make([]byte, 16)}, nil
	}
	if vt, ok := godwarf.ResolveTypedef(v.DwarfType).(*godwarf.InterfaceType); ok && !isEmpty(vt) {
		if typ, err = p.env.word(typ + 8); err != nil { // internal/abi, ITab.Type
			return datum{}, err
		}
	}
	return p.interfaceOf(typ, live.Word{Value: binary.LittleEndian.Uint64(raw[8:])}, t, empty)
}

// isEmpty tells interface types without methods: their values begin with the
// type itself (runtime.eface), others' with an itab (runtime.iface).
func isEmpty(it *godwarf.InterfaceType) bool {
	return typeName(godwarf.ResolveTypedef(it.Type)) == "runtime.eface"
}

// interfaceOf is an interface value of type t with dynamic type typ.
func (p *plan) interfaceOf(typ uint64, data live.Word, t godwarf.Type, empty bool) (datum, error) {
	d := datum{data: make([]byte, 16), late: map[int64]live.Word{8: data}}
	binary.LittleEndian.PutUint64(d.data, typ)
	if empty {
		return d, nil
	}
	inter, err := p.env.runtimeType(t)
	if err != nil {
		return d, err
	}
	// It panics where a method is missing, as a type assertion does.
	i, err := p.step("getitab", live.Word{Value: inter}, live.Word{Value: typ}, live.Word{})
	d.late[0] = live.Word{From: i}
	return d, err
}

// box makes what the data word of an interface holds: pointers themselves, and
// for other values the address of a copy.
func (p *plan) box(v *proc.Variable) (typ uint64, data live.Word, err error) {
	t := v.DwarfType
	if t == nil {
		if t, err = defaultType(p.env, v); err != nil {
			return 0, data, err
		}
	}
	if typ, err = p.env.runtimeType(t); err != nil {
		return 0, data, err
	}
	d, err := p.plain(v, t)
	if err != nil {
		return 0, data, err
	}
	pointerBytes, err1 := p.env.word(typ + 8) // internal/abi, Type.PtrBytes
	flags, err2 := p.env.word(typ + 16)       // Hash uint32, TFlag, Align_, FieldAlign_, Kind_
	if err := errors.Join(err1, err2); err != nil {
		return 0, data, err
	}
	// KindDirectIface, since Go 1.26 TFlagDirectIface.
	if tflag, kind := byte(flags>>32), byte(flags>>56); tflag&(1<<5) != 0 || kind&(1<<5) != 0 {
		return typ, d.word(0, 8), nil
	}
	off := p.put(d)
	if pointerBytes == 0 {
		return typ, inBlock(off), nil
	}
	at, err := p.typed(typ, t.Size(), off, 1)
	return typ, at, err
}

// typed makes n values of a type that holds pointers in the heap, where the
// collector finds these, out of what is in the block: typedmemmove tells it of
// them.
func (p *plan) typed(typ uint64, size, off, n int64) (live.Word, error) {
	var i int
	var err error
	if n == 1 {
		i, err = p.step("mallocgc", live.Word{Value: uint64(size)}, live.Word{Value: typ}, live.Word{Value: 1})
	} else {
		i, err = p.step("makeslice", live.Word{Value: typ}, live.Word{Value: uint64(n)}, live.Word{Value: uint64(n)})
	}
	if err != nil {
		return live.Word{}, err
	}
	p.steps[i-1].Keep = []live.Source{{Where: live.InInt}}
	for k := range n {
		_, err := p.step("typedmemmove", live.Word{Value: typ}, live.Word{Value: uint64(k * size), From: i}, inBlock(off+k*size))
		if err != nil {
			return live.Word{}, err
		}
	}
	return live.Word{From: i}, nil
}

// maxVariadic bounds the arguments that a variadic parameter takes.
const maxVariadic = 32

// variadic makes a slice of type t of the arguments.
func (p *plan) variadic(list []*proc.Variable, texts []string, t *godwarf.SliceType) (datum, error) {
	d := datum{data: make([]byte, 24)}
	n, size := int64(len(list)), t.ElemType.Size()
	if n == 0 {
		return d, nil
	}
	if n > maxVariadic {
		return d, fmt.Errorf("more than %d arguments", maxVariadic)
	}
	all := datum{data: make([]byte, n*size), late: make(map[int64]live.Word)}
	for i, v := range list {
		e, err := p.convert(v, texts[i], t.ElemType)
		if err != nil {
			return d, err
		}
		copy(all.data[int64(i)*size:], e.data)
		for at, w := range e.late {
			all.late[int64(i)*size+at] = w
		}
	}
	off := p.put(all)
	at := inBlock(off)
	if holds, err := pointers(t.ElemType, 0, nil, 1<<16); err != nil {
		return d, err
	} else if len(holds) > 0 {
		typ, err := p.env.runtimeType(t.ElemType)
		if err != nil {
			return d, err
		}
		if at, err = p.typed(typ, size, off, n); err != nil {
			return d, err
		}
	}
	d.late = map[int64]live.Word{0: at}
	binary.LittleEndian.PutUint64(d.data[8:], uint64(n))
	binary.LittleEndian.PutUint64(d.data[16:], uint64(n))
	return d, nil
}
