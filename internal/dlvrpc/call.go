//go:build linux && amd64

package dlvrpc

import (
	"context"
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// call evaluates an expression that calls functions of the service, in the
// current request or the one that is named. The request stands where it stood
// afterwards, and the results are its thread's return values; if the function
// panicked, the value of that is the only one, as in Delve.
func (s service) call(arg api.DebuggerCommand, out *rpc2.CommandOut) (later, error) {
	st, err := s.request(arg.GoroutineID)
	if err == nil && st == nil {
		err = s.world.errNoRequest()
	}
	if err != nil {
		return nil, wrap("call", err)
	}
	if arg.WithEvents {
		s.events.put(api.EventResumed)
	}
	return func(ctx context.Context) error {
		if arg.WithEvents {
			defer s.events.put(api.EventStopped) // the client waits for it whatever becomes of the command
		}
		res, err := s.sess.Call(ctx, st.id, session.CallRequest{Expr: arg.Expr, Unsafe: arg.UnsafeCall, Shown: new(taint.Extents)})
		if err != nil {
			return wrap("call", err)
		}
		values, err := s.returned(st, res, loadConfig(arg.ReturnInfoLoadConfig))
		if err != nil {
			return wrap("call", err)
		}
		if err := s.report(&out.State, nil); err != nil {
			return err
		}
		for _, th := range out.State.Threads {
			if th.ID == st.thread {
				th.ReturnValues, th.CallReturn = values, true
			}
		}
		if th := out.State.CurrentThread; th != nil && th.ID == st.thread {
			th.ReturnValues, th.CallReturn = values, true
		}
		return nil
	}, nil
}

// returned reads what the functions have returned.
func (s service) returned(st *stop, res invoke.Result, cfg proc.LoadConfig) (list []api.Variable, err error) {
	err = s.sess.Inspect(st.id, func(t *proc.Target) error {
		scope, err := proc.ThreadScope(t, t.CurrentThread())
		if err != nil {
			return err
		}
		for i, expr := range res.Exprs {
			v, err := scope.EvalExpression(expr, cfg)
			if err != nil {
				return err
			}
			v.Name = fmt.Sprintf("~r%d", i)
			if res.Panicked {
				v.Name = "~panic"
			}
			list = append(list, *api.ConvertVar(v))
		}
		return nil
	})
	return list, err
}
