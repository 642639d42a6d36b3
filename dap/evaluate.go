//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

const (
	// maxExpression bounds an expression in bytes.
	maxExpression = 16 << 10
	// longString is how much of a string the contexts that show one value get.
	longString = 4 << 10
	// copiedString is how much of a string can be copied.
	copiedString = 1 << 20
)

// evaluate answers expressions of the debug console, watches, hovers and
// copies. It writes nothing, and calls functions of the service for the debug
// console only.
func (c *conn) evaluate(ctx context.Context, args dap.EvaluateArguments) (dap.EvaluateResponseBody, error) {
	body, err := c.evaluateIn(ctx, args)
	if f, ok := err.(*failure); ok {
		switch args.Context {
		case "watch", "repl", "hover":
			f.quiet = true // shown where the question was asked
		}
	}
	return body, err
}

func (c *conn) evaluateIn(ctx context.Context, args dap.EvaluateArguments) (dap.EvaluateResponseBody, error) {
	var body dap.EvaluateResponseBody
	expr, raw := cutRaw(strings.TrimSpace(args.Expression))
	console := args.Context == "repl" || args.Context == ""
	if isConsole(expr) && console {
		return c.consoleLine(args.FrameId, expr)
	}
	asked, unsafe := false, false
	if console {
		expr, asked, unsafe = cutCall(expr)
	}
	if err := refuse(expr); err != nil {
		return body, err
	}
	f, err := c.evaluationFrame(args.FrameId)
	if err != nil {
		return body, err
	}
	if console && (asked || mayContainCall(expr)) {
		body, called, err := c.evaluateCall(ctx, args, f, expr, unsafe, raw)
		if called || err != nil {
			return body, err
		}
	}
	err = c.view(f, kindEvaluate, func(x *viewer) error {
		x.plain = x.plain || raw
		cfg := firstLook
		switch args.Context {
		case "repl", "hover":
			cfg.MaxStringLen = longString
		case "clipboard", "variables":
			cfg.MaxStringLen = copiedString
		}
		v, secret, err := x.checked(expr, cfg)
		switch {
		case err != nil:
			return evaluationError(err)
		case secret:
			body = redactedBody()
			return nil
		}
		body = x.result(v, expr, args.Context)
		return nil
	})
	return body, err
}

// result is the response for a value. Contexts that copy get all of its text.
func (x *viewer) result(v *proc.Variable, expr, where string) dap.EvaluateResponseBody {
	if !plainOperand.MatchString(expr) {
		expr = "(" + expr + ")"
	}
	v = x.load(v, expr)
	x.noteShown(v)
	body := dap.EvaluateResponseBody{Result: x.text(v), Type: x.typeName(v), MemoryReference: memoryReference(v)}
	if where == "clipboard" || where == "variables" {
		body.Result = x.fullText(v)
	}
	if v.Kind == reflect.Invalid {
		body.Type = ""
	}
	body.VariablesReference, body.IndexedVariables, body.NamedVariables = x.expand(v, expr)
	return body
}

// plainOperand is what needs no parentheses before a selector or an index.
var plainOperand = regexp.MustCompile(`^[\pL_][\pL\pN_.]*$`)

// refuse turns away what is no expression before it reaches Delve.
func refuse(expr string) error {
	word, _, more := strings.Cut(expr, " ")
	switch {
	case expr == "":
		return kindEvaluate.becauseOf("the expression is empty")
	case len(expr) > maxExpression:
		return kindEvaluate.becauseOf(fmt.Sprintf("the expression is longer than %d bytes", maxExpression))
	case word == "call" && more:
		return kindNoCalls.because(errNotHere)
	case word == "dlv":
		return kindDlv.becauseOf(clip(expr, maxKey))
	}
	return nil
}

// evaluationError tells calls from other errors, where none are made. Delve refuses them all, since
// the scope has no way to resume, but not in one way: evalop has an error
// value for a call, others with the same words for literals that need memory,
// and a method that was optimised fails while it is looked up.
func evaluationError(err error) error {
	msg := err.Error()
	if strings.Contains(msg, "without using 'call'") || strings.Contains(msg, "can not call") {
		return kindNoCalls.because(errNotHere)
	}
	return kindEvaluate.because(err)
}

// evaluationFrame is the frame a client named; without one (a watch with no
// frame selected) the innermost frame of the only frozen request.
func (c *conn) evaluationFrame(id int) (*frame, error) {
	if id != 0 {
		return c.handles.frame(id)
	}
	var only session.RequestID
	for _, r := range c.sess.Requests() {
		switch {
		case !r.Frozen:
		case only != 0:
			return nil, kindNoFrame.becauseOf("several requests are stopped")
		default:
			only = r.ID
		}
	}
	if only == 0 {
		return nil, kindNoFrame.becauseOf("no request is stopped")
	}
	return c.innermost(only), nil
}
