//go:build linux && amd64

package invoke

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/live"
)

// Evaluation is an expression whose calls are made one after the other, the
// innermost first: each is replaced by where its result lies, and what is left
// at last Delve evaluates.
type Evaluation struct {
	root    ast.Expr
	unsafe  bool
	calls   int
	pending *pending
	result  Result
	made    []Made
}

// Made is a result of a function in the service's memory.
type Made struct {
	Type godwarf.Type
	Addr uint64
}

// pending is the call being made.
type pending struct {
	at    *ast.Expr
	name  string // of the function
	types []godwarf.Type
	where []int64
}

// Result is what an expression came to.
type Result struct {
	// Exprs are expressions, for Delve and without calls, for its value; none
	// if a function without results was called, several if it has several.
	Exprs []string
	// Panicked: the function called has panicked, and Exprs is the value, an
	// interface value.
	Panicked bool
	// Func is the name of the last function called, "" if none was.
	Func string
}

// maxCalls bounds the calls of one expression.
const maxCalls = 16

// Parse begins the evaluation of an expression. unsafe: pointers into the
// request's stack may be passed, which is right only if the function does not
// keep them.
func Parse(expr string, unsafe bool) (*Evaluation, error) {
	root, err := parser.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	return &Evaluation{root: root, unsafe: unsafe}, nil
}

// Next prepares the next call. nil: there is none any more, and Result tells.
func (e *Evaluation) Next(env *Env) (*live.Call, error) {
	if e.result.Exprs != nil {
		return nil, nil
	}
	at, fun, err := e.find(env, &e.root)
	if err != nil {
		return nil, err
	}
	if fun == nil {
		e.result.Exprs = []string{text(e.root)}
		return nil, nil
	}
	if e.calls++; e.calls > maxCalls {
		return nil, fmt.Errorf("more than %d calls in one expression", maxCalls)
	}
	call := (*at).(*ast.CallExpr)
	p, err := newPlan(env, fun.sig, e.unsafe)
	if err != nil {
		return nil, err
	}
	if err := fun.arguments(p, call); err != nil {
		return nil, err
	}
	e.pending = &pending{at: at, name: fun.sig.fn.Name, types: fun.sig.results, where: p.where}
	e.result.Func = fun.sig.fn.Name
	c := p.call()
	c.Fresh = e.calls == 1
	return &c, nil
}

// Done takes note of how the call ended that Next has prepared.
func (e *Evaluation) Done(env *Env, done *live.Called) error {
	p := e.pending
	e.pending = nil
	switch {
	case done.Err != nil:
		return done.Err
	case done.Exited:
		return fmt.Errorf("%s called runtime.Goexit", p.name)
	case len(done.First) == 0:
		return errors.New("the service could not make room for the call")
	case done.Panic != nil:
		return e.panicked(env, done)
	}
	block := done.First[0]
	var exprs []string
	for i, t := range p.types {
		addr := block + uint64(p.where[i])
		exprs = append(exprs, fmt.Sprintf("*(*%q)(%#x)", typeName(t), addr))
		e.made = append(e.made, Made{t, addr})
	}
	if p.at == &e.root {
		e.result.Exprs = append([]string{}, exprs...)
		return nil
	}
	if len(exprs) != 1 {
		return fmt.Errorf("%s has %d results: it can only be the whole expression", p.name, len(exprs))
	}
	value, err := parser.ParseExpr(exprs[0])
	if err != nil {
		return err
	}
	*p.at = &ast.ParenExpr{X: value}
	return nil
}

// find looks for the first call whose operands have none, and resolves its
// function.
func (e *Evaluation) find(env *Env, at *ast.Expr) (*ast.Expr, *callee, error) {
	var inside []*ast.Expr
	switch n := (*at).(type) {
	case *ast.ParenExpr:
		inside = []*ast.Expr{&n.X}
	case *ast.UnaryExpr:
		inside = []*ast.Expr{&n.X}
	case *ast.StarExpr:
		inside = []*ast.Expr{&n.X}
	case *ast.SelectorExpr:
		inside = []*ast.Expr{&n.X}
	case *ast.TypeAssertExpr:
		inside = []*ast.Expr{&n.X}
	case *ast.IndexExpr:
		inside = []*ast.Expr{&n.X, &n.Index}
	case *ast.SliceExpr:
		inside = []*ast.Expr{&n.X, &n.Low, &n.High}
	case *ast.BinaryExpr:
		inside = []*ast.Expr{&n.X, &n.Y}
	case *ast.CallExpr:
		inside = []*ast.Expr{&n.Fun}
		for i := range n.Args {
			inside = append(inside, &n.Args[i])
		}
	}
	for i, in := range inside {
		if *in == nil {
			continue
		}
		found, fun, err := e.find(env, in)
		if err != nil {
			return nil, nil, err
		}
		if fun == nil {
			continue
		}
		if b, ok := (*at).(*ast.BinaryExpr); ok && i == 1 && (b.Op == token.LAND || b.Op == token.LOR) {
			return nil, nil, fmt.Errorf("a call on the right of %s: it is not known yet whether it is to be made", b.Op)
		}
		return found, fun, nil
	}
	if call, ok := (*at).(*ast.CallExpr); ok {
		fun, err := env.resolve(call.Fun)
		if err != nil || fun == nil {
			return nil, nil, err
		}
		return at, fun, nil
	}
	return nil, nil, nil
}

