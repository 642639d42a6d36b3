//go:build linux && amd64

package dap

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

// setVariable sets a row of a variables pane.
func (c *conn) setVariable(_ context.Context, args dap.SetVariableArguments) (dap.SetVariableResponseBody, error) {
	var body dap.SetVariableResponseBody
	n, err := c.handles.node(args.VariablesReference)
	if err != nil {
		return body, err
	}
	err = c.assign(n.frame, args.Value, func(x *viewer) (string, error) { return x.childExpression(n, args.Name) },
		func(row dap.Variable) {
			body = dap.SetVariableResponseBody{
				Value: row.Value, Type: row.Type, VariablesReference: row.VariablesReference,
				NamedVariables: row.NamedVariables, IndexedVariables: row.IndexedVariables,
			}
		})
	return body, err
}

// setExpression sets what an expression denotes.
func (c *conn) setExpression(_ context.Context, args dap.SetExpressionArguments) (dap.SetExpressionResponseBody, error) {
	var body dap.SetExpressionResponseBody
	expr := strings.TrimSpace(args.Expression)
	if err := refuse(expr); err != nil {
		return body, err
	}
	f, err := c.evaluationFrame(args.FrameId)
	if err != nil {
		return body, err
	}
	err = c.assign(f, args.Value, func(*viewer) (string, error) { return expr, nil }, func(row dap.Variable) {
		body = dap.SetExpressionResponseBody{
			Value: row.Value, Type: row.Type, VariablesReference: row.VariablesReference,
			NamedVariables: row.NamedVariables, IndexedVariables: row.IndexedVariables,
		}
	})
	return body, err
}

// assign sets what the expression that target finds denotes in f, and hands on
// how it looks then.
func (c *conn) assign(f *frame, value string, target func(x *viewer) (string, error), done func(dap.Variable)) error {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxExpression {
		return kindAssign.becauseOf(fmt.Sprintf("the value has %d bytes, 1 to %d are accepted", len(value), maxExpression))
	}
	var expr string
	err := c.view(f, kindAssign, func(x *viewer) (err error) {
		if expr, err = target(x); err != nil {
			return err
		}
		return x.set(expr, value)
	})
	if err != nil {
		return err
	}
	// Anew, since the first view has read the frame ahead.
	err = c.view(f, kindAssign, func(x *viewer) error {
		v, secret, err := x.checked(expr, firstLook)
		switch {
		case err != nil:
			return err
		case secret:
			done(hiddenRow(expr, expr, ""))
			return nil
		}
		done(x.present(v, expr, expr))
		return nil
	})
	if err != nil {
		return err
	}
	c.afterReply(func() {
		if f.optimized && !c.warnedOptimized {
			c.warnedOptimized = true
			c.output("remotedbg: the variable is set in memory; its function is optimised and may go on with a copy that it keeps in a register")
		}
		c.invalidate("variables")
	})
	return nil
}

// element is the name of a row of a list.
var element = regexp.MustCompile(`^\[[0-9]+\]$`)

// childExpression finds an expression for the child of n that a row of that
// name shows.
func (x *viewer) childExpression(n *node, name string) (string, error) {
	if n.v != nil {
		switch n.v.Kind {
		case reflect.Map:
			return "", kindAssign.becauseOf(fmt.Sprintf("%s is in a map, and a map is changed by code of the runtime only", name))
		case reflect.Slice, reflect.Array:
			if n.expr != "" && element.MatchString(name) {
				return n.expr + name, nil
			}
		}
	}
	scratch := *x
	scratch.h = newHandles() // the rows are looked at for their names only
	var rows []dap.Variable
	if n.v != nil {
		rows = scratch.named(n)
	} else {
		var err error
		if rows, err = scratch.locals(); err != nil {
			return "", err
		}
	}
	for _, row := range rows {
		if row.Name != name {
			continue
		}
		if row.EvaluateName == "" {
			return "", kindAssign.becauseOf(fmt.Sprintf("no expression denotes %s here: it is shadowed, unnamed or made up for display", name))
		}
		return row.EvaluateName, nil
	}
	return "", kindAssign.becauseOf(fmt.Sprintf("there is no %q", clip(name, maxKey)))
}

// set makes the service's memory hold value at what expr denotes. The service
// runs meanwhile: what other goroutines can reach they see at once, and a value
// of several words (a string, a slice) perhaps half.
func (x *viewer) set(expr, value string) error {
	parsed, err := parser.ParseExpr(value)
	if err != nil {
		return kindAssign.because(fmt.Errorf("value %q: %w", clip(value, maxKey), err))
	}
	if err := x.mayUse(value); err != nil {
		return kindAssign.because(err)
	}
	if _, err := x.g.Check(x.scope, expr, x.seen); err != nil {
		return kindAssign.because(err)
	}
	dst, err := x.scope.EvalExpression(expr, firstLook)
	if err != nil {
		return assignError(evaluationError(err))
	}
	switch {
	case dst.Unreadable != nil:
		return kindAssign.becauseOf(expr + " is " + strings.Trim(unreadable(dst.Unreadable), "()"))
	case dst.Flags&proc.VariableFakeAddress != 0 || dst.Addr >= addressEnd:
		return kindAssign.becauseOf(expr + " is kept in registers here, which the thaw puts back as they were: set it where it is in memory, for example through a pointer to it")
	case dst.Addr == 0 || dst.Flags&proc.VariableConstant != 0:
		return kindAssign.becauseOf(expr + " is a value and no variable")
	}
	if hasPointers(dst.RealType) {
		if err := x.mayPoint(dst, parsed, value); err != nil {
			return err
		}
	}
	return assignError(x.scope.SetVariable(expr, value))
}

