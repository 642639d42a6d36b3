//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// Bounds of what one call may have read: inspections run one at a time.
const (
	maxDepth   = 1000    // frames of a stack
	maxString  = 1 << 20 // bytes of a string
	maxValues  = 10_000  // elements of an array, a slice or a map
	maxRecurse = 10      // nested values
	maxCode    = 1 << 20 // bytes to disassemble
)

// loadConfig is what a client wants of values, within bounds.
func loadConfig(cfg *api.LoadConfig) proc.LoadConfig {
	if cfg == nil {
		return proc.LoadFullValue()
	}
	p := *api.LoadConfigToProc(cfg)
	p.MaxStringLen = min(max(p.MaxStringLen, 0), maxString)
	p.MaxArrayValues = min(max(p.MaxArrayValues, 0), maxValues)
	p.MaxVariableRecurse = min(max(p.MaxVariableRecurse, 0), maxRecurse)
	return p
}

// errNoScope says that there is no stopped request that a call could be about.
var errNoScope = errors.New("no request is stopped")

// wrap makes an error of the engine's or Delve's one that names who says it.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("remotedbg: %s: %w", what, err)
}

// request finds the stopped request that goroutine gid is; nil if it is none of
// them. -1 and 0 stand for the current one.
func (c *conn) request(gid int64) (*stop, error) {
	stops, cur, err := c.world.now()
	switch {
	case err != nil:
		return nil, err
	case gid <= 0 && cur == nil:
		return nil, errNoScope
	case gid <= 0:
		return cur, nil
	}
	i := slices.IndexFunc(stops, func(s *stop) bool { return s.goroutine == gid })
	if i < 0 {
		return nil, nil
	}
	return stops[i], nil
}

// target runs f with the target of a goroutine: a stopped request's, or by live
// reads that of one that is parked.
func (c *conn) target(gid int64, f func(t *proc.Target, g *proc.G) error) error {
	st, err := c.request(gid)
	switch {
	case err != nil:
		return err
	case st != nil:
		return c.sess.Inspect(st.id, func(t *proc.Target) error { return f(t, t.SelectedGoroutine()) })
	}
	return c.reader.Goroutine(gid, f)
}

// scope runs f in a frame of a goroutine.
func (c *conn) scope(where api.EvalScope, f func(t *proc.Target, s *proc.EvalScope) error) error {
	if where.Frame < 0 || where.Frame >= maxDepth {
		return fmt.Errorf("there is no frame %d", where.Frame)
	}
	return c.target(where.GoroutineID, func(t *proc.Target, g *proc.G) error {
		id := int64(-1)
		if g != nil {
			id = g.ID
		}
		s, err := proc.ConvertEvalScope(t, id, where.Frame, where.DeferredCall)
		if err != nil {
			return err
		}
		return f(t, s)
	})
}

// packageScope runs f where package variables alone are visible, with nothing
// stopped.
func (c *conn) packageScope(f func(s *proc.EvalScope) error) error {
	return c.reader.Look(func(t *proc.Target) error {
		at := proc.Location{}
		for _, fn := range t.BinInfo().LookupFunc()["main.main"] {
			at = proc.Location{PC: fn.Entry, Fn: fn}
		}
		regs, err := t.CurrentThread().Registers()
		if err != nil {
			return err
		}
		frame := proc.Stackframe{Current: at, Call: at, Regs: *t.BinInfo().Arch.RegistersToDwarfRegisters(0, regs)}
		return f(proc.FrameToScope(t, t.Memory(), nil, 0, frame))
	})
}

// Stacktrace unwinds a stopped request, or a goroutine that is parked.
func (s service) Stacktrace(arg rpc2.StacktraceIn, out *rpc2.StacktraceOut) error {
	opts := proc.StacktraceOptions(arg.Opts)
	if arg.Defers {
		opts |= proc.StacktraceReadDefers
	}
	var load *proc.LoadConfig
	if arg.Cfg != nil || arg.Full {
		cfg := loadConfig(arg.Cfg)
		load = &cfg
	}
	err := s.target(arg.Id, func(t *proc.Target, g *proc.G) error {
		var frames []proc.Stackframe
		var err error
		depth := min(max(arg.Depth, 0), maxDepth)
		if g == nil {
			frames, err = proc.ThreadStacktrace(t, t.CurrentThread(), depth)
		} else {
			frames, err = proc.GoroutineStacktrace(t, g, depth, opts)
		}
		if err != nil {
			return err
		}
		out.Locations = s.frames(t, frames, load)
		return nil
	})
	skip := min(max(arg.Skip, 0), len(out.Locations))
	out.Locations = out.Locations[skip:]
	return wrap("stack", s.orNoRequest(err))
}

// orNoRequest makes errNoScope say what became of the request.
func (c *conn) orNoRequest(err error) error {
	if errors.Is(err, errNoScope) {
		return c.world.errNoRequest()
	}
	return err
}

