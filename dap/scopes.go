//go:build linux && amd64

package dap

import (
	"context"

	"github.com/google/go-dap"
)

// scopes names the one scope of a frame: its arguments and local variables.
// They are read when the client asks for its variables.
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
		VariablesReference: c.handles.addNode(&node{frame: f}),
	}}}, nil
}
