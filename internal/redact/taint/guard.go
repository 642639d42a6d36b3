package taint

import (
	"errors"
	"fmt"
	"go/ast"
	"reflect"
	"strings"

	"github.com/go-delve/delve/pkg/astutil"
	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// Shared is what all guards of one service have in common. The zero value is
// ready.
type Shared struct {
	Secrets redact.Secrets
	tags    tags
	program program
}

// Guard is the redaction of one client. A nil Guard redacts nothing.
type Guard struct {
	policy  *redact.Policy
	shared  *Shared
	layouts map[*godwarf.StructType]*layout // used by searches alone
}

// NewGuard makes a guard; a nil policy is the default one.
func NewGuard(policy *redact.Policy, shared *Shared) *Guard {
	if policy == nil {
		policy = redact.Default()
	}
	return &Guard{policy: policy, shared: shared}
}

// Lifted returns a guard that hides fields with the struct tag and nothing else.
func (g *Guard) Lifted() *Guard {
	if g == nil {
		return nil
	}
	return &Guard{policy: g.policy.Lift(), shared: g.shared}
}

// Name tells whether a variable, field or header of that name is a secret.
func (g *Guard) Name(name string) bool { return g != nil && g.policy.Name(name) }

// Key is Name for a key of a map.
func (g *Guard) Key(key string) bool { return g != nil && g.policy.Key(key) }

// Type tells whether values of a type are secrets by its name: of pointers to
// it and lists of it as well.
func (g *Guard) Type(t godwarf.Type) bool {
	if g == nil || g.policy.Lifted() {
		return false
	}
	for range 4 {
		switch u := t.(type) {
		case *godwarf.PtrType:
			t = u.Type
		case *godwarf.SliceType:
			if named(u.Common().Name) {
				return g.policy.TypeName(u.Common().Name)
			}
			t = u.ElemType
		case *godwarf.ArrayType:
			t = u.Type
		case nil:
			return false
		default:
			name := u.Common().Name
			if st, ok := u.(*godwarf.StructType); ok && name == "" {
				name = st.StructName
			}
			return named(name) && g.policy.TypeName(name)
		}
	}
	return false
}

// named tells the name of a defined type from the text of a composite one.
func named(name string) bool {
	for _, p := range []string{"*", "[", "map[", "func(", "chan ", "<-chan", "struct {", "interface {"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	return strings.Contains(name, ".")
}

// TypeName is Type for its name as Delve writes it.
func (g *Guard) TypeName(name string) bool {
	if g == nil {
		return false
	}
	name = strings.TrimLeft(name, "*")
	if rest, ok := strings.CutPrefix(name, "["); ok {
		if _, elem, ok := strings.Cut(rest, "]"); ok {
			name = strings.TrimLeft(elem, "*")
		}
	}
	return named(name) && g.policy.TypeName(name)
}

// Var tells whether a variable of that name and type is a secret; either may be
// unknown.
func (g *Guard) Var(name string, t godwarf.Type) bool { return g.Name(name) || g.Type(t) }

// Field tells whether a field of the struct type with that name is a secret.
func (g *Guard) Field(structName, field string, t godwarf.Type) bool {
	return g.Var(field, t) || g.Tagged(structName, field)
}

// Tagged tells fields with the struct tag remotedbg:"-", which nothing shows.
func (g *Guard) Tagged(structName, field string) bool {
	return g != nil && g.shared.tags.hidden(structName, field)
}

// Text returns a text that a client or an operator is to read without its
// secrets.
func (g *Guard) Text(s string) string {
	if g == nil || len(s) < redact.MinSecret {
		return s
	}
	lifted := g.policy.Lifted()
	s = g.shared.Secrets.Scrub(s, lifted)
	return redact.Collapse(g.policy.Text(s))
}

// known is Text without the patterns: for what is on its way out, which may be
// the text of a program.
func (g *Guard) known(s string) string {
	return redact.Collapse(g.shared.Secrets.Scrub(s, g.policy.Lifted()))
}

// Wire is the last look at a message in JSON before it leaves. data says whether
// its texts are a service's data: the text of a program is not looked through for
// what merely looks like a secret.
func (g *Guard) Wire(message []byte, data bool) []byte {
	switch {
	case g == nil:
		return message
	case data:
		return redact.JSON(message, g.Text)
	}
	return redact.JSON(message, g.known)
}

// SealsMemory says whether memory may be read only where a client was shown what
// is there.
func (g *Guard) SealsMemory() bool {
	return g != nil && (!g.policy.Lifted() || g.shared.tags.any())
}

// ErrSealed says that memory was asked for that the client was shown nothing of.
var ErrSealed = errors.New("redaction is on: memory can be read only where a variable was shown that is no secret; role mutate with --no-redaction lifts it")

// ErrRedacted says that what is to be done would tell of a secret.
var ErrRedacted = errors.New("redaction is on: it would tell of a redacted value; role mutate with --no-redaction lifts it")

// Check looks at an expression before it is evaluated. secret: its value is one
// and must be shown as redact.Mark without being evaluated. An error says what
// may not be done. shown is the memory that the client may make pointers to; nil:
// none.
func (g *Guard) Check(scope *proc.EvalScope, expr string, shown *Extents) (secret bool, err error) {
	if g == nil {
		return false, nil
	}
	e, err := g.policy.Expression(expr, func(name string) bool { return isPackage(scope, name) })
	if err != nil {
		return false, nil // Delve says it better
	}
	if e.Secret != "" {
		return true, nil
	}
	if g.tagInside(scope, expr) {
		return true, nil
	}
	if !g.SealsMemory() {
		return false, nil
	}
	if e.Register != "" && !isLocal(scope, e.Register) {
		return false, errRegister(e.Register)
	}
	for _, cast := range e.Casts {
		if err := g.checkCast(scope, cast, shown); err != nil {
			return false, err
		}
	}
	return g.typeInside(scope, e.Operands), nil
}

// typeInside tells whether an operand has the type of a secret: an element or a
// field of it has another one.
func (g *Guard) typeInside(scope *proc.EvalScope, operands []ast.Expr) bool {
	if g.policy.Lifted() {
		return false
	}
	for i, x := range operands {
		if i == maxOperands {
			return true // nobody writes so many to look at a value
		}
		if v, err := scope.EvalExpression(astutil.ExprToString(x), addressOnly); err == nil && g.Type(v.DwarfType) {
			return true
		}
	}
	return false
}

// maxOperands bounds the parts of an expression that are looked at one by one.
const maxOperands = 64

// CheckText is Check for an expression that is evaluated later, where nothing was
// shown: a condition. No pointer may be made in it.
func (g *Guard) CheckText(expr string, isPackage func(name string) bool) (secret bool, err error) {
	if g == nil {
		return false, nil
	}
	e, err := g.policy.Expression(expr, isPackage)
	if err != nil {
		return false, nil // Delve says it better
	}
	if t := g.shared.tags.found.Load(); t != nil && selectsAny(expr, t.names) {
		return true, nil // of which type cannot be told yet
	}
	switch {
	case e.Secret != "":
		return true, nil
	case !g.SealsMemory():
		return false, nil
	case e.Register != "":
		return false, errRegister(e.Register)
	}
	for _, cast := range e.Casts {
		if call, ok := cast.(*ast.CallExpr); ok && redact.MakesPointer(call) {
			return false, fmt.Errorf("%s: %w", astutil.ExprToString(cast), ErrSealed)
		}
	}
	return false, nil
}

func errRegister(name string) error {
	return fmt.Errorf("%s: redaction is on: a register may hold a part of a secret; role mutate with --no-redaction lifts it", name)
}

// addressOnly reads of a value where it is.
var addressOnly = proc.LoadConfig{}

// checkCast refuses what makes a pointer to memory that was not shown.
func (g *Guard) checkCast(scope *proc.EvalScope, cast ast.Expr, shown *Extents) error {
	call, ok := cast.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return nil // no conversion, and Delve refuses calls
	}
	v, err := scope.EvalExpression(astutil.ExprToString(cast), addressOnly)
	if err != nil {
		return nil // nor can the whole be evaluated, and Delve says better why
	}
	if v.Kind != reflect.Pointer && v.Kind != reflect.UnsafePointer {
		return nil
	}
	pt, ok := v.RealType.(*godwarf.PtrType)
	if !ok || len(v.Children) == 0 {
		return ErrSealed
	}
	addr := v.Children[0].Addr
	if addr == 0 || shown.Same(pt.Type, addr) {
		return nil
	}
	if size := pt.Type.Size(); size <= 0 || hasPointers(pt.Type, 0) || !shown.Has(addr, uint64(size)) {
		return fmt.Errorf("%s: %w", astutil.ExprToString(cast), ErrSealed)
	}
	return nil
}

// Writes refuses what would write the place of a secret's bytes into the service.
func writes(data []byte) error {
	if redact.Filled(data) {
		return ErrRedacted
	}
	return nil
}

// isPackage tells whether a name stands for a package in a scope.
func isPackage(scope *proc.EvalScope, name string) bool {
	if scope == nil || len(scope.BinInfo.PackageMap[name]) == 0 {
		return false
	}
	return !isLocal(scope, name)
}

func isLocal(scope *proc.EvalScope, name string) bool {
	if scope == nil {
		return false
	}
	vars, err := scope.Locals(0, name)
	return err != nil || len(vars) > 0
}

// hasPointers tells types that hold a pointer, a function or an interface.
func hasPointers(t godwarf.Type, depth int) bool {
	if depth > 16 {
		return true
	}
	switch t := t.(type) {
	case *godwarf.BoolType, *godwarf.IntType, *godwarf.UintType, *godwarf.CharType, *godwarf.UcharType,
		*godwarf.FloatType, *godwarf.ComplexType, *godwarf.EnumType:
		return false
	case *godwarf.TypedefType:
		return hasPointers(t.Type, depth+1)
	case *godwarf.ArrayType:
		return hasPointers(t.Type, depth+1)
	case *godwarf.StructType:
		for _, f := range t.Field {
			if hasPointers(f.Type, depth+1) {
				return true
			}
		}
		return false
	}
	return true
}
