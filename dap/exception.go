//go:build linux && amd64

package dap

import (
	"context"
	"reflect"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// panicValue is the value of the innermost panic under way in the goroutine
// of a scope (runtime.g and runtime._panic in runtime/runtime2.go).
const panicValue = "runtime.curg._panic.arg"

// exceptionInfo tells of the panic that the frozen request is in: while a
// panic runs the deferred functions, a stop in one of them sees it.
func (c *conn) exceptionInfo(_ context.Context, args threadArguments) (dap.ExceptionInfoResponseBody, error) {
	var body dap.ExceptionInfoResponseBody
	f := &frame{req: session.RequestID(args.ThreadID)}
	err := c.view(f, kindNoPanic, func(x *viewer) error {
		under, err := x.scope.EvalExpression("runtime.curg._panic != nil", firstLook)
		if err != nil {
			return err
		}
		if text(under) != "true" {
			return kindNoPanic.becauseOf("the request stands at a breakpoint or a step, and no panic is under way in it")
		}
		cfg := firstLook
		cfg.MaxStringLen = longString
		v, err := x.scope.EvalExpression(panicValue, cfg)
		if err != nil {
			return err
		}
		body = x.exception(v)
		return nil
	})
	return body, err
}

// exception describes the value that panic was called with.
func (x *viewer) exception(v *proc.Variable) dap.ExceptionInfoResponseBody {
	value, _ := x.target(v, panicValue)
	name := value.TypeString()
	message := fullText(value)
	if v.Kind == reflect.Interface && len(v.Children) > 0 {
		name = v.Children[0].TypeString()
	}
	if value.Kind == reflect.String {
		message = strings.Trim(message, `"`)
	}
	return dap.ExceptionInfoResponseBody{
		ExceptionId: "panic", Description: "panic: " + message, BreakMode: "always",
		Details: &dap.ExceptionDetails{Message: message, TypeName: shortName(name), FullTypeName: name, EvaluateName: panicValue},
	}
}