// frames are Delve's, with variables if load is not nil.
func (c *conn) frames(t *proc.Target, raw []proc.Stackframe, load *proc.LoadConfig) []api.Stackframe {
	list := make([]api.Stackframe, 0, len(raw))
	for i, r := range raw {
		f := api.Stackframe{
			Location:    api.ConvertLocation(r.Call),
			FrameOffset: r.FrameOffset(), FramePointerOffset: r.FramePointerOffset(),
			Defers: c.defers(t, r.Defers), Bottom: r.Bottom,
		}
		c.relocate(f.PC, &f.File, &f.Line)
		if r.Err != nil {
			f.Err = r.Err.Error()
		}
		if load != nil && r.Current.Fn != nil {
			scope := proc.FrameToScope(t, t.Memory(), nil, 0, raw[i:]...)
			locals, err := scope.LocalVariables(*load)
			if err == nil {
				f.Locals = api.ConvertVars(locals)
			}
			args, argsErr := scope.FunctionArguments(*load)
			if argsErr == nil {
				f.Arguments = api.ConvertVars(args)
			}
			if err := errors.Join(err, argsErr); err != nil && f.Err == "" {
				f.Err = err.Error()
			}
		}
		list = append(list, f)
	}
	return list
}

func (c *conn) defers(t *proc.Target, raw []*proc.Defer) []api.Defer {
	list := make([]api.Defer, len(raw))
	for i, d := range raw {
		if d.Unreadable != nil {
			list[i].Unreadable = d.Unreadable.Error()
			continue
		}
		to := proc.Location{PC: d.DeferPC}
		to.File, to.Line, to.Fn = d.DeferredFunc(t)
		if to.Fn != nil {
			to.PC = to.Fn.Entry
		}
		from := proc.Location{PC: d.DeferPC}
		from.File, from.Line, from.Fn = t.BinInfo().PCToLine(d.DeferPC)
		list[i] = api.Defer{DeferredLoc: api.ConvertLocation(to), DeferLoc: api.ConvertLocation(from), SP: d.SP}
	}
	return list
}

// Ancestors are the stacks of those who started a goroutine, which the service
// keeps only with GODEBUG=tracebackancestors.
func (s service) Ancestors(arg rpc2.AncestorsIn, out *rpc2.AncestorsOut) error {
	err := s.target(arg.GoroutineID, func(t *proc.Target, g *proc.G) error {
		if g == nil {
			return errors.New("it is on no goroutine")
		}
		list, err := proc.Ancestors(t, g, min(max(arg.NumAncestors, 0), maxDepth))
		if err != nil {
			return err
		}
		for _, a := range list {
			one := api.Ancestor{ID: a.ID}
			if a.Unreadable != nil {
				one.Unreadable = a.Unreadable.Error()
			} else if frames, err := a.Stack(min(max(arg.Depth, 0), maxDepth)); err != nil {
				one.Unreadable = err.Error()
			} else {
				one.Stack = s.frames(t, frames, nil)
			}
			out.Ancestors = append(out.Ancestors, one)
		}
		return nil
	})
	return wrap("ancestors", s.orNoRequest(err))
}

// ListLocalVars lists the local variables of a frame.
func (s service) ListLocalVars(arg rpc2.ListLocalVarsIn, out *rpc2.ListLocalVarsOut) error {
	err := s.scope(arg.Scope, func(_ *proc.Target, scope *proc.EvalScope) error {
		vars, err := scope.LocalVariables(loadConfig(&arg.Cfg))
		out.Variables = api.ConvertVars(vars)
		return err
	})
	return wrap("locals", s.orNoRequest(err))
}

// ListFunctionArgs lists the arguments and results of a frame's function.
func (s service) ListFunctionArgs(arg rpc2.ListFunctionArgsIn, out *rpc2.ListFunctionArgsOut) error {
	err := s.scope(arg.Scope, func(_ *proc.Target, scope *proc.EvalScope) error {
		vars, err := scope.FunctionArguments(loadConfig(&arg.Cfg))
		out.Args = api.ConvertVars(vars)
		return err
	})
	return wrap("args", s.orNoRequest(err))
}

// ListPackageVars lists package variables, read live.
func (s service) ListPackageVars(arg rpc2.ListPackageVarsIn, out *rpc2.ListPackageVarsOut) error {
	filter, err := regexp.Compile(arg.Filter)
	if err != nil {
		return wrap("filter", err)
	}
	err = s.packageScope(func(scope *proc.EvalScope) error {
		vars, err := scope.PackageVariables(loadConfig(&arg.Cfg))
		out.Variables = api.ConvertVars(slices.DeleteFunc(vars, func(v *proc.Variable) bool { return !filter.MatchString(v.Name) }))
		return err
	})
	return wrap("package variables", err)
}

// Eval evaluates an expression in a frame; with nothing stopped, one of package
// variables.
func (s service) Eval(arg rpc2.EvalIn, out *rpc2.EvalOut) error {
	eval := func(scope *proc.EvalScope) error {
		var err error
		out.Variable, err = s.evaluate(scope, arg.Expr, loadConfig(arg.Cfg))
		return err
	}
	err := s.scope(arg.Scope, func(_ *proc.Target, scope *proc.EvalScope) error { return eval(scope) })
	if errors.Is(err, errNoScope) {
		if err = s.packageScope(eval); err != nil {
			err = fmt.Errorf("%w (no request is stopped: only package variables can be evaluated)", err)
		}
	}
	return wrap("evaluate", err)
}

