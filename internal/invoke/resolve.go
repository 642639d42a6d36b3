//go:build linux && amd64

package invoke

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
)

// callee is a function to be called.
type callee struct {
	sig     *signature
	context uint64 // address of the closure, 0 if it is none

	recv     *proc.Variable // nil: no method
	recvText string
	recvPtr  bool // the method has a pointer receiver
}

// Builtins are the functions of the language that Delve evaluates.
var Builtins = []string{"cap", "len", "complex", "imag", "real", "min", "max"}

// resolve finds the function that the operand of a call denotes. nil: it is a
// conversion or a builtin, or nothing at all, of which Delve will speak.
func (env *Env) resolve(fun ast.Expr) (*callee, error) {
	fun = ast.Unparen(fun)
	switch n := fun.(type) {
	case *ast.StarExpr: // of a func value, or a type
		if v, err := env.Scope.EvalExpression(text(fun), argLoad); err != nil || v.Kind != reflect.Func {
			return nil, nil
		}
	case *ast.BasicLit, *ast.ArrayType, *ast.StructType, *ast.FuncType, *ast.InterfaceType, *ast.MapType, *ast.ChanType:
		return nil, nil
	case *ast.Ident:
		if slices.Contains(Builtins, n.Name) {
			return nil, nil
		}
	case *ast.SelectorExpr:
		// Before the selector as a whole: Delve refuses methods.
		if x, err := env.Scope.EvalExpression(text(n.X), argLoad); err == nil {
			if c, err := env.method(x, text(n.X), n.Sel.Name); c != nil || err != nil {
				return c, err
			}
		} else if fn := env.packaged(n); fn != nil {
			return env.function(fn, nil)
		}
	}
	v, err := env.Scope.EvalExpression(text(fun), argLoad)
	if err != nil {
		if why := env.absent(text(fun)); why != nil || env.isType(fun) {
			return nil, why
		}
		return nil, fmt.Errorf("%s: %w: the service does not have such a function, or only inlined", text(fun), err)
	}
	if v.Kind != reflect.Func {
		return nil, fmt.Errorf("%s is no function", text(fun))
	}
	if fn, ok := functionAt(env, v); ok {
		return env.function(fn, nil)
	}
	data, err := bytesOf(v, v.DwarfType)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text(fun), err)
	}
	c := &callee{context: binary.LittleEndian.Uint64(data)}
	if c.context == 0 {
		return nil, fmt.Errorf("%s is nil", text(fun))
	}
	entry, err := env.word(c.context) // abi-internal.md, "Closures"
	if err != nil {
		return nil, err
	}
	fn := env.Scope.BinInfo.PCToFunc(entry)
	if fn == nil || fn.Entry != entry {
		return nil, fmt.Errorf("%s: no function is known at %#x", text(fun), entry)
	}
	if c.sig, err = env.signatureOf(fn, nil); err != nil {
		return nil, err
	}
	return c, nil
}

// packaged finds a package's function, nil if there is none to call. Several
// packages may have the last element of their path in common, and Delve takes
// any: internal/strconv for strconv.
func (env *Env) packaged(n *ast.SelectorExpr) *proc.Function {
	pkg, ok := n.X.(*ast.Ident)
	if !ok {
		return nil
	}
	rank := func(path string) int {
		switch {
		case path == pkg.Name:
			return 0
		case !strings.HasPrefix(path, "internal/") && !strings.Contains(path, "/internal/"):
			return 1
		}
		return 2
	}
	bi := env.Scope.BinInfo
	paths := slices.Clone(bi.PackageMap[pkg.Name])
	slices.SortStableFunc(paths, func(a, b string) int { return rank(a) - rank(b) })
	for _, path := range paths {
		for _, fn := range bi.LookupFunc()[path+"."+n.Sel.Name] {
			if fn.Entry != 0 {
				return fn
			}
		}
	}
	return nil
}

// functionAt tells the name of a function from a func value: Delve gives it the
// address of its code.
func functionAt(env *Env, v *proc.Variable) (*proc.Function, bool) {
	if v.Kind != reflect.Func || v.Addr == 0 || v.Flags&proc.VariableFakeAddress != 0 {
		return nil, false
	}
	fn := env.Scope.BinInfo.PCToFunc(v.Addr)
	if fn == nil || fn.Entry != v.Addr {
		return nil, false
	}
	return fn, true
}

func (env *Env) function(fn *proc.Function, recv godwarf.Type) (*callee, error) {
	sig, err := env.signatureOf(fn, recv)
	if err != nil {
		return nil, err
	}
	return &callee{sig: sig}, nil
}

// absent says why a function is not there, nil if nothing of its name is.
func (env *Env) absent(name string) error {
	bi := env.Scope.BinInfo
	full := name
	if !strings.Contains(name, ".") && env.Scope.Fn != nil {
		full = env.Scope.Fn.PackageName() + "." + name
	}
	if len(bi.LookupGenericFunc()[full]) > 0 {
		return fmt.Errorf("%s is generic: it is called with a dictionary that only the compiler knows", name)
	}
	for _, fn := range bi.LookupFunc()[full] {
		if fn.Entry == 0 {
			return errInlined(name)
		}
	}
	return nil
}

