//go:build linux && amd64

package dap

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// dataInfoArguments are go-dap's with what the protocol has got since.
type dataInfoArguments struct {
	dap.DataBreakpointInfoArguments
	Bytes     int  `json:"bytes"`     // of what is asked for, from its beginning
	AsAddress bool `json:"asAddress"` // name is an address
}

// dataBreakpointInfo says whether a variable can be watched. What cannot be has
// no id, and the reason instead of a description.
func (c *conn) dataBreakpointInfo(_ context.Context, args dataInfoArguments) (dap.DataBreakpointInfoResponseBody, error) {
	var d session.Data
	err := c.watchable(args, &d)
	var f *failure
	if errors.As(err, &f) && f.kind != kindData && f.kind != kindAssign && f.kind != kindEvaluate {
		return dap.DataBreakpointInfoResponseBody{}, err
	}
	if err != nil {
		if f != nil {
			err = f.cause
		}
		return dap.DataBreakpointInfoResponseBody{Description: fmt.Sprintf("%s cannot be watched: %v", clip(args.Name, maxKey), err)}, nil
	}
	return dap.DataBreakpointInfoResponseBody{
		DataId:      c.handOut(dataID(d)),
		Description: fmt.Sprintf("%s (%d bytes at %#x)", d.Expr, d.Size, d.Addr),
		AccessTypes: []dap.DataBreakpointAccessType{"write", "readWrite"},
	}, nil
}

// watchable finds what is asked for in a stopped request.
func (c *conn) watchable(args dataInfoArguments, d *session.Data) error {
	var n *node
	var f *frame
	var err error
	if args.VariablesReference != 0 {
		if n, err = c.handles.node(args.VariablesReference); err != nil {
			return err
		}
		f = n.frame
	} else if f, err = c.evaluationFrame(args.FrameId); err != nil {
		return err
	}
	name := strings.TrimSpace(args.Name)
	return c.view(f, kindData, func(x *viewer) (err error) {
		if args.AsAddress {
			if err = c.mayWatchAt(name, args.Bytes); err != nil {
				return kindData.because(err)
			}
			*d, err = c.watchableAt(f, x.t, name, args.Bytes)
			return err
		}
		if n != nil {
			if name, err = x.childExpression(n, name); err != nil {
				return err
			}
		}
		if err := refuse(name); err != nil {
			return err
		}
		if err := x.mayUse(name); err != nil {
			return kindData.because(err)
		}
		if args.Bytes != 0 {
			v, err := x.scope.EvalExpression(name, firstLook)
			if err != nil {
				return evaluationError(err)
			}
			*d, err = c.sess.WatchableAt(f.req, x.t, session.Data{Addr: v.Addr, Size: args.Bytes, Expr: name, Kind: reflect.Array})
			return err
		}
		*d, err = c.sess.Watchable(f.req, x.t, x.scope, name)
		return err
	})
}

// watchableAt is watchable for an address.
func (c *conn) watchableAt(f *frame, t *proc.Target, name string, bytes int) (session.Data, error) {
	addr, err := strconv.ParseUint(name, 0, 64)
	if err != nil {
		return session.Data{}, fmt.Errorf("%q is no address", clip(name, 64))
	}
	if bytes == 0 {
		bytes = 8
	}
	return c.sess.WatchableAt(f.req, t, session.Data{Addr: addr, Size: bytes, Expr: fmt.Sprintf("%#x", addr), Kind: reflect.Array})
}

// dataID writes down what a client sends back in setDataBreakpoints: address,
// size, kind, request, name.
func dataID(d session.Data) string {
	return fmt.Sprintf("%#x/%d/%d/%d/%s", d.Addr, d.Size, d.Kind, d.Request, d.Expr)
}

// parseDataID reads it. It is the engine that judges what it says.
func parseDataID(id string) (d session.Data, err error) {
	parts := strings.SplitN(id, "/", 5)
	if len(parts) != 5 || len(id) > maxExpression {
		return d, fmt.Errorf("dataId %q is none of dataBreakpointInfo", clip(id, 64))
	}
	var numbers [4]uint64
	for i := range numbers {
		bits := 31
		if i == 0 {
			bits = 64
		}
		if numbers[i], err = strconv.ParseUint(parts[i], 0, bits); err != nil {
			return d, fmt.Errorf("dataId %q is none of dataBreakpointInfo", clip(id, 64))
		}
	}
	return session.Data{
		Addr: numbers[0], Size: int(numbers[1]), Kind: reflect.Kind(numbers[2]),
		Request: session.RequestID(numbers[3]), Expr: parts[4],
	}, nil
}

// setDataBreakpoints replaces them all.
func (c *conn) setDataBreakpoints(_ context.Context, args dap.SetDataBreakpointsArguments) (dap.SetDataBreakpointsResponseBody, error) {
	var none dap.SetDataBreakpointsResponseBody
	if len(args.Breakpoints) > maxBreakpoints {
		return none, kindBadArguments.becauseOf(fmt.Sprintf("%d data breakpoints, at most %d are accepted", len(args.Breakpoints), maxBreakpoints))
	}
	results := make([]dap.Breakpoint, len(args.Breakpoints))
	var ask []session.DataBreakpoint
	var at []int // ask[i] is results[at[i]]
	for i, w := range args.Breakpoints {
		d, err := parseDataID(w.DataId)
		if err == nil && !c.watchedBefore(w.DataId) {
			err = errSealed(d.Addr)
		}
		if err == nil && w.AccessType == "read" {
			err = errors.New("the hardware cannot watch for reads alone: use readWrite")
		}
		if err != nil {
			results[i] = dap.Breakpoint{Message: err.Error()}
			continue
		}
		ask = append(ask, session.DataBreakpoint{Data: d, Read: w.AccessType == "readWrite", When: when(w.Condition, w.HitCondition)})
		at = append(at, i)
	}
	got, err := c.sess.SetDataBreakpoints(ask)
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	set, err := c.breakpoints(got, len(ask))
	if err != nil {
		return none, err
	}
	for i, bp := range set {
		results[at[i]] = bp
	}
	return dap.SetDataBreakpointsResponseBody{Breakpoints: results}, nil
}