// Set changes a variable of a stopped request. What Delve has to call a function
// of the service for, and what lies in a register, cannot be set.
func (s service) Set(arg rpc2.SetIn, _ *rpc2.SetOut) error {
	st, err := s.request(arg.Scope.GoroutineID)
	if err == nil && st == nil {
		err = errors.New("variables can be set in stopped requests only")
	}
	if err == nil {
		err = s.scope(arg.Scope, func(_ *proc.Target, scope *proc.EvalScope) error {
			if err := s.mayUse(scope, arg.Value); err != nil {
				return err
			}
			if _, err := s.check(scope, arg.Symbol); err != nil {
				return err
			}
			return scope.SetVariable(arg.Symbol, arg.Value)
		})
	}
	return wrap("set "+strings.TrimSpace(arg.Symbol), s.orNoRequest(err))
}

// ListRegisters lists those of a frame, or of a stopped request's thread.
func (s service) ListRegisters(arg rpc2.ListRegistersIn, out *rpc2.ListRegistersOut) error {
	if arg.Scope != nil {
		err := s.scope(*arg.Scope, func(t *proc.Target, scope *proc.EvalScope) error {
			out.Regs = api.ConvertRegisters(&scope.Regs, t.BinInfo().Arch.DwarfRegisterToString, arg.IncludeFp)
			return nil
		})
		out.Registers = out.Regs.String()
		return wrap("registers", s.orNoRequest(err))
	}
	stops, cur, err := s.world.now()
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(stops, func(st *stop) bool { return st.thread == arg.ThreadID }); i >= 0 {
		cur = stops[i]
	} else if arg.ThreadID != 0 {
		return fmt.Errorf("remotedbg: registers: no stopped request is on thread %d", arg.ThreadID)
	}
	if cur == nil {
		return wrap("registers", s.world.errNoRequest())
	}
	err = s.sess.Inspect(cur.id, func(t *proc.Target) error {
		regs, err := t.CurrentThread().Registers()
		if err != nil {
			return err
		}
		arch := t.BinInfo().Arch
		out.Regs = api.ConvertRegisters(arch.RegistersToDwarfRegisters(0, regs), arch.DwarfRegisterToString, arg.IncludeFp)
		return nil
	})
	out.Registers = out.Regs.String()
	return wrap("registers", err)
}

// ExamineMemory reads memory of the service, live.
func (s service) ExamineMemory(arg rpc2.ExamineMemoryIn, out *rpc2.ExaminedMemoryOut) error {
	if arg.Length < 0 || arg.Length > rpc2.ExamineMemoryLengthLimit {
		return fmt.Errorf("remotedbg: examine memory: the length must be between 0 and %d", rpc2.ExamineMemoryLengthLimit)
	}
	if err := s.mayRead(arg.Address, arg.Length); err != nil {
		return wrap("examine memory", err)
	}
	out.IsLittleEndian = true
	return wrap("examine memory", s.reader.Look(func(t *proc.Target) error {
		data := make([]byte, arg.Length)
		n, err := t.Memory().ReadMemory(data, arg.Address)
		if err != nil {
			return err
		}
		if n != len(data) {
			return fmt.Errorf("only %d of %d bytes can be read", n, len(data))
		}
		out.Mem = data
		return nil
	}))
}

// Disassemble shows the instructions of a range, or of the function around its
// start, and marks where the goroutine of the scope stands.
func (s service) Disassemble(arg rpc2.DisassembleIn, out *rpc2.DisassembleOut) error {
	code := func(t *proc.Target, regs proc.Registers) error {
		bi := t.BinInfo()
		from, to := arg.StartPC, arg.EndPC
		if to == 0 {
			fn := bi.PCToFunc(from)
			if fn == nil {
				return fmt.Errorf("%#x is in no function of this binary", from)
			}
			from, to = fn.Entry, fn.End
		}
		if to < from || to-from > maxCode {
			return fmt.Errorf("from %#x to %#x are not between 0 and %d bytes", from, to, maxCode)
		}
		if err := s.mayDisassemble(bi, from, to); err != nil {
			return err
		}
		list, err := proc.Disassemble(t.Memory(), regs, t.Breakpoints(), bi, from, to)
		if err != nil {
			return err
		}
		out.Disassemble = make(api.AsmInstructions, len(list))
		for i := range list {
			out.Disassemble[i] = api.ConvertAsmInstruction(list[i], list[i].Text(proc.AssemblyFlavour(arg.Flavour), bi))
		}
		return nil
	}
	st, err := s.request(arg.Scope.GoroutineID)
	switch {
	case err == nil && st != nil:
		err = s.sess.Inspect(st.id, func(t *proc.Target) error {
			regs, err := t.CurrentThread().Registers()
			if err != nil {
				return err
			}
			return code(t, regs)
		})
	case err == nil || errors.Is(err, errNoScope):
		err = s.reader.Look(func(t *proc.Target) error { return code(t, nil) })
	}
	return wrap("disassemble", err)
}
