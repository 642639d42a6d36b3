//go:build linux && amd64

package dap

import (
	"context"
	"fmt"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// maxBreakpoints bounds those of one file.
const maxBreakpoints = 1000

// setBreakpoints replaces the breakpoints of one file. What this version
// cannot honour (conditions, log points) is left unverified: a breakpoint that
// ignored its condition would stop every request.
func (c *conn) setBreakpoints(_ context.Context, args dap.SetBreakpointsArguments) (dap.SetBreakpointsResponseBody, error) {
	none := dap.SetBreakpointsResponseBody{Breakpoints: []dap.Breakpoint{}}
	if args.Source.Path == "" {
		return none, kindSource.becauseOf(fmt.Sprintf("source %q", clip(args.Source.Name, 128)))
	}
	want := args.Breakpoints
	if want == nil { // the deprecated form
		for _, line := range args.Lines {
			want = append(want, dap.SourceBreakpoint{Line: line})
		}
	}
	if len(want) > maxBreakpoints {
		return none, kindBadArguments.becauseOf(
			fmt.Sprintf("%d breakpoints in one file, at most %d are accepted", len(want), maxBreakpoints))
	}
	results := make([]dap.Breakpoint, len(want))
	file, why := c.resolve(args.Source.Path)

	var ask []session.SourceBreakpoint
	var places []int // index in results of each of ask
	for i, w := range want {
		results[i] = dap.Breakpoint{Line: w.Line, Source: c.source(file), Message: refusal(w, why)}
		if results[i].Message == "" {
			ask = append(ask, session.SourceBreakpoint{Line: w.Line + 1 - c.client.lineBase})
			places = append(places, i)
		}
	}
	if why != "" {
		return dap.SetBreakpointsResponseBody{Breakpoints: results}, nil
	}
	got, err := c.sess.SetBreakpoints(file, ask)
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	if len(got) != len(ask) {
		return none, kindBreakpoints.becauseOf(fmt.Sprintf("%d results for %d breakpoints", len(got), len(ask)))
	}
	for i, bp := range got {
		results[places[i]] = c.breakpoint(bp)
	}
	return dap.SetBreakpointsResponseBody{Breakpoints: results}, nil
}

// refusal says why a breakpoint is not even offered to the engine.
func refusal(w dap.SourceBreakpoint, noFile string) string {
	switch {
	case noFile != "":
		return noFile
	case w.Condition != "":
		return "conditions are not supported: remove the condition"
	case w.HitCondition != "":
		return "hit conditions are not supported: remove the hit condition"
	case w.LogMessage != "":
		return "log points are not supported: use a plain breakpoint"
	}
	return ""
}

// breakpoint is one of the engine's as the client sees it.
func (c *conn) breakpoint(bp session.Breakpoint) dap.Breakpoint {
	return dap.Breakpoint{
		Id:       bp.ID,
		Verified: bp.Verified,
		Message:  bp.Message,
		Line:     c.line(bp.Line),
		Source:   c.source(bp.File),
	}
}

// line is a 1-based line as the client counts.
func (c *conn) line(n int) int { return n - 1 + c.client.lineBase }

// source is a file of the binary as the client knows it.
func (c *conn) source(file string) *dap.Source {
	p := c.paths.toClient(file)
	return &dap.Source{Name: baseName(p), Path: p}
}

type functionBreakpoints struct {
	Breakpoints []struct {
		Name string `json:"name"`
	} `json:"breakpoints"`
}

// setFunctionBreakpoints is not advertised, but some clients send it empty.
func (c *conn) setFunctionBreakpoints(_ context.Context, args functionBreakpoints) (dap.SetFunctionBreakpointsResponseBody, error) {
	results := make([]dap.Breakpoint, min(len(args.Breakpoints), maxBreakpoints))
	for i := range results {
		results[i].Message = "function breakpoints are not supported: set one on the function's first line"
	}
	return dap.SetFunctionBreakpointsResponseBody{Breakpoints: results}, nil
}

type exceptionFilters struct {
	Filters []string `json:"filters"`
}

// setExceptionBreakpoints is sent by many clients whatever is advertised.
func (c *conn) setExceptionBreakpoints(_ context.Context, args exceptionFilters) (dap.SetExceptionBreakpointsResponseBody, error) {
	results := make([]dap.Breakpoint, min(len(args.Filters), maxBreakpoints))
	for i := range results {
		results[i].Message = "exception filters are not supported: set a breakpoint where the panic starts"
	}
	return dap.SetExceptionBreakpointsResponseBody{Breakpoints: results}, nil
}
