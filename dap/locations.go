//go:build linux && amd64

package dap

import (
	"context"
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

// maxLocationLines bounds the range of lines of one question.
const maxLocationLines = 20_000

// breakpointLocations lists the lines of a range that have code. Go's debug
// information has no columns.
func (c *conn) breakpointLocations(_ context.Context, args dap.BreakpointLocationsArguments) (dap.BreakpointLocationsResponseBody, error) {
	body := dap.BreakpointLocationsResponseBody{Breakpoints: []dap.BreakpointLocation{}} // null is not a list
	if args.Source.Path == "" {
		return body, kindSource.becauseOf(fmt.Sprintf("source %q", clip(args.Source.Name, 128)))
	}
	first := args.Line + 1 - c.client.lineBase
	last := first
	if args.EndLine != 0 {
		last = args.EndLine + 1 - c.client.lineBase
	}
	if first < 1 || last < first || last-first >= maxLocationLines {
		return body, kindBadArguments.becauseOf(fmt.Sprintf("lines %d to %d: 1 to %d lines can be asked for", args.Line, args.EndLine, maxLocationLines))
	}
	file, why := c.resolve(args.Source.Path)
	if why != "" {
		return body, nil // it has none here
	}
	lines := make([]int, 0, last-first+1)
	for n := first; n <= last; n++ {
		lines = append(lines, n)
	}
	err := c.symbols(kindBreakpoints, func(bi *proc.BinaryInfo) error {
		addrs := bi.AllPCsForFileLines(file, lines)
		for _, n := range lines {
			if len(addrs[n]) > 0 {
				body.Breakpoints = append(body.Breakpoints, dap.BreakpointLocation{Line: c.line(n)})
			}
		}
		return nil
	})
	return body, err
}

// symbols is inspect for what needs no frozen request.
func (c *conn) symbols(other *kind, f func(bi *proc.BinaryInfo) error) error {
	err := c.sess.Symbols(func(bi *proc.BinaryInfo) error {
		return c.guarded(func() error { return f(bi) })
	})
	return sessionError(err, other)
}