// assignError is an error of an assignment in terms of what can be done.
func assignError(err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "literal string can not be allocated"): // proc.errFuncCallNotAllowedStrAlloc
		return kindAssign.becauseOf(`the text of a new string needs memory of the service's heap, which only its own code can allocate: set it to "", to another string variable or to a part of one, such as s[:3]`)
	}
	var f *failure
	if errors.As(err, &f) {
		return kindAssign.because(f.cause)
	}
	return kindAssign.because(err)
}

// mayPoint tells whether a value may be written that the garbage collector
// follows. It must be a pointer that the program has already, since a wrong one
// ends the service; it must not lead from elsewhere to a goroutine's stack; and
// while the collector marks, nobody but the program may move pointers: they
// would need a write barrier (runtime/mbarrier.go). A collection that begins in
// the microseconds between the question and the write scans the stacks later
// than that.
func (x *viewer) mayPoint(dst *proc.Variable, parsed ast.Expr, value string) error {
	made := false
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr, *ast.CompositeLit, *ast.FuncLit:
			made = true
		case *ast.UnaryExpr:
			made = made || n.Op == token.AND
		}
		return !made
	})
	if made {
		return kindAssign.becauseOf("a pointer may only be set to nil or to one that the program holds: name the variable that holds it")
	}
	switch phase, err := x.scope.EvalExpression("runtime.gcphase", firstLook); {
	case err != nil:
		return kindAssign.because(fmt.Errorf("what the garbage collector does just now: %w", err))
	case phase.Value == nil:
		return kindAssign.becauseOf("what the garbage collector does just now cannot be read")
	default:
		if n, _ := constant.Uint64Val(phase.Value); n != 0 { // _GCoff is 0
			return kindAssign.becauseOf("the garbage collector is marking just now and would miss the change: try again")
		}
	}
	src, err := x.scope.EvalExpression(value, firstLook)
	if err != nil {
		return assignError(evaluationError(err))
	}
	if isNumber(src.Kind) {
		return kindAssign.becauseOf("a number is no pointer: name a variable that holds one, or nil")
	}
	lo, hi, err := x.stackBounds()
	if err != nil {
		return kindAssign.because(err)
	}
	onStack := func(addr uint64) bool { return lo <= addr && addr < hi }
	if onStack(dst.Addr) {
		return nil
	}
	to, known := pointsTo(src)
	if !known || onStack(to) {
		return kindAssign.becauseOf("the value may lead to the goroutine's stack, which nothing outside of it may point to")
	}
	return nil
}

func isNumber(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Complex128 }

// pointsTo is the address that a value leads to, 0 for nil.
func pointsTo(v *proc.Variable) (addr uint64, known bool) {
	switch v.Kind {
	case reflect.Invalid:
		return 0, true // nil
	case reflect.String, reflect.Slice, reflect.Chan, reflect.Map:
		return v.Base, true
	case reflect.Pointer, reflect.Interface:
		if len(v.Children) == 0 {
			return 0, true
		}
		return v.Children[0].Addr, true
	}
	return 0, false
}

// stackBounds are those of the frozen goroutine's stack. It is not moved while
// it is frozen: the runtime does not shrink a stack at an asynchronous safe
// point (runtime/debugcall.go, isShrinkStackSafe in runtime/stack.go).
func (x *viewer) stackBounds() (lo, hi uint64, err error) {
	for _, b := range []struct {
		name string
		to   *uint64
	}{{"lo", &lo}, {"hi", &hi}} {
		v, err := x.scope.EvalExpression("runtime.curg.stack."+b.name, firstLook)
		if err != nil {
			return 0, 0, fmt.Errorf("the bounds of the goroutine's stack: %w", err)
		}
		if v.Value == nil {
			return 0, 0, errors.New("the bounds of the goroutine's stack cannot be read")
		}
		*b.to, _ = constant.Uint64Val(v.Value)
	}
	return lo, hi, nil
}

// hasPointers tells types that the garbage collector looks into.
func hasPointers(t godwarf.Type) bool {
	switch t := t.(type) {
	case *godwarf.BoolType, *godwarf.IntType, *godwarf.UintType, *godwarf.CharType, *godwarf.UcharType,
		*godwarf.FloatType, *godwarf.ComplexType, *godwarf.EnumType:
		return false
	case *godwarf.TypedefType:
		return hasPointers(t.Type)
	case *godwarf.ArrayType:
		return t.Count != 0 && hasPointers(t.Type)
	case *godwarf.StructType:
		for _, f := range t.Field {
			if hasPointers(f.Type) {
				return true
			}
		}
		return false
	}
	return true
}
