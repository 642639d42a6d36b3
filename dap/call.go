//go:build linux && amd64

package dap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/session"
)

// Calls of functions, in the debug console only: a client evaluates watches and
// hovers by itself, again and again.

// callWord is what may stand before an expression with calls, as in Delve;
// unsafeWord behind it lets pointers to the request's stack be passed.
const (
	callWord   = "call "
	unsafeWord = "-unsafe "
)

// cutCall takes the words off.
func cutCall(expr string) (rest string, asked, unsafe bool) {
	rest, asked = strings.CutPrefix(expr, callWord)
	rest = strings.TrimSpace(rest)
	if asked {
		rest, unsafe = strings.CutPrefix(rest, unsafeWord)
	}
	return strings.TrimSpace(rest), asked, unsafe
}

// mayContainCall tells an expression that has to be looked through for calls:
// what looks like one can be a conversion.
func mayContainCall(expr string) bool {
	root, err := parser.ParseExpr(expr)
	if err != nil {
		return false
	}
	found := false
	ast.Inspect(root, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		id, ok := call.Fun.(*ast.Ident)
		found = found || !ok || !slices.Contains(invoke.Builtins, id.Name)
		return true
	})
	return found
}

// evaluateCall evaluates an expression that may call functions of the service.
// called says whether it did.
func (c *conn) evaluateCall(ctx context.Context, args dap.EvaluateArguments, f *frame, expr string, unsafe, raw bool) (body dap.EvaluateResponseBody, called bool, err error) {
	q := session.CallRequest{
		Expr: expr, Frame: f.index, Unsafe: unsafe, Shown: c.handles.stop(f.req).seen,
		Before: func(string) error {
			called = true
			return c.mayCall(args)
		},
	}
	res, err := c.sess.Call(ctx, f.req, q)
	if called {
		// Also if it failed: it may have got far enough to change something.
		defer c.invalidate("variables")
	}
	if err != nil {
		return body, called, sessionError(err, kindEvaluate)
	}
	if !called {
		return body, false, nil
	}
	err = c.view(f, kindEvaluate, func(x *viewer) error {
		x.plain = x.plain || raw
		if res.Panicked {
			return x.callPanicked(res)
		}
		body, err = x.results(res)
		return err
	})
	return body, true, err
}

// mayCall is asked before the first call of an expression is made: calls change
// the service, and it is not known before whether there are any, unless the
// expression says so (asksForCall), and then it has been asked already.
func (c *conn) mayCall(args dap.EvaluateArguments) error {
	if asksForCall(args.Expression) {
		return nil
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return err
	}
	return c.admit(request{Command: "evaluate", Arguments: raw}, route{needs: mutate})
}

// results is the response for what a function has returned.
func (x *viewer) results(res invoke.Result) (dap.EvaluateResponseBody, error) {
	var body dap.EvaluateResponseBody
	cfg := firstLook
	cfg.MaxStringLen = longString
	var vars []*proc.Variable
	for _, e := range res.Exprs {
		v, err := x.scope.EvalExpression(e, cfg)
		if err != nil {
			return body, kindEvaluate.because(err)
		}
		vars = append(vars, v)
	}
	switch len(vars) {
	case 0:
		body.Result = "no results"
		return body, nil
	case 1:
		if x.g.Type(vars[0].DwarfType) {
			return redactedBody(), nil
		}
		return x.result(vars[0], res.Exprs[0], "repl"), nil
	}
	rows := func(x *viewer, _ string) []dap.Variable {
		var list []dap.Variable
		for i, v := range vars {
			name, expr := fmt.Sprintf("(result %d)", i+1), "("+res.Exprs[i]+")"
			if x.g.Type(v.DwarfType) {
				list = append(list, x.hidden(v, name, expr))
				continue
			}
			list = append(list, x.present(v, name, expr))
		}
		return list
	}
	var texts, types []string
	for _, row := range rows(x, "") {
		texts, types = append(texts, row.Value), append(types, row.Type)
	}
	body.Result, body.Type = strings.Join(texts, ", "), "("+strings.Join(types, ", ")+")"
	body.VariablesReference = x.h.addNode(&node{frame: x.f, extra: rows, instead: true})
	body.NamedVariables = len(vars)
	return body, nil
}

// callPanicked is the error for a function that has panicked.
func (x *viewer) callPanicked(res invoke.Result) error {
	v, err := x.scope.EvalExpression(res.Exprs[0], firstLook)
	if err != nil {
		return kindPanicked.becauseOf(fmt.Sprintf("%s, and the value cannot be read: %v", res.Func, err))
	}
	v = x.load(v, res.Exprs[0])
	return kindPanicked.becauseOf(fmt.Sprintf("%s: panic(%s)", res.Func, x.text(v)))
}

// errNotHere refuses calls where the client evaluates by itself.
var errNotHere = errors.New("a watch or hover is evaluated again and again, and a call may change the service each time")