// arguments passes the receiver and the arguments of a call.
func (f *callee) arguments(p *plan, call *ast.CallExpr) error {
	to := f.sig.frame.args
	if f.recv != nil {
		d, err := f.receiver(p)
		if err != nil {
			return err
		}
		p.pass(d, to[0])
		to = to[1:]
	}
	p.final.Context = live.Word{Value: f.context}
	var vars []*proc.Variable
	var texts []string
	for _, a := range call.Args {
		v, err := p.env.value(text(a))
		if err != nil {
			return err
		}
		vars, texts = append(vars, v), append(texts, text(a))
	}
	// The debug information does not tell which functions are variadic.
	var rest *godwarf.SliceType
	if n := len(to); n > 0 && !call.Ellipsis.IsValid() {
		rest, _ = godwarf.ResolveTypedef(to[n-1].typ).(*godwarf.SliceType)
		if len(vars) == n && (isNil(vars[n-1]) || vars[n-1].DwarfType != nil && assignable(vars[n-1].DwarfType, to[n-1].typ)) {
			rest = nil // a slice for it
		}
	}
	fixed := len(to)
	if rest != nil {
		fixed--
	}
	if len(vars) < fixed || rest == nil && len(vars) > fixed {
		return fmt.Errorf("%s takes %d arguments, not %d", f.sig.fn.Name, fixed, len(vars))
	}
	for i := range fixed {
		d, err := p.convert(vars[i], texts[i], to[i].typ)
		if err != nil {
			return err
		}
		p.pass(d, to[i])
	}
	if rest != nil {
		d, err := p.variadic(vars[fixed:], texts[fixed:], rest)
		if err != nil {
			return err
		}
		p.pass(d, to[fixed])
	}
	return nil
}

// panicked notes what the function has panicked with.
func (e *Evaluation) panicked(env *Env, done *live.Called) error {
	var value [16]byte
	for i, w := range done.Panic {
		for b := range 8 {
			value[8*i+b] = byte(w >> (8 * b))
		}
	}
	at := done.First[0] + blockPanic
	if _, err := env.Target.Memory().WriteMemory(at, value[:]); err != nil {
		return err
	}
	expr := fmt.Sprintf("*(*%q)(%#x)", "interface {}", at)
	e.result.Panicked, e.result.Exprs = true, []string{expr}
	return nil
}

// Made lists what the calls have made so far.
func (e *Evaluation) Made() []Made { return e.made }

// Result is what came of it, once Next has no more calls.
func (e *Evaluation) Result() Result { return e.result }

func text(n ast.Expr) string {
	var b strings.Builder
	if err := format.Node(&b, token.NewFileSet(), n); err != nil {
		return ""
	}
	return b.String()
}

func stringOf(v *proc.Variable) string {
	if v.Value == nil || v.Value.Kind() != constant.String {
		return ""
	}
	return constant.StringVal(v.Value)
}

// defaultType is the type that an untyped constant has in an interface.
func defaultType(env *Env, v *proc.Variable) (godwarf.Type, error) {
	name := ""
	switch {
	case v.Value == nil:
	case v.Kind == reflect.Int32:
		name = "int32"
	case v.Value.Kind() == constant.Int:
		name = "int"
	case v.Value.Kind() == constant.Float:
		name = "float64"
	case v.Value.Kind() == constant.String:
		name = "string"
	case v.Value.Kind() == constant.Bool:
		name = "bool"
	}
	if name == "" {
		return nil, errors.New("it has no type")
	}
	return env.Scope.BinInfo.FindType(name)
}
