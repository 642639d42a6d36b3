//go:build linux && amd64

package session

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/astutil"
	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// Data is a piece of the service's memory that can be watched for accesses.
type Data struct {
	Addr uint64
	Size int    // 1, 2, 4 or 8
	Expr string // as the user knows it
	Kind reflect.Kind
	// Request is the one that it was found in, and is watched in along with
	// the goroutines that it starts: memory of the heap is what it is for as
	// long as the request is there to hold it. 0: a package variable, which
	// stays and is watched in every request.
	Request RequestID
}

// DataBreakpoint stops requests behind an access to Data by the request's own
// thread. Writes of other goroutines are not seen.
type DataBreakpoint struct {
	Data
	Read bool // stop at reads, too
	When
}

// DataHit is the access that a request is stopped behind.
type DataHit struct {
	Expr     string
	Old, New string // as a person reads them
	Where    string // "main.handler main.go:12": the line that did it
	Read     bool   // it may have been a read
}

// String tells of it in one line.
func (h DataHit) String() string {
	switch {
	case h.Old != h.New:
		return fmt.Sprintf("%s changed from %s to %s in %s", h.Expr, h.Old, h.New, h.Where)
	case h.Read:
		return fmt.Sprintf("%s, %s, was read, or written as it was, in %s", h.Expr, h.New, h.Where)
	}
	return fmt.Sprintf("%s was written as it was, %s, in %s", h.Expr, h.New, h.Where)
}

// dataList is the list of the data breakpoints, see asked.
const dataList = "\x00data"

// SetDataBreakpoints is SetBreakpoints for data.
func (s *Session) SetDataBreakpoints(want []DataBreakpoint) ([]Breakpoint, error) {
	list := make([]asked, len(want))
	for i, w := range want {
		list[i] = asked{list: dataList, data: w.Data, read: w.Read, When: w.When}
	}
	return s.set(dataList, list)
}

// Reasons why something cannot be watched.
var (
	errOnStack    = errors.New("it is on the goroutine's stack, which the runtime moves and reuses: set a breakpoint with a condition on the lines that change it")
	errInMap      = errors.New("it is in a map, whose elements move when it grows: set a breakpoint with a condition on the lines that change it")
	errNoVariable = errors.New("it is a value and no variable in memory")
	errInRegister = errors.New("it is kept in registers here: set a breakpoint with a condition on the lines that change it")
)

// Watchable says what to watch for what expr denotes in a scope of the frozen
// request id. To be called inside Inspect.
func (s *Session) Watchable(id RequestID, t *proc.Target, scope *proc.EvalScope, expr string) (Data, error) {
	v, err := scope.EvalExpression(expr, dataLoad)
	switch {
	case err != nil:
		return Data{}, err
	case inMap(scope, expr):
		return Data{}, errInMap
	case v.Unreadable != nil:
		return Data{}, fmt.Errorf("it is unreadable: %w", v.Unreadable)
	case v.Flags&proc.VariableFakeAddress != 0 || v.Addr >= 1<<63:
		return Data{}, errInRegister
	case v.Addr == 0 || v.Flags&proc.VariableConstant != 0 || v.DwarfType == nil:
		return Data{}, errNoVariable
	}
	size := v.DwarfType.Size()
	if !watchableSize(size) {
		return Data{}, fmt.Errorf("it has %d bytes, and the hardware watches 1, 2, 4 or 8: %s", size, parts(v, expr))
	}
	return s.WatchableAt(id, t, Data{Addr: v.Addr, Size: int(size), Expr: expr, Kind: v.Kind})
}

// dataLoad reads no more of a variable than what it is.
var dataLoad = proc.LoadConfig{MaxStringLen: 1, MaxArrayValues: 1, MaxStructFields: -1}

// inMap says whether expr denotes a part of a map's element, which moves when the
// map grows.
func inMap(scope *proc.EvalScope, expr string) bool {
	n, err := parser.ParseExpr(expr)
	for err == nil {
		var whole ast.Expr
		switch part := n.(type) {
		case *ast.ParenExpr:
			n = part.X
			continue
		case *ast.SelectorExpr:
			whole = part.X
		case *ast.IndexExpr:
			whole = part.X
		default:
			return false
		}
		v, err := scope.EvalExpression(astutil.ExprToString(whole), dataLoad)
		if err != nil {
			return false // of a package
		}
		switch v.Kind {
		case reflect.Map:
			return true
		case reflect.Struct, reflect.Array:
			n = whole
		default:
			return false // behind a pointer it is somewhere else
		}
	}
	return false
}

