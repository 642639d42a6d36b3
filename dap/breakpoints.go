//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// maxBreakpoints bounds those of one file.
const maxBreakpoints = 1000

// setBreakpoints replaces the breakpoints of one file.
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

	ask := make([]session.SourceBreakpoint, len(want))
	for i, w := range want {
		results[i] = dap.Breakpoint{Line: w.Line, Source: c.source(file), Message: why}
		ask[i] = session.SourceBreakpoint{
			Line: w.Line + 1 - c.client.lineBase, When: when(w.Condition, w.HitCondition), LogMessage: w.LogMessage,
		}
	}
	if why != "" {
		return dap.SetBreakpointsResponseBody{Breakpoints: results}, nil
	}
	var got []session.Breakpoint
	err := c.slowly("Finding lines in the program", func() (err error) {
		got, err = c.sess.SetBreakpoints(file, ask)
		return err
	})
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	if results, err = c.breakpoints(got, len(ask)); err != nil {
		return none, err
	}
	return dap.SetBreakpointsResponseBody{Breakpoints: results}, nil
}

// when trims what a person typed.
func when(condition, hit string) session.When {
	return session.When{Condition: strings.TrimSpace(condition), HitCondition: strings.TrimSpace(hit)}
}

// breakpoints are those of the engine as the client sees them, asked in number.
func (c *conn) breakpoints(got []session.Breakpoint, asked int) ([]dap.Breakpoint, error) {
	if len(got) != asked {
		return nil, kindBreakpoints.becauseOf(fmt.Sprintf("%d results for %d breakpoints", len(got), asked))
	}
	results := make([]dap.Breakpoint, len(got))
	for i, bp := range got {
		results[i] = c.breakpoint(bp)
	}
	return results, nil
}

// breakpoint is one of the engine's as the client sees it.
func (c *conn) breakpoint(bp session.Breakpoint) dap.Breakpoint {
	d := dap.Breakpoint{Id: bp.ID, Verified: bp.Verified, Message: bp.Message}
	if bp.File != "" { // a function that is not there has no place
		d.Line, d.Source = c.line(bp.Line), c.source(bp.File)
	}
	return d
}

// line is a 1-based line as the client counts.
func (c *conn) line(n int) int { return n - 1 + c.client.lineBase }

// source is a file of the binary as the client knows it. A path that leads
// nowhere on the client's machine, since -trimpath cut it and no rule maps it,
// comes with a reference: the client then asks for the text. Every other path
// it must try itself, since a reference would hide the user's own file.
func (c *conn) source(file string) *dap.Source {
	p := c.paths.toClient(file)
	src := &dap.Source{Name: baseName(p), Path: p}
	if p != "" && !isAbs(p) {
		src.SourceReference = c.refs.ref(file)
	}
	return src
}

func (c *conn) setFunctionBreakpoints(_ context.Context, args dap.SetFunctionBreakpointsArguments) (dap.SetFunctionBreakpointsResponseBody, error) {
	var none dap.SetFunctionBreakpointsResponseBody
	if len(args.Breakpoints) > maxBreakpoints {
		return none, kindBadArguments.becauseOf(fmt.Sprintf("%d function breakpoints, at most %d are accepted", len(args.Breakpoints), maxBreakpoints))
	}
	ask := make([]session.FunctionBreakpoint, len(args.Breakpoints))
	for i, w := range args.Breakpoints {
		ask[i] = session.FunctionBreakpoint{Name: strings.TrimSpace(w.Name), When: when(w.Condition, w.HitCondition)}
	}
	var got []session.Breakpoint
	err := c.slowly("Finding functions in the program", func() (err error) {
		got, err = c.sess.SetFunctionBreakpoints(ask)
		return err
	})
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	results, err := c.breakpoints(got, len(ask))
	return dap.SetFunctionBreakpointsResponseBody{Breakpoints: results}, err
}

func (c *conn) setInstructionBreakpoints(_ context.Context, args dap.SetInstructionBreakpointsArguments) (dap.SetInstructionBreakpointsResponseBody, error) {
	var none dap.SetInstructionBreakpointsResponseBody
	if len(args.Breakpoints) > maxBreakpoints {
		return none, kindBadArguments.becauseOf(fmt.Sprintf("%d instruction breakpoints, at most %d are accepted", len(args.Breakpoints), maxBreakpoints))
	}
	ask := make([]session.InstructionBreakpoint, len(args.Breakpoints))
	for i, w := range args.Breakpoints {
		addr, err := strconv.ParseUint(w.InstructionReference, 0, 64)
		if err != nil {
			return none, kindBadArguments.becauseOf(fmt.Sprintf("instructionReference %q is no address", clip(w.InstructionReference, 64)))
		}
		ask[i] = session.InstructionBreakpoint{Addr: addr + uint64(int64(w.Offset)), When: when(w.Condition, w.HitCondition)}
	}
	got, err := c.sess.SetInstructionBreakpoints(ask)
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	results, err := c.breakpoints(got, len(ask))
	for i := range results {
		results[i].InstructionReference = fmt.Sprintf("%#x", ask[i].Addr)
	}
	return dap.SetInstructionBreakpointsResponseBody{Breakpoints: results}, err
}
