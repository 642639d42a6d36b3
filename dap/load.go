//go:build linux && amd64

package dap

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// firstLook is how much of a variable is read to show it; its children are
// read when they are asked for.
var firstLook = proc.LoadConfig{
	FollowPointers:     true,
	MaxVariableRecurse: 1,
	MaxStringLen:       512,
	MaxArrayValues:     64,
	MaxStructFields:    -1,
}

// viewer reads and presents the variables of one frame. It lives for one
// inspection.
type viewer struct {
	*showing
	h     *handles
	f     *frame
	scope *proc.EvalScope
	t     *proc.Target
	stack []proc.Stackframe // of the request, innermost first
	g     *taint.Guard      // what hides secrets
	seen  *taint.Extents    // what the client was shown of this stop; nil: it may read all memory

	reads, readBytes int // by showers, for this answer
}

// view makes a viewer of f and runs use inside an inspection.
func (c *conn) view(f *frame, other *kind, use func(x *viewer) error) error {
	return c.inspect(f.req, other, func(t *proc.Target) error {
		frames, err := unwind(t, max(f.index+1, wholeStack))
		if err != nil {
			return err
		}
		if f.index >= len(frames) {
			return fmt.Errorf("the stack has %d frames, frame %d is gone", len(frames), f.index)
		}
		// No goroutine is no obstacle: a few expressions need one, and say so.
		g, _ := proc.GetG(t.CurrentThread())
		scope := proc.FrameToScope(t, t.Memory(), g, t.CurrentThread().ThreadID(), frames[f.index:]...)
		if c.show.types == nil {
			c.show.types = make(map[uint64]dynType)
		}
		show := c.show
		x := &viewer{showing: &show, h: c.handles, f: f, scope: scope, t: t, stack: frames, g: c.guard()}
		if x.g.SealsMemory() {
			x.seen = c.handles.stop(f.req).seen
		}
		return use(x)
	})
}

// load returns v with its first level of children, reading them if the
// recursion limit left them out. expr is an expression for v, or "".
func (x *viewer) load(v *proc.Variable, expr string) *proc.Variable {
	if !isShallow(v) {
		return v
	}
	loaded, err := x.reload(v, expr)
	if err != nil {
		unread := *v
		unread.Unreadable = err
		return &unread
	}
	loaded.Name, loaded.Flags, loaded.DeclLine = v.Name, v.Flags, v.DeclLine
	return loaded
}

// reload reads v anew. By address where it has one, because a name may be
// shadowed; by its expression where it lies in registers.
func (x *viewer) reload(v *proc.Variable, expr string) (*proc.Variable, error) {
	var err error
	if v.Addr != 0 && v.Flags&proc.VariableFakeAddress == 0 && v.DwarfType != nil {
		var got *proc.Variable
		if got, err = x.at(v.DwarfType, v.Addr); err == nil {
			return got, nil
		}
	}
	if expr != "" {
		return x.scope.EvalExpression(expr, firstLook)
	}
	if err == nil {
		err = errors.New("it has no address and no name")
	}
	return nil, err
}

// at reads what is of type t at addr.
func (x *viewer) at(t godwarf.Type, addr uint64) (*proc.Variable, error) {
	return x.scope.EvalExpression(fmt.Sprintf("*(*%q)(%#x)", api.PrettyTypeName(t), addr), firstLook)
}

// isShallow tells whether there are children that were not read.
func isShallow(v *proc.Variable) bool {
	if v.Unreadable != nil {
		return false
	}
	if v.OnlyAddr {
		return true
	}
	switch v.Kind {
	case reflect.Struct:
		return len(v.Children) == 0 && fieldCount(v) > 0 && v.Addr != 0
	case reflect.Slice:
		return len(v.Children) == 0 && v.Len > 0 && v.Base != 0
	case reflect.Array, reflect.Map:
		return len(v.Children) == 0 && v.Len > 0
	case reflect.Pointer, reflect.Interface:
		if v.Addr == 0 { // the result of &x: only its target is somewhere
			return false
		}
		return len(v.Children) == 0 || v.Children[0].OnlyAddr && v.Children[0].Addr != 0
	}
	return false
}

func fieldCount(v *proc.Variable) int {
	if st, ok := v.RealType.(*godwarf.StructType); ok {
		return len(st.Field)
	}
	return 0
}

// target follows v to the value whose children a person wants to see: through
// interfaces to what they hold, and through a pointer to a struct, as Go's own
// selectors do. The expression returned fits the value returned.
func (x *viewer) target(v *proc.Variable, expr string) (*proc.Variable, string) {
	// Each step leads one type deeper; four is **iface -> iface -> *T -> T.
	for range 4 {
		if v.Unreadable != nil || len(v.Children) == 0 || v.Children[0].Addr == 0 {
			return v, expr
		}
		child := &v.Children[0]
		switch {
		case v.Kind == reflect.Interface && child.Kind != reflect.Invalid:
			if expr != "" {
				expr += ".(data)" // Delve's assertion to the dynamic type
			}
			v = x.load(child, expr)
		case v.Kind == reflect.Pointer && child.Kind == reflect.Struct:
			deref := ""
			if expr != "" {
				deref = "(*" + expr + ")"
			}
			return x.load(child, deref), expr
		default:
			return v, expr
		}
	}
	return v, expr
}

// isExpandable tells whether v, a result of target, has children to ask for.
func isExpandable(v *proc.Variable) bool {
	if v.Unreadable != nil {
		return false
	}
	switch v.Kind {
	case reflect.Struct, reflect.Chan, reflect.Func:
		return len(v.Children) > 0
	case reflect.Complex64, reflect.Complex128:
		return v.Value != nil
	case reflect.Slice:
		return v.Len > 0 && v.Base != 0
	case reflect.Array, reflect.Map:
		return v.Len > 0
	case reflect.Pointer:
		return len(v.Children) > 0 && v.Children[0].Addr != 0 && v.Children[0].Kind != reflect.Invalid
	}
	return false
}

// indexedCount is the number of numbered children: elements and map entries.
func indexedCount(v *proc.Variable) int {
	switch v.Kind {
	case reflect.Slice, reflect.Array, reflect.Map:
		return int(v.Len)
	}
	return 0
}