func watchableSize(n int64) bool { return n == 1 || n == 2 || n == 4 || n == 8 }

// root is the request that r is or belongs to.
func (r Request) root() RequestID {
	if r.Root != 0 {
		return r.Root
	}
	return r.ID
}

// WatchableAt is Watchable for memory at an address; it sets d.Request.
func (s *Session) WatchableAt(id RequestID, t *proc.Target, d Data) (Data, error) {
	if err := s.e.canWatch(d); err != nil {
		return d, err
	}
	regs, err := t.CurrentThread().Registers()
	if err != nil {
		return d, err
	}
	if g, ok := regs.GAddr(); ok {
		lo, err1 := s.e.mem.Uint64(g) // g.stack is the first field of runtime.g
		hi, err2 := s.e.mem.Uint64(g + 8)
		if err := errors.Join(err1, err2); err != nil {
			return d, fmt.Errorf("the bounds of the goroutine's stack: %w", err)
		}
		if lo <= d.Addr && d.Addr < hi {
			return d, errOnStack
		}
	}
	static, err := s.e.static(d.Addr)
	if err != nil {
		return d, err
	}
	d.Request = 0
	if !static {
		s.e.mu.Lock()
		defer s.e.mu.Unlock()
		r, err := s.lookup(id)
		if err != nil {
			return d, err
		}
		d.Request = r.root
	}
	return d, nil
}

// canWatch says why the hardware cannot watch d.
func (e *Engine) canWatch(d Data) error {
	switch {
	case !watchableSize(int64(d.Size)):
		return fmt.Errorf("%d bytes are asked for, and the hardware watches 1, 2, 4 or 8", d.Size)
	case d.Addr%uint64(d.Size) != 0:
		return fmt.Errorf("its address %#x is no multiple of its size, %d, as the hardware needs", d.Addr, d.Size)
	}
	n, err := writable(e.cfg.PID, d.Addr, uint64(d.Size))
	if err == nil && n < uint64(d.Size) {
		err = fmt.Errorf("%d bytes at %#x: %w", d.Size, d.Addr, ErrNotWritable)
	}
	return err
}

// parts says what of v can be watched instead.
func parts(v *proc.Variable, expr string) string {
	switch v.Kind {
	case reflect.Struct:
		typ, ok := v.RealType.(*godwarf.StructType)
		if !ok {
			break
		}
		expr = strings.TrimPrefix(expr, "*") // (*p).f is p.f
		var names []string
		for _, f := range typ.Field {
			if f.Type != nil && watchableSize(f.Type.Size()) {
				names = append(names, expr+"."+f.Name)
			}
		}
		const some = 8
		if len(names) > some {
			names = append(names[:some], "...")
		}
		if len(names) > 0 {
			return "watch one of its fields: " + strings.Join(names, ", ")
		}
	case reflect.Array:
		return "watch one of its elements: " + expr + "[0]"
	case reflect.String, reflect.Slice:
		elements := ""
		if v.Kind == reflect.Slice {
			elements = "one of its elements, " + expr + "[0], "
		}
		return fmt.Sprintf("watch %sits pointer, *(*uintptr)(%#x), or its length, *(*int)(%#x)", elements, v.Addr, v.Addr+8)
	case reflect.Interface:
		return fmt.Sprintf("watch its type, *(*uintptr)(%#x), or its value, *(*uintptr)(%#x)", v.Addr, v.Addr+8)
	}
	return "watch a part of it"
}

// static says whether addr is in a data section of the executable, where package
// variables are.
func (e *Engine) static(addr uint64) (bool, error) {
	f, err := elf.Open(e.img.Path)
	if err != nil {
		return false, fmt.Errorf("sections of the executable: %w", err)
	}
	defer f.Close()
	addr -= e.bi.Images[0].StaticBase
	return slices.ContainsFunc(f.Sections, func(s *elf.Section) bool {
		return s.Flags&elf.SHF_WRITE != 0 && s.Addr <= addr && addr < s.Addr+s.Size
	}), nil
}

