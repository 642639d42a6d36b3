//go:build linux && amd64

package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/constant"
	"path"
	"sort"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// nothingRecovers says whether it is certain that no pending deferred function of
// the request's goroutine calls recover: then the panic ends the process, but for
// a deferred function that ends the goroutine (runtime.Goexit) or never returns.
// recover works in the deferred function itself only, and in what a wrapper made
// by the compiler calls for it, so that looking at their code is enough. In doubt
// the answer is no. Called under the brain lock, at the first deferred function of
// the panic.
func (r *request) nothingRecovers(frames []proc.Stackframe) bool {
	pending, err := r.pendingDefers(frames)
	if err != nil {
		return false
	}
	c := recoverCheck{bi: r.e.bi, mem: r.e.mem, seen: make(map[uint64]bool)}
	for _, pc := range pending {
		if c.mayRecover(pc, 0) {
			return false
		}
	}
	return true
}

var errDefers = errors.New("the deferred functions that are pending cannot be told")

// pendingDefers lists the code of the deferred functions that the innermost panic
// has run or will run: the one that is running, those that the runtime keeps in a
// list (runtime._defer), and those that it finds in the frames of functions that
// were compiled to call theirs themselves ("open-coded"; runtime/panic.go,
// nextDefer).
func (r *request) pendingDefers(frames []proc.Stackframe) ([]uint64, error) {
	if n := len(frames); n == 0 || frames[n-1].Err != nil || frames[n-1].Current.Fn == nil || frames[n-1].Current.Fn.Name != "runtime.goexit" {
		return nil, errDefers // not all of the stack
	}
	t := r.group.Selected
	g, err := proc.GetG(t.CurrentThread())
	if err != nil {
		return nil, err
	}
	scope := proc.FrameToScope(t, t.Memory(), g, t.CurrentThread().ThreadID(), frames...)
	list, err := linkedDefers(scope, r.e.mem)
	if err != nil {
		return nil, err
	}
	tables, err := readFuncTables(scope, r.e.mem)
	if err != nil {
		return nil, err
	}
	below := false
	for i := range frames {
		switch fn := frames[i].Current.Fn; {
		case frames[i].Inlined: // of the same physical frame as the next one
		case fn == nil:
			return nil, errDefers
		case !below && i > 0 && fn.Name == raiseFunction:
			below = true
			list = append(list, frames[i-1].Current.Fn.Entry)
		case below:
			open, err := tables.openDefers(fn.Entry, uint64(frames[i].Regs.CFA))
			if err != nil {
				return nil, err
			}
			list = append(list, open...)
		}
	}
	return list, nil
}

// maxDefers bounds lists that a broken program may have made endless.
const maxDefers = 10_000

// linkedDefers follows g._defer.
func linkedDefers(scope *proc.EvalScope, mem vmem.Process) ([]uint64, error) {
	t, err := scope.BinInfo.FindType("runtime._defer")
	if err != nil {
		return nil, err
	}
	offsets, err := fieldOffsets(t, "fn", "link", "rangefunc")
	if err != nil {
		return nil, err
	}
	v, err := scope.EvalExpression("uintptr(runtime.curg._defer)", proc.LoadConfig{})
	if err != nil || v.Value == nil {
		return nil, errors.Join(errDefers, err)
	}
	at, _ := constant.Uint64Val(v.Value)
	var list []uint64
	for n := 0; at != 0; n++ {
		var ranges [1]byte
		if _, err := mem.ReadMemory(ranges[:], at+offsets[2]); err != nil || ranges[0] != 0 || n > maxDefers {
			return nil, errors.Join(errDefers, err) // of a range over a function: in one more list
		}
		fn, err1 := mem.Uint64(at + offsets[0])
		next, err2 := mem.Uint64(at + offsets[1])
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if fn != 0 {
			pc, err := mem.Uint64(fn)
			if err != nil {
				return nil, err
			}
			list = append(list, pc)
		}
		at = next
	}
	return list, nil
}

