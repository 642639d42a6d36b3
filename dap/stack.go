//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

const (
	// wholeStack is how many frames are unwound at least. A handler below
	// net/http and some middleware has 15 to 40, so the number of frames a
	// client is told is nearly always exact.
	wholeStack = 64
	// deepestStack bounds it: a recursion gone wild has millions.
	deepestStack = 4096
)

// inspect runs f on the target of a frozen request. A panic in f (Delve's
// reader of debug information has some) must not go through the engine, which
// holds locks around f.
func (c *conn) inspect(id session.RequestID, other *kind, f func(t *proc.Target) error) error {
	return c.within(c.sess.Inspect, id, other, f)
}

// within is inspect by one of the session's ways to look.
func (c *conn) within(look func(session.RequestID, func(*proc.Target) error) error, id session.RequestID, other *kind, f func(t *proc.Target) error) error {
	err := look(id, func(t *proc.Target) error {
		return c.guarded(func() error { return f(t) })
	})
	return sessionError(err, other)
}

// guarded makes a panic of f an error.
func (c *conn) guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log(fmt.Sprintf("dap: inspection panicked: %v\n%s", p, debug.Stack()))
			err = kindInspection.becauseOf(fmt.Sprint(p))
		}
	}()
	return f()
}

// unwind returns the frames of the frozen request, innermost first, depth of
// them or more if there are as many. Delve caches them for the stop.
func unwind(t *proc.Target, depth int) ([]proc.Stackframe, error) {
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), depth)
	if err != nil {
		return nil, err
	}
	if n := len(frames); n > 0 && frames[n-1].Err != nil {
		if n == 1 {
			return nil, frames[0].Err
		}
		// The last one is where unwinding failed, not a frame.
		frames = frames[:n-1]
	}
	return frames, nil
}

func (c *conn) stackTrace(_ context.Context, args dap.StackTraceArguments) (dap.StackTraceResponseBody, error) {
	body := dap.StackTraceResponseBody{StackFrames: []dap.StackFrame{}} // null is not a list
	if args.StartFrame < 0 || args.Levels < 0 {
		return body, kindBadArguments.becauseOf("negative startFrame or levels")
	}
	deepest := c.stackDepth()
	first := min(args.StartFrame, deepest)
	levels := min(args.Levels, deepest)
	if levels == 0 {
		levels = deepest
	}
	id := session.RequestID(args.ThreadId)
	hidden := c.innermost(id).index
	err := c.within(c.sess.Unwind, id, kindStack, func(t *proc.Target) error {
		end := min(first+levels, deepest)
		frames, err := unwind(t, max(hidden+end, wholeStack))
		if err != nil {
			return err
		}
		frames = frames[min(hidden, len(frames)):]
		body.TotalFrames = min(len(frames), deepest)
		for i := first; i < min(end, len(frames)); i++ {
			body.StackFrames = append(body.StackFrames, c.stackFrame(t.BinInfo(), id, hidden+i, &frames[i]))
		}
		return nil
	})
	return body, err
}

// inlinedMark is behind the name of a frame that has no code of its own: its
// function was inlined into that of the next frame. Breakpoints in it, its
// variables and stepping out of it are not what they are elsewhere.
const inlinedMark = " (inlined)"

func (c *conn) stackFrame(bi *proc.BinaryInfo, id session.RequestID, index int, f *proc.Stackframe) dap.StackFrame {
	loc := &f.Call // for an inlined call, the call; Current is its physical function
	sf := dap.StackFrame{
		Id:                          c.handles.addFrame(frame{id, index, loc.Fn != nil && loc.Fn.Optimized()}),
		Name:                        functionName(loc.Fn),
		Line:                        c.line(loc.Line),
		InstructionPointerReference: fmt.Sprintf("%#x", loc.PC),
	}
	if f.Inlined {
		sf.Name += inlinedMark
	}
	file := loc.File
	if f.Inlined && file == wrapperFile {
		pc := f.Current.PC
		if index > 0 {
			pc-- // it is behind the call
		}
		if trueFile, trueLine, ok := c.sess.SourceLine(pc); ok {
			file, sf.Line = trueFile, c.line(trueLine)
		}
	}
	if file == "" || file == wrapperFile {
		sf.Line, sf.PresentationHint = 0, "subtle"
		if loc.Fn == nil {
			return sf
		}
		declared, line, ok := c.wrapped(bi, loc.Fn.Name)
		if !ok {
			sf.PresentationHint = "label" // shown without a place, which VS Code calls an unknown source otherwise
			return sf
		}
		sf.Line, sf.Source = c.line(line), c.source(declared)
		return sf
	}
	if isSubtle(loc.Fn) {
		sf.PresentationHint = "subtle"
	}
	sf.Source = c.source(file)
	return sf
}

// functionName is the name without the directories of its package:
// "orders.(*Service).Load".
func functionName(fn *proc.Function) string {
	if fn == nil {
		return "(unknown function)"
	}
	return shortName(fn.Name)
}

func shortName(name string) string {
	// The type arguments in brackets may hold slashes of their own.
	end := strings.IndexByte(name, '[')
	if end < 0 {
		end = len(name)
	}
	if i := strings.LastIndexByte(name[:end], '/'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// machinery lists the packages between the network and the user's handler.
var machinery = map[string]bool{
	"runtime":                             true,
	"net/http":                            true,
	"github.com/remotedbg/remotedbg/gate": true,
	"github.com/remotedbg/remotedbg/middleware": true,
}

// isSubtle tells the frames that a client may fold or grey out.
func isSubtle(fn *proc.Function) bool { return fn == nil || machinery[fn.PackageName()] }