// isType tells the operand of a conversion.
func (env *Env) isType(fun ast.Expr) bool {
	var names []string
	switch n := fun.(type) {
	case *ast.Ident:
		if _, ok := types.Universe.Lookup(n.Name).(*types.TypeName); ok {
			return true
		}
		if env.Scope.Fn != nil {
			names = append(names, env.Scope.Fn.PackageName()+"."+n.Name)
		}
	case *ast.SelectorExpr:
		pkg, ok := n.X.(*ast.Ident)
		if !ok {
			return false
		}
		names = append(names, pkg.Name+"."+n.Sel.Name)
		for _, path := range env.Scope.BinInfo.PackageMap[pkg.Name] {
			names = append(names, path+"."+n.Sel.Name)
		}
	default:
		return true // for Delve to tell
	}
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := env.Scope.BinInfo.FindType(name)
		return err == nil
	})
}

func errInlined(name string) error {
	return fmt.Errorf("%s is inlined wherever the service calls it: there is no function left to call", name)
}

// maxEmbedding bounds how deep promoted methods are looked for.
const maxEmbedding = 5

// method finds the method name of v, the value of the expression expr: of its
// type, of the dynamic type of an interface, or promoted from an embedded field.
// nil: there is none.
func (env *Env) method(v *proc.Variable, expr, name string) (*callee, error) {
	type candidate struct {
		v    *proc.Variable
		expr string
	}
	level := []candidate{{v, expr}}
	for range maxEmbedding {
		var next []candidate
		for _, c := range level {
			if c.v.Kind == reflect.Interface && c.v.DwarfType != nil {
				if len(c.v.Children) == 0 || c.v.Children[0].Kind == reflect.Invalid || c.v.Children[0].DwarfType == nil {
					return nil, fmt.Errorf("%s is a nil interface", c.expr)
				}
				c = candidate{&c.v.Children[0], c.expr + ".(data)"}
			}
			found, err := env.methodOf(c.v, c.expr, name)
			if found != nil || err != nil {
				return found, err
			}
			for _, f := range embedded(c.v.DwarfType) {
				expr := "(" + c.expr + ")." + f
				if fv, err := env.Scope.EvalExpression(expr, argLoad); err == nil {
					next = append(next, candidate{fv, expr})
				}
			}
		}
		if level = next; len(level) == 0 {
			break
		}
	}
	return nil, nil
}

// embedded names the embedded fields of a struct, or of the one pointed to.
func embedded(t godwarf.Type) (names []string) {
	t = godwarf.ResolveTypedef(t)
	if p, ok := t.(*godwarf.PtrType); ok {
		t = godwarf.ResolveTypedef(p.Type)
	}
	if st, ok := t.(*godwarf.StructType); ok {
		for _, f := range st.Field {
			if f.Embedded {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// methodOf is method without promotion.
func (env *Env) methodOf(v *proc.Variable, expr, name string) (*callee, error) {
	if v.DwarfType == nil {
		return nil, nil
	}
	base, ptr := v.DwarfType, false
	if p, ok := base.(*godwarf.PtrType); ok {
		base, ptr = p.Type, true
	}
	pkg, typ, ok := splitName(typeName(base))
	if !ok {
		return nil, nil
	}
	for _, pointer := range []bool{false, true} {
		full, recv := pkg+"."+typ+"."+name, base
		if pointer {
			full, recv = pkg+".(*"+typ+")."+name, &godwarf.PtrType{CommonType: godwarf.CommonType{ByteSize: 8, Name: "*" + typeName(base), ReflectKind: reflect.Pointer}, Type: base}
		}
		fns := env.Scope.BinInfo.LookupFunc()[full]
		if len(fns) == 0 {
			continue
		}
		if fns[0].Entry == 0 {
			if pointer {
				return nil, errInlined(full)
			}
			continue
		}
		c, err := env.function(fns[0], recv)
		if err != nil {
			return nil, err
		}
		if env.Check != nil {
			if err := env.Check(expr); err != nil {
				return nil, err
			}
		}
		c.recv, c.recvText, c.recvPtr = v, expr, pointer
		if ptr && v.Kind != reflect.Pointer {
			return nil, fmt.Errorf("%s is no pointer", expr)
		}
		return c, nil
	}
	return nil, nil
}

// splitName splits the name of a type into package and type. Type arguments may
// contain dots and slashes.
func splitName(name string) (pkg, typ string, ok bool) {
	head, _, _ := strings.Cut(name, "[")
	slash := strings.LastIndex(head, "/")
	dot := strings.Index(head[slash+1:], ".")
	if dot < 0 {
		return "", "", false
	}
	dot += slash + 1
	return name[:dot], name[dot+1:], true
}

// receiver is the first argument of a method.
func (f *callee) receiver(p *plan) (datum, error) {
	fail := func(err error) (datum, error) { return datum{}, fmt.Errorf("%s: %w", f.recvText, err) }
	isPtr := f.recv.Kind == reflect.Pointer
	t := f.sig.args[0]
	switch {
	case f.recvPtr == isPtr:
		d, err := p.plain(f.recv, f.recv.DwarfType)
		if err != nil {
			return fail(err)
		}
		return d, nil
	case isPtr:
		if len(f.recv.Children) == 0 || f.recv.Children[0].Addr == 0 {
			return fail(errors.New("nil pointer"))
		}
		d, err := p.plain(&f.recv.Children[0], t)
		if err != nil {
			return fail(err)
		}
		return d, nil
	}
	// The address of a variable.
	addr := f.recv.Addr
	if addr == 0 || f.recv.Flags&proc.VariableFakeAddress != 0 {
		return fail(errors.New("the method takes a pointer, and it is in registers"))
	}
	data := binary.LittleEndian.AppendUint64(nil, addr)
	if !p.unsafe && p.env.StackLo <= addr && addr < p.env.StackHi {
		return fail(errors.New("the method takes a pointer, and it is on the request's stack: the function could keep it for longer than the variable lives"))
	}
	return datum{data: data}, nil
}
