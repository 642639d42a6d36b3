//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"go/parser"
	"maps"
	"slices"

	"github.com/go-delve/delve/pkg/locspec"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
)

// newBreakpoint finds out where a breakpoint is to be and what it depends on.
// Called under the brain lock.
func (s *Session) newBreakpoint(id int, w asked) *userBreakpoint {
	b := &userBreakpoint{asked: w, pub: Breakpoint{ID: id, Line: w.line}}
	b.logical = &proc.LogicalBreakpoint{LogicalID: id, HitCount: make(map[int64]uint64), Tracepoint: w.passing()}
	switch {
	case w.data.Size != 0:
		s.locateData(b)
	case w.exception != nil:
		s.locateException(b)
	case w.place != nil:
		s.locatePlace(b)
	case w.list == functionList:
		s.locateFunction(b)
	case w.list == instructionList:
		s.locateInstruction(b)
	default:
		b.pub.File = w.list
		s.locateLine(b)
	}
	if b.err == nil {
		b.err = s.setConditions(b)
	}
	return b
}

// setConditions parses what a stop at b depends on.
func (s *Session) setConditions(b *userBreakpoint) error {
	w := b.asked
	if w.log != "" {
		var err error
		if b.log, err = parseLogMessage(w.log); err != nil {
			return fmt.Errorf("log message: %w", err)
		}
	}
	if w.Condition == "" && w.HitCondition == "" {
		return nil
	}
	if err := s.mayAsk("condition", w.Condition); err != nil {
		return err
	}
	t, err := s.e.anyTarget()
	if err != nil {
		return err
	}
	if w.Condition != "" {
		if _, err := parser.ParseExpr(w.Condition); err != nil {
			return fmt.Errorf("condition %q: %w", w.Condition, err)
		}
	}
	if err := t.ChangeBreakpointCondition(b.logical, w.Condition, w.HitCondition, w.place != nil && w.place.PerGoroutine); err != nil {
		return fmt.Errorf("hit condition %q: write a number, or one of == != > >= < <= %% and a number", w.HitCondition)
	}
	return nil
}

// anyTarget is a Delve target for looking up what needs one. Called under the
// brain lock.
func (e *Engine) anyTarget() (*proc.TargetGroup, error) {
	if len(e.spare) == 0 {
		t, err := e.newTarget()
		if err != nil {
			return nil, err
		}
		e.spare = append(e.spare, t)
	}
	return e.spare[len(e.spare)-1].group, nil
}

// locateFunction finds the first line of each function that the name fits.
func (s *Session) locateFunction(b *userBreakpoint) {
	t, err := s.e.anyTarget()
	if err != nil {
		b.err = err
		return
	}
	name := b.asked.function
	spec, err := locspec.Parse(name)
	if err == nil {
		switch spec := spec.(type) {
		case *locspec.RegexLocationSpec:
		case *locspec.NormalLocationSpec:
			if spec.FuncBase == nil || spec.LineOffset >= 0 {
				err = errors.New("it is no function's name")
			}
		default:
			err = errors.New("it is no function's name")
		}
	}
	var found []api.Location
	if err == nil {
		found, _, err = spec.Find(t.Selected, nil, nil, name, false, nil)
	}
	if err != nil {
		b.err = fmt.Errorf("function %q: %w: write it as package.Function or (*Type).Method", name, err)
		return
	}
	for _, l := range found {
		b.addrs = append(b.addrs, l.PCs...)
	}
	slices.Sort(b.addrs)
	if b.addrs = slices.Compact(b.addrs); len(b.addrs) == 0 {
		b.err = fmt.Errorf("function %q has no code in this binary", name)
		return
	}
	b.pub.File, b.pub.Line, _ = s.e.bi.PCToLine(b.addrs[0])
}

func (s *Session) locateInstruction(b *userBreakpoint) {
	addr := b.asked.addr
	file, line, fn := s.e.bi.PCToLine(addr)
	if fn == nil {
		b.err = fmt.Errorf("%#x is in no function of this binary", addr)
		return
	}
	b.pub.File, b.pub.Line, b.addrs = file, line, []uint64{addr}
}

// locateLine finds the addresses of b's line from the symbols alone.
func (s *Session) locateLine(b *userBreakpoint) {
	addrs, err := proc.FindFileLocation(s.e.symbols, b.pub.File, b.asked.line)
	if err != nil {
		var notFound *proc.ErrCouldNotFindLine
		switch {
		case !errors.As(err, &notFound):
			b.err = err
		case slices.Contains(s.e.bi.Sources, b.pub.File):
			b.err = s.whyNoLine(b.pub.File, b.asked.line)
		default:
			b.err = s.whyNoFile(b.pub.File)
		}
		return
	}
	if len(addrs) == 0 {
		// Delve leaves out compiler-made wrappers, but a small method that is
		// only used as a value lives inlined in its wrapper and nowhere else.
		addrs = s.firstInEachFunction(b.pub.File, b.asked.line)
	}
	if len(addrs) == 0 {
		b.err = s.whyNoLine(b.pub.File, b.asked.line)
		return
	}
	if b.err = s.whyTooMany(b.asked.line, addrs); b.err != nil {
		return
	}
	b.addrs = addrs
	if file, line, fn := s.e.bi.PCToLine(addrs[0]); fn != nil && file == b.pub.File {
		b.pub.Line = line
	}
}

// firstInEachFunction finds the lowest address of a line in every function that
// has code for it.
func (s *Session) firstInEachFunction(file string, line int) []uint64 {
	bi := s.e.bi
	first := make(map[uint64]uint64) // by function
	for _, pc := range bi.AllPCsForFileLines(file, []int{line})[line] {
		fn := bi.PCToFunc(pc)
		if fn == nil {
			continue
		}
		if old, ok := first[fn.Entry]; !ok || pc < old {
			first[fn.Entry] = pc
		}
	}
	return slices.Sorted(maps.Values(first))
}