func fieldOffsets(t godwarf.Type, names ...string) ([]uint64, error) {
	st, ok := t.(*godwarf.StructType)
	if !ok {
		return nil, errDefers
	}
	offsets := make([]uint64, len(names))
	for i, name := range names {
		found := false
		for _, f := range st.Field {
			if f.Name == name {
				offsets[i], found = uint64(f.ByteOffset), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: %s has no %s", errDefers, st.Name, name)
		}
	}
	return offsets, nil
}

// funcTables are the runtime's tables of functions (runtime.moduledata).
type funcTables struct {
	mem       vmem.Process
	text      uint64
	gofunc    uint64 // where funcdata is
	pclntable uint64
	ftab      uint64
	functions int
	size      uint64 // of runtime._func
	npcdata   uint64 // offsets in it
	nfuncdata uint64
}

func readFuncTables(scope *proc.EvalScope, mem vmem.Process) (*funcTables, error) {
	f := &funcTables{mem: mem}
	t, err := scope.BinInfo.FindType("runtime._func")
	if err != nil {
		return nil, err
	}
	offsets, err := fieldOffsets(t, "npcdata", "nfuncdata")
	if err != nil {
		return nil, err
	}
	f.size, f.npcdata, f.nfuncdata = uint64(t.Size()), offsets[0], offsets[1]
	for name, to := range map[string]*uint64{"text": &f.text, "gofunc": &f.gofunc} {
		v, err := scope.EvalExpression("runtime.firstmoduledata."+name, proc.LoadConfig{})
		if err != nil || v.Value == nil {
			return nil, errors.Join(errDefers, err)
		}
		*to, _ = constant.Uint64Val(v.Value)
	}
	for name, to := range map[string]*uint64{"pclntable": &f.pclntable, "ftab": &f.ftab} {
		v, err := scope.EvalExpression("runtime.firstmoduledata."+name, proc.LoadConfig{})
		if err != nil || v.Base == 0 {
			return nil, errors.Join(errDefers, err)
		}
		*to, f.functions = v.Base, int(v.Len)
	}
	v, err := scope.EvalExpression("len(runtime.firstmoduledata.ftab)", proc.LoadConfig{})
	if err != nil || v.Value == nil {
		return nil, errors.Join(errDefers, err)
	}
	n, _ := constant.Int64Val(v.Value)
	f.functions = int(n) - 1 // the last entry is the end of the text
	return f, nil
}

// openCodedDefers is FUNCDATA_OpenCodedDeferInfo (internal/abi/symtab.go).
const openCodedDefers = 4

// openDefers lists the pending open-coded defers of the frame with that CFA of
// the function at entry.
func (f *funcTables) openDefers(entry, cfa uint64) ([]uint64, error) {
	info, err := f.funcdata(entry, openCodedDefers)
	if info == 0 || err != nil {
		return nil, err
	}
	var buf [20]byte
	if _, err := f.mem.ReadMemory(buf[:], info); err != nil {
		return nil, err
	}
	bits, n1 := binary.Uvarint(buf[:])
	slots, n2 := binary.Uvarint(buf[max(n1, 0):])
	const largest = 1 << 30 // of frames
	if n1 <= 0 || n2 <= 0 || bits > largest || slots > largest {
		return nil, errDefers
	}
	// Both are below varp, the end of the local variables: under the frame pointer
	// and the return address (runtime/traceback.go).
	varp := cfa - 16
	var pending [1]byte
	if _, err := f.mem.ReadMemory(pending[:], varp-bits); err != nil {
		return nil, err
	}
	var list []uint64
	for i := range uint64(8) {
		if pending[0]&(1<<i) == 0 {
			continue
		}
		closure, err := f.mem.Uint64(varp - slots + 8*i)
		if err != nil {
			return nil, err
		}
		if closure == 0 {
			continue
		}
		pc, err := f.mem.Uint64(closure)
		if err != nil {
			return nil, err
		}
		list = append(list, pc)
	}
	return list, nil
}

// funcdata is the address of a table of the function at entry, 0 if it has none
// (runtime/symtab.go, funcdata).
func (f *funcTables) funcdata(entry uint64, index uint32) (uint64, error) {
	const none = ^uint32(0)
	var err error
	word := func(addr uint64) uint32 {
		v, e := f.mem.Uint32(addr)
		err = errors.Join(err, e)
		return v
	}
	off := uint32(entry - f.text)
	i := sort.Search(f.functions, func(i int) bool { return word(f.ftab+8*uint64(i)) >= off })
	if err != nil || i == f.functions || word(f.ftab+8*uint64(i)) != off {
		return 0, errors.Join(errDefers, err)
	}
	fn := f.pclntable + uint64(word(f.ftab+8*uint64(i)+4))
	var n [1]byte
	if _, e := f.mem.ReadMemory(n[:], fn+f.nfuncdata); e != nil || err != nil {
		return 0, errors.Join(err, e)
	}
	if index >= uint32(n[0]) {
		return 0, nil
	}
	data := word(fn + f.size + 4*uint64(word(fn+f.npcdata)) + 4*uint64(index))
	if data == none {
		return 0, err
	}
	return f.gofunc + uint64(data), err
}

// recoverCheck looks for calls of recover in functions.
type recoverCheck struct {
	bi   *proc.BinaryInfo
	mem  proc.MemoryReadWriter
	seen map[uint64]bool
}

// mayRecover says whether the function at pc, called by a panic, may recover it.
func (c *recoverCheck) mayRecover(pc uint64, depth int) bool {
	const deepest = 4 // wrappers of wrappers
	fn := c.bi.PCToFunc(pc)
	if fn == nil || depth > deepest {
		return true
	}
	if c.seen[fn.Entry] {
		return false
	}
	c.seen[fn.Entry] = true
	none := proc.NewBreakpointMap()
	list, err := proc.Disassemble(c.mem, nil, &none, c.bi, fn.Entry, fn.End)
	if err != nil {
		return true
	}
	wrapper := c.isWrapper(fn)
	for i := range list {
		jump := wrapper && list[i].DestLoc != nil && !within(fn, list[i].DestLoc.PC) // a tail call
		if !list[i].IsCall() && !jump {
			continue
		}
		callee := list[i].DestLoc
		switch {
		case callee == nil || callee.Fn == nil:
			if wrapper {
				return true // of an interface's method: it may be any
			}
		case callee.Fn.Name == recoverFunction:
			return true
		case wrapper && callee.Fn.PackageName() != "runtime" && c.mayRecover(callee.Fn.Entry, depth+1):
			return true
		}
	}
	return false
}

func within(fn *proc.Function, pc uint64) bool { return fn.Entry <= pc && pc < fn.End }

// isWrapper tells functions through which recover works: the compiler makes them
// around a deferred call with arguments, a method value, a promoted method
// (cmd/compile, ir.Func.SetWrapper).
func (c *recoverCheck) isWrapper(fn *proc.Function) bool {
	name := fn.Name[strings.LastIndexByte(fn.Name, '.')+1:]
	if strings.HasPrefix(name, "deferwrap") || strings.HasPrefix(name, "gowrap") || strings.HasSuffix(name, "-fm") {
		return true
	}
	file, _, _ := c.bi.PCToLine(fn.Entry)
	return path.Base(file) == wrapperFile
}
