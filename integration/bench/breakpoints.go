//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// hotFunctions are what a request for an order runs through, by file.
var hotFunctions = map[string][]string{
	"handlers.go": {"order", "reply"},
	"service.go":  {"Load", "Price"},
	"store.go":    {"Find", "Describe"},
}

// coldFiles have the rest: what no request for an order comes by.
var coldFiles = []string{"steps.go", "values.go"}

// manyLines are the lines for the breakpoints of (e), the hot ones first. An agent
// tells which lines have code.
func (b *bench) manyLines() (lines []harness.Mark, err error) {
	s, err := b.start()
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	d, err := b.connect(s)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.SessionWith(nil, ""); err != nil {
		return nil, err
	}
	dir := filepath.Dir(b.line.File)
	add := func(name string, first, last, most int) error {
		file := filepath.Join(dir, name)
		found, err := codeLines(d.Client, file, first, last)
		for _, line := range found[:min(len(found), most-len(lines))] {
			lines = append(lines, harness.Mark{File: file, Line: line})
		}
		return err
	}
	for _, name := range []string{"handlers.go", "service.go", "store.go"} {
		ranges, err := functionLines(filepath.Join(dir, name), hotFunctions[name])
		if err != nil {
			return nil, err
		}
		for _, r := range ranges {
			if err := add(name, r[0], r[1], hotBreakpoints); err != nil {
				return nil, err
			}
		}
	}
	if len(lines) < hotBreakpoints {
		return nil, fmt.Errorf("the hot functions have %d lines with code, not %d", len(lines), hotBreakpoints)
	}
	for _, name := range coldFiles {
		if err := add(name, 1, 1000, manyBreakpoints); err != nil {
			return nil, err
		}
	}
	if len(lines) < manyBreakpoints {
		return nil, fmt.Errorf("%d lines with code, not %d", len(lines), manyBreakpoints)
	}
	return lines, d.close()
}

// functionLines are the first and the last line of functions and methods.
func functionLines(file string, names []string) (ranges [][2]int, err error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		return nil, err
	}
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && slices.Contains(names, fn.Name.Name) {
			ranges = append(ranges, [2]int{set.Position(fn.Pos()).Line, set.Position(fn.End()).Line})
		}
	}
	return ranges, nil
}

// codeLines are the lines of a file with code.
func codeLines(c *daptest.Client, file string, first, last int) (lines []int, err error) {
	r, err := c.Do("breakpointLocations", dap.BreakpointLocationsArguments{Source: dap.Source{Path: file}, Line: first, EndLine: last})
	if err != nil {
		return nil, err
	}
	for _, at := range r.(*dap.BreakpointLocationsResponse).Body.Breakpoints {
		lines = append(lines, at.Line)
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

// attachMany is attach with all the breakpoints of (e).
func (b *bench) attachMany(m *many, s *harness.Service) (*debugger, error) {
	d, err := b.connect(s)
	if err != nil {
		return nil, err
	}
	byFile := make(map[string][]int)
	for _, at := range m.lines {
		byFile[at.File] = append(byFile[at.File], at.Line)
	}
	err = d.SessionWith(nil, "")
	for file, lines := range byFile {
		err = errors.Join(err, d.set(file, lines...))
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// set replaces the breakpoints of a file. Each must be verified.
func (d *debugger) set(file string, lines ...int) (err error) {
	bps, err := d.SetBreakpoints(file, lines...)
	for _, bp := range bps {
		if !bp.Verified {
			err = errors.Join(err, fmt.Errorf("%s:%d is not verified: %s", filepath.Base(file), bp.Line, bp.Message))
		}
	}
	return err
}

// countPassed has a request like the others' stop at every breakpoint that it
// comes by.
func (b *bench) countPassed(m *many) (stops int, err error) {
	s, err := b.start()
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	d, err := b.attachMany(m, s)
	if err != nil {
		return 0, err
	}
	defer d.close()
	answered := d.send(path)
	for over := false; !over; {
		thread := 0
		_, err := d.Wait("a stop or the end", func(ev dap.EventMessage) bool {
			switch ev := ev.(type) {
			case *dap.StoppedEvent:
				thread = ev.Body.ThreadId
				return true
			case *dap.ThreadEvent:
				over = ev.Body.Reason == "exited"
				return over
			}
			return false
		})
		if err == nil && !over {
			stops++
			err = d.Continue(thread)
		}
		if err != nil {
			return 0, err
		}
	}
	return stops, d.letGo(answered)
}
