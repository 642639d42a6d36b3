package redact

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Expression is what can be said of a Go expression before it is evaluated.
type Expression struct {
	// Secret is the part whose name marks a secret; "" if there is none. The
	// whole is one then: a comparison or a length tells of its operands.
	Secret string
	// Casts are conversions that may make a pointer, the inner ones first: of a
	// number, or of a pointer of another type. Calls look the same and are among
	// them.
	Casts []ast.Expr
	// Operands are the parts that an operation takes, whose types tell whether
	// they are secrets. What stands for a package is not among them.
	Operands []ast.Expr
	// Register is the name of a register of the processor, which may hold a part
	// of a secret; "" if none is used.
	Register string
}

// Expression looks into an expression; err if it is none. A name that stands for
// a package is asked for with isPackage and is no secret.
func (p *Policy) Expression(text string, isPackage func(name string) bool) (e Expression, err error) {
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return e, err
	}
	p.orDefault().Tree(tree, isPackage, &e)
	return e, nil
}

// Tree is Expression for what is parsed already. It adds to e.
func (p *Policy) Tree(tree ast.Expr, isPackage func(name string) bool, e *Expression) {
	p = p.orDefault()
	secret := func(name string) {
		if e.Secret == "" && p.Name(name) {
			e.Secret = name
		}
	}
	var walk func(n ast.Node)
	inside := func(list ...ast.Expr) {
		for _, x := range list {
			if x != nil {
				walk(x)
			}
		}
	}
	operands := func(list ...ast.Expr) {
		for _, x := range list {
			if _, literal := removeParens(x).(*ast.BasicLit); !literal {
				e.Operands = append(e.Operands, x)
			}
		}
	}
	walk = func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Ident:
			secret(n.Name)
			if isRegister(n.Name) {
				e.Register = n.Name
			}
		case *ast.SelectorExpr:
			secret(n.Sel.Name)
			if x, ok := n.X.(*ast.Ident); ok && isPackage != nil && isPackage(x.Name) {
				return
			}
			if _, ok := n.X.(*ast.BasicLit); ok { // "path/of/package".Name
				return
			}
			operands(n.X)
			walk(n.X)
		case *ast.IndexExpr:
			if key, ok := stringLit(n.Index); ok && e.Secret == "" && p.Key(key) {
				e.Secret = key
			}
			operands(n.X)
			inside(n.X, n.Index)
		case *ast.SliceExpr:
			operands(n.X)
			inside(n.X, n.Low, n.High, n.Max)
		case *ast.StarExpr:
			operands(n.X)
			inside(n.X)
		case *ast.UnaryExpr:
			operands(n.X)
			inside(n.X)
		case *ast.BinaryExpr:
			operands(n.X, n.Y)
			inside(n.X, n.Y)
		case *ast.CallExpr:
			operands(n.Args...)
			inside(n.Args...)
			if !harmless(n) {
				e.Casts = append(e.Casts, n)
			}
			if _, isLit := removeParens(n.Fun).(*ast.BasicLit); !isLit {
				walk(n.Fun)
			}
		case *ast.TypeAssertExpr:
			operands(n.X)
			inside(n.X) // a type's name is no variable's
		case *ast.FuncLit, *ast.CompositeLit:
			e.Casts = append(e.Casts, n.(ast.Expr))
		case nil:
		default:
			ast.Inspect(n, func(c ast.Node) bool {
				if c == n {
					return true
				}
				if c != nil {
					walk(c)
				}
				return false
			})
		}
	}
	walk(tree)
}

func removeParens(x ast.Expr) ast.Expr {
	for {
		p, ok := x.(*ast.ParenExpr)
		if !ok {
			return x
		}
		x = p.X
	}
}

func stringLit(x ast.Expr) (string, bool) {
	lit, ok := removeParens(x).(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// harmlessNames are predeclared: what they convert to is no pointer.
var harmlessNames = map[string]bool{
	"bool": true, "string": true, "byte": true, "rune": true, "uintptr": true,
	"int": true, "int8": true, "int16": true, "int32": true, "int64": true,
	"uint": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true,
	"float32": true, "float64": true, "complex64": true, "complex128": true,
	"len": true, "cap": true, "min": true, "max": true, "real": true, "imag": true, "complex": true,
}

// harmless tells conversions and calls that cannot make a pointer.
func harmless(call *ast.CallExpr) bool {
	switch f := removeParens(call.Fun).(type) {
	case *ast.Ident:
		return harmlessNames[f.Name]
	case *ast.ArrayType: // []byte(s), []rune(s)
		elem, ok := f.Elt.(*ast.Ident)
		return ok && f.Len == nil && harmlessNames[elem.Name]
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "runtime" && f.Sel.Name == "frame"
	}
	return false
}

// MakesPointer tells by its form a conversion to a pointer, or to what may be one.
func MakesPointer(call *ast.CallExpr) bool {
	switch f := removeParens(call.Fun).(type) {
	case *ast.StarExpr, *ast.BasicLit, *ast.FuncType, *ast.ChanType, *ast.MapType, *ast.InterfaceType, *ast.StructType:
		return true
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && x.Name == "unsafe"
	}
	return false
}

// isRegister tells registers of amd64 that carry data, as Delve names them.
func isRegister(name string) bool {
	name = strings.ToLower(strings.TrimLeft(name, "_$"))
	if len(name) >= 4 && (strings.HasPrefix(name, "xmm") || strings.HasPrefix(name, "ymm") || strings.HasPrefix(name, "zmm")) {
		return allDigits(name[3:])
	}
	switch name {
	case "rax", "rbx", "rcx", "rdx", "rsi", "rdi":
		return true
	}
	return len(name) > 1 && len(name) <= 3 && name[0] == 'r' && allDigits(name[1:])
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