// watch is what the thread is to watch.
func (b *userBreakpoint) watch() live.Watch {
	return live.Watch{Addr: b.asked.data.Addr, Len: b.asked.data.Size, Read: b.asked.read}
}

// data says whether b is a data breakpoint.
func (b *userBreakpoint) data() bool { return b.asked.data.Size != 0 }

// concerns says whether d is watched in the requests of a root.
func (d Data) concerns(root RequestID) bool { return d.Request == 0 || d.Request == root }

// ready is what a request is to stop at that has not stopped yet.
type ready struct {
	stops []uint64 // the most important first
	data  []*userBreakpoint

	returns *live.Returns // nil: none are watched
}

// watches are those of the requests of a root.
func (a *ready) watches(root RequestID) []live.Watch {
	var list []live.Watch
	for _, b := range a.data {
		if b.asked.data.concerns(root) {
			list = append(list, b.watch())
		}
	}
	return list
}

// ready is what is armed.
func (s *Session) ready() *ready {
	data := slices.DeleteFunc(s.verified(), func(b *userBreakpoint) bool { return !b.data() })
	s.owners = ownersOf(s.verified())
	stops := s.addresses()
	slices.SortFunc(stops, func(a, b uint64) int { return s.order(0, a, b) })
	a := &ready{stops: stops, data: data}
	if s.returning() != nil {
		a.returns = s.e.returns().set
	}
	return a
}

// locateData checks that what is asked for can be watched now.
func (s *Session) locateData(b *userBreakpoint) {
	d := b.asked.data
	if b.err = s.e.canWatch(d); b.err != nil {
		return
	}
	if d.Request == 0 {
		switch static, err := s.e.static(d.Addr); {
		case err != nil:
			b.err = err
		case !static:
			b.err = errOver
		}
		return
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	if _, err := s.lookup(d.Request); err != nil {
		b.err = errOver
	}
}

// errOver is why a data breakpoint of a request that is over is not set.
var errOver = errors.New("the request in whose memory it is has ended, and the memory may hold something else by now: set it anew in the next request")

// endData ends the data breakpoints in a request's memory. Called when it is
// gone, without locks.
func (s *Session) endData(id RequestID) {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	before, found := s.published(), false
	for _, b := range s.breakpoints {
		if b.data() && b.asked.data.Request == id {
			b.err, found = errOver, true
		}
	}
	if found {
		s.redeal(before, "")
	}
}

// dataHit describes the access that the request stands behind; nil if it stands
// elsewhere. Called under the brain lock.
func (r *request) dataHit() *DataHit {
	hit, ok := r.proc.Hit() // how the bits are read is the first such breakpoint's
	if !ok {
		return nil
	}
	for _, b := range r.session.breakpoints {
		if !b.data() || b.watch() != hit.Watch {
			continue
		}
		d := b.asked.data
		// The instruction before is the one that did it, unless that one
		// jumped: but calls and returns access the stack alone.
		h := DataHit{Expr: d.Expr, Old: d.format(hit.Old), New: d.format(hit.New), Read: b.asked.read, Where: r.place(hit.PC - 1)}
		return &h
	}
	return nil
}

// place is where pc is, as a person reads it.
func (r *request) place(pc uint64) string {
	file, line, fn := r.e.bi.PCToLine(pc)
	name := fmt.Sprintf("%#x", pc)
	if fn != nil {
		name = fn.Name
	}
	return fmt.Sprintf("%s %s:%d", name, filepath.Base(file), line)
}

// format shows a value of the memory.
func (d Data) format(raw uint64) string {
	shift := 64 - 8*d.Size
	switch d.Kind {
	case reflect.Bool:
		return fmt.Sprint(raw != 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprint(int64(raw<<shift) >> shift)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprint(raw)
	case reflect.Float32:
		return fmt.Sprint(math.Float32frombits(uint32(raw)))
	case reflect.Float64:
		return fmt.Sprint(math.Float64frombits(raw))
	case reflect.Complex64:
		return fmt.Sprint(complex(math.Float32frombits(uint32(raw)), math.Float32frombits(uint32(raw>>32))))
	case reflect.Array, reflect.Struct:
		var buf [8]byte
		binary.LittleEndian.PutUint64(buf[:], raw)
		return fmt.Sprintf("% x", buf[:d.Size])
	}
	if raw == 0 {
		return "nil"
	}
	return fmt.Sprintf("%#x", raw)
}
