//go:build linux && amd64

package dlvrpc

import (
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/session"
)

// capture makes what the engine calls at each hit of a trace point. It runs in
// the request's goroutine of the engine, so a panic must not leave it.
func (c *conn) capture(id int) func(session.RequestID, *proc.Target) {
	return func(_ session.RequestID, t *proc.Target) {
		_ = guarded(c, "trace point", func() error {
			b, ok := c.breakpoints.get(id)
			if !ok {
				return nil // it was just cleared
			}
			info := *b.info
			th := api.ConvertThread(t.CurrentThread(), &info)
			c.relocate(th.PC, &th.File, &th.Line)
			th.BreakpointInfo = c.collect(t, &info)
			addTraceReturns(th)
			h := hit{thread: th}
			if g, err := proc.GetG(t.CurrentThread()); err == nil && g != nil {
				h.goroutine = api.ConvertGoroutine(t, g)
			}
			c.world.trace(h, traceResult(th))
			return nil
		})
	}
}

// traceResult is the hit as GetBufferedTracepoints tells it.
func traceResult(th *api.Thread) api.TracepointResult {
	r := api.TracepointResult{
		Addr: th.PC, File: th.File, Line: th.Line, FunctionName: th.Function.Name(),
		GoroutineID: int(th.GoroutineID), IsRet: th.Breakpoint.TraceReturn,
	}
	for _, v := range th.BreakpointInfo.Arguments {
		if v.Flags&api.VariableReturnArgument != 0 {
			r.ReturnParams = append(r.ReturnParams, v)
		} else {
			r.InputParams = append(r.InputParams, v)
		}
	}
	return r
}

// GetBufferedTracepoints hands out the trace points that were hit since it was
// called last, the first thousand of them. Their values were read at the hit:
// LoadCfg comes too late.
func (s service) GetBufferedTracepoints(_ rpc2.GetBufferedTracepointsIn, out *rpc2.GetBufferedTracepointsOut) error {
	out.TracepointResults = s.world.takeBuffered()
	return nil
}
