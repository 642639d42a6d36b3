//go:build linux && amd64

package invoke

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/live"
)

// Env is a frozen request as an expression sees it.
type Env struct {
	Target  *proc.Target
	Scope   *proc.EvalScope // of the frame
	StackLo uint64          // bounds of the request's stack
	StackHi uint64
	// Check refuses an expression whose value must not be handed to a
	// function; may be nil.
	Check func(expr string) error
}

// value evaluates an expression that is handed to a function.
func (env *Env) value(expr string) (*proc.Variable, error) {
	if env.Check != nil {
		if err := env.Check(expr); err != nil {
			return nil, err
		}
	}
	return env.Scope.EvalExpression(expr, argLoad)
}

// signature is what is known of a function.
type signature struct {
	fn      *proc.Function
	names   []string // of the arguments, the receiver included
	args    []godwarf.Type
	results []godwarf.Type
	frame   frame
}

// signatureOf reads the arguments and results of fn from the debug information
// and works out how it is called. That leaves out arguments that have no name,
// so the outcome is compared with how much room the runtime knows the function's
// arguments and results to take; a call with an argument in a wrong place could
// end the service.
//
// recv is the type of a method's receiver, which may be the one without a name.
func (env *Env) signatureOf(fn *proc.Function, recv godwarf.Type) (*signature, error) {
	if strings.Contains(fn.Name, "[go.shape.") || strings.Contains(fn.Name, "[...]") {
		return nil, fmt.Errorf("%s is generic: it is called with a dictionary that only the compiler knows", fn.Name)
	}
	scope := *env.Scope
	scope.Location = proc.Location{PC: fn.Entry, Fn: fn, Line: math.MaxInt32}
	vars, err := scope.Locals(0, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn.Name, err)
	}
	sig := &signature{fn: fn}
	seen := map[string]bool{"_": false}
	for _, v := range vars {
		switch {
		case v.DwarfType == nil, seen[v.Name]: // results of functions that defer are there twice
			continue
		case v.Name != "_":
			seen[v.Name] = true
		}
		switch {
		case v.Flags&proc.VariableReturnArgument != 0:
			sig.results = append(sig.results, v.DwarfType)
		case v.Flags&proc.VariableArgument != 0:
			sig.names = append(sig.names, v.Name)
			sig.args = append(sig.args, v.DwarfType)
		}
	}
	if recv != nil && (len(sig.args) == 0 || typeName(sig.args[0]) != typeName(recv)) {
		sig.names = append([]string{"_"}, sig.names...)
		sig.args = append([]godwarf.Type{recv}, sig.args...)
	}
	if sig.frame, err = assign(sig.args, sig.results); err != nil {
		return nil, fmt.Errorf("%s: %w", fn.Name, err)
	}
	if sig.frame.stack > live.CallStack {
		return nil, fmt.Errorf("%s takes %d bytes of arguments and results on the stack, %d are possible", fn.Name, sig.frame.stack, live.CallStack)
	}
	width, err := env.argWidth(fn.Entry)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn.Name, err)
	}
	if width != sig.frame.width {
		return nil, fmt.Errorf("%s cannot be called: its debug information does not tell all of its arguments (they take %d bytes, those it tells %d); arguments without a name are left out of it", fn.Name, width, sig.frame.width)
	}
	return sig, nil
}

// argWidth reads what the runtime knows of the size of a function's arguments:
// the field args of its _func (runtime/symtab.go, runtime/runtime2.go).
func (env *Env) argWidth(entry uint64) (int64, error) {
	none := proc.LoadConfig{}
	ftab, err1 := env.Scope.EvalExpression("runtime.firstmoduledata.ftab", none)
	pcln, err2 := env.Scope.EvalExpression("runtime.firstmoduledata.pclntable", none)
	text, err3 := env.Scope.EvalExpression("runtime.firstmoduledata.text", none)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, fmt.Errorf("read the runtime's table of functions: %w", err)
	}
	start, _ := intOf(text)
	mem := env.Target.Memory()
	var failed error
	word := func(addr uint64) uint32 {
		var buf [4]byte
		if _, err := mem.ReadMemory(buf[:], addr); err != nil {
			failed = err
		}
		return binary.LittleEndian.Uint32(buf[:])
	}
	const size = 8 // functab: entryoff, funcoff uint32
	off := uint32(entry - uint64(start))
	i := sort.Search(int(ftab.Len), func(i int) bool { return word(ftab.Base+uint64(i)*size) >= off })
	if failed != nil {
		return 0, failed
	}
	if i >= int(ftab.Len) || word(ftab.Base+uint64(i)*size) != off {
		return 0, errors.New("it is not in the runtime's table of functions")
	}
	const args = 8 // offset: entryOff uint32, nameOff int32, args int32
	width := int32(word(pcln.Base + uint64(word(ftab.Base+uint64(i)*size+4)) + args))
	return int64(width), failed
}

// runtimeFunc is the entry of one of the runtime's functions that calls are
// prepared with.
func (env *Env) runtimeFunc(name string) (uint64, error) {
	list := env.Scope.BinInfo.LookupFunc()["runtime."+name]
	if len(list) == 0 {
		return 0, fmt.Errorf("the service does not have runtime.%s, which this call needs", name)
	}
	return list[0].Entry, nil
}

// runtimeType is the address of the runtime's description of a type.
func (env *Env) runtimeType(t godwarf.Type) (uint64, error) {
	r := env.Scope.BinInfo.Images[0].DwarfReader()
	var off uint64
	for u, ok := t, false; !ok; {
		r.Seek(u.Common().Offset)
		e, err := r.Next()
		if err != nil || e == nil {
			return 0, fmt.Errorf("type %s: %w", t, err)
		}
		if off, ok = e.Val(godwarf.AttrGoRuntimeType).(uint64); ok {
			break
		}
		// The name of a type leads to the type itself.
		td, isName := u.(*godwarf.TypedefType)
		if !isName {
			break
		}
		u = td.Type
	}
	if off == 0 {
		return 0, fmt.Errorf("the service has no description of type %s at run time, so it cannot be put into an interface", typeName(t))
	}
	// An offset from where the types begin (cmd/link/internal/ld/dwarf.go).
	v, err := env.Scope.EvalExpression("runtime.firstmoduledata.types", proc.LoadConfig{})
	if err != nil {
		return 0, err
	}
	types, _ := intOf(v)
	addr := uint64(types) + off
	size, err := env.word(addr) // its first field (internal/abi/type.go)
	if err != nil || int64(size) != t.Size() {
		return 0, fmt.Errorf("the service has no description of type %s at run time, so it cannot be put into an interface", typeName(t))
	}
	return addr, nil
}
