//go:build linux && amd64

package session

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"

	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/live"
)

// Where the functions of the main module return an error. That is read from the
// debug information and from the code once, when somebody asks for it first.

// returnIndex is what was found.
type returnIndex struct {
	set     *live.Returns
	funcs   int             // that have a place in set
	left    int             // returns that did not fit
	opaque  int             // functions whose code cannot be read
	takes   map[uint64]bool // functions that are handed errors, by their entry
	nothing error           // why there is nothing in set
}

// returns finds them. Called under the brain lock.
func (e *Engine) returns() *returnIndex {
	if e.returnsFound != nil {
		return e.returnsFound
	}
	x := &returnIndex{set: new(live.Returns), takes: make(map[uint64]bool)}
	e.returnsFound = x
	list, err := e.errorFunctions()
	if err != nil {
		x.nothing = fmt.Errorf("the debug information cannot be read: %w", err)
		return x
	}
	for _, f := range list {
		if f.takes {
			x.takes[f.entry] = true
		}
		bounds := e.text.bounds(f.entry)
		sites, err := live.FindReturns(e.code(bounds[0], int(bounds[1]-bounds[0])), bounds[0], f.reg, uint64(f.stack))
		switch {
		case err != nil:
			x.opaque++
		case len(x.set.Sites)+len(sites) > live.MaxReturns:
			x.left += len(sites)
		case len(sites) > 0:
			x.funcs++
			x.set.Sites = append(x.set.Sites, sites...)
		}
	}
	slices.SortFunc(x.set.Sites, func(a, b live.ReturnSite) int { return cmp.Compare(a.Addr, b.Addr) })
	if len(x.set.Sites) == 0 {
		x.nothing = errors.New("no function of the program's main module returns an error, or all are inlined where they are called")
	}
	return x
}

// String says what is watched.
func (x *returnIndex) String() string {
	text := fmt.Sprintf("errors returned: %d returns in %d functions of the main module are watched while a request runs", len(x.set.Sites), x.funcs)
	if x.left > 0 {
		text += fmt.Sprintf("; %d more are not, since %d are the most that can be", x.left, live.MaxReturns)
	}
	if x.opaque > 0 {
		text += fmt.Sprintf("; %d functions are not, since they have instructions of unknown length", x.opaque)
	}
	return text
}

// errorFunction is a function of the main module whose last result is an error.
type errorFunction struct {
	entry uint64
	reg   int // see invoke.LastResult
	stack int64
	takes bool // it is handed an error
}

// errorFunctions reads the units of the main module's packages.
func (e *Engine) errorFunctions() ([]errorFunction, error) {
	image := e.bi.Images[0]
	rd, origins := image.DwarfReader(), image.DwarfReader()
	if rd == nil {
		return nil, errNoDwarf
	}
	var list []errorFunction
	units := make(map[dwarf.Offset]bool)
	read := make(map[uint64]bool)
	for i, entry := range e.text.start {
		if e.text.class[i] != classUser || read[entry] {
			continue
		}
		unit, err := rd.SeekPC(entry - image.StaticBase)
		if err != nil || units[unit.Offset] {
			continue // a function without debug information
		}
		units[unit.Offset] = true
		for {
			sub, err := rd.Next()
			if err != nil {
				return nil, err
			}
			if sub == nil || sub.Tag == 0 || sub.Tag == dwarf.TagCompileUnit {
				break
			}
			low, ok := sub.Val(dwarf.AttrLowpc).(uint64)
			if sub.Tag != dwarf.TagSubprogram || !ok || !e.text.user(low+image.StaticBase) {
				rd.SkipChildren()
				continue
			}
			at := low + image.StaticBase
			read[at] = true
			params, err := parametersOf(rd.Reader, origins.Reader, sub)
			if err != nil {
				return nil, err
			}
			if f, ok := params.errorFunction(image.Type); ok {
				f.entry = at
				list = append(list, f)
			}
		}
	}
	slices.SortFunc(list, func(a, b errorFunction) int { return cmp.Compare(a.entry, b.entry) })
	return list, nil
}

var errNoDwarf = errors.New("there is none")

// parameters are the types of a function's, as offsets in the debug information.
type parameters struct{ args, results []dwarf.Offset }

// parametersOf reads the parameters of the function sub, at whose children rd is,
// and leaves rd behind them. A function that is inlined elsewhere has them at its
// origin.
func parametersOf(rd, origins *dwarf.Reader, sub *dwarf.Entry) (p parameters, err error) {
	if origin, ok := sub.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
		rd.SkipChildren()
		origins.Seek(origin)
		if sub, err = origins.Next(); err != nil || sub == nil {
			return p, err
		}
		rd = origins
	}
	if !sub.Children {
		return p, nil
	}
	seen := map[string]bool{}
	for {
		child, err := rd.Next()
		if err != nil || child == nil || child.Tag == 0 {
			return p, err
		}
		// A result that is kept in memory for a while is there twice.
		name, _ := child.Val(dwarf.AttrName).(string)
		if t, ok := child.Val(dwarf.AttrType).(dwarf.Offset); ok && child.Tag == dwarf.TagFormalParameter && !seen[name] {
			seen[name] = name != "_"
			if result, _ := child.Val(dwarf.AttrVarParam).(bool); result {
				p.results = append(p.results, t)
			} else {
				p.args = append(p.args, t)
			}
		}
		rd.SkipChildren()
	}
}

// errorFunction says where a function with these parameters leaves its error; not
// ok if it returns none.
func (p parameters) errorFunction(typeAt func(dwarf.Offset) (godwarf.Type, error)) (f errorFunction, ok bool) {
	types := func(list []dwarf.Offset) (types []godwarf.Type, ok bool) {
		for _, off := range list {
			t, err := typeAt(off)
			if err != nil {
				return nil, false
			}
			if generic, ok := t.(*godwarf.ParametricType); ok {
				t = generic.TypedefType.Type // the shape that it is compiled for
			}
			types = append(types, t)
		}
		return types, true
	}
	if n := len(p.results); n == 0 {
		return f, false
	} else if last, err := typeAt(p.results[n-1]); err != nil || !isErrorType(last) {
		return f, false
	}
	args, ok1 := types(p.args)
	results, ok2 := types(p.results)
	if !ok1 || !ok2 {
		return f, false
	}
	f.takes = slices.ContainsFunc(args, handsErrors)
	var err error
	f.reg, f.stack, err = invoke.LastResult(args, results)
	return f, err == nil
}

// isErrorType tells the interface type error.
func isErrorType(t godwarf.Type) bool {
	_, isInterface := godwarf.ResolveTypedef(t).(*godwarf.InterfaceType)
	return isInterface && t.Common().Name == "error"
}

// handsErrors says whether a parameter of type t may be an error.
func handsErrors(t godwarf.Type) bool {
	s, isSlice := godwarf.ResolveTypedef(t).(*godwarf.SliceType)
	return isErrorType(t) || isSlice && isErrorType(s.ElemType)
}
