//go:build linux && amd64

package dap

import (
	"context"

	"github.com/google/go-dap"
)

// scopes names the scopes of a frame: its arguments and local variables, and the
// request that it serves. They are read when the client asks for their variables.
func (c *conn) scopes(_ context.Context, args dap.ScopesArguments) (dap.ScopesResponseBody, error) {
	f, err := c.handles.frame(args.FrameId)
	if err != nil {
		return dap.ScopesResponseBody{}, err
	}
	name := "Locals"
	if f.optimized {
		name += " (warning: optimized function)"
	}
	return dap.ScopesResponseBody{Scopes: []dap.Scope{{
		Name:               name,
		PresentationHint:   "locals",
		VariablesReference: c.handles.addNode(c.localsNode(f)),
	}, {
		Name:               "Request",
		VariablesReference: c.handles.addNode(&node{frame: f, extra: c.requestRows, instead: true}),
	}}}, nil
}
