//go:build linux && amd64

package main

import (
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// check is one row of the table.
type check struct {
	name    string // the request, and which part of it
	stopped bool   // needs a stopped request
	run     func(p *probe) error
}

// wrong is the error of a request that was answered with success, and wrongly.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWrong, fmt.Sprintf(format, args...))
}

// plain only wants the request to be answered with success.
func plain(command string, args func(p *probe) any) func(p *probe) error {
	return func(p *probe) error {
		var a any
		if args != nil {
			a = args(p)
		}
		_, err := p.Do(command, a)
		return err
	}
}

// do is Do with the response's type.
func do[R dap.ResponseMessage](p *probe, command string, args any) (R, error) {
	var zero R
	m, err := p.Do(command, args)
	if err != nil {
		return zero, err
	}
	r, ok := m.(R)
	if !ok {
		return zero, wrong("a %T", m)
	}
	return r, nil
}

// runChecks runs all checks against one server.
func runChecks(t target, d debugger) (column, error) {
	c := column{name: d.name, results: make(map[string]result), caps: make(map[string]bool)}
	p, err := newProbe(t, d)
	if err != nil {
		return c, err
	}
	defer func() { p.close() }()
	c.caps = capabilities(p.caps)
	for _, k := range checks {
		err := error(nil)
		if !p.usable(k.stopped) {
			// What the last check left behind is not held against this one.
			p.close()
			if p, err = newProbe(t, d); err != nil {
				return c, err
			}
			if k.stopped {
				if err := p.stop(); err != nil {
					return c, fmt.Errorf("before %s: %w", k.name, err)
				}
			}
		}
		c.results[k.name] = judge(k.run(p))
	}
	return c, nil
}

// usable brings the session to the state that a check needs, and tells whether
// it could.
func (p *probe) usable(stopped bool) bool {
	select {
	case <-p.Done():
		return false
	default:
	}
	if stopped {
		return p.stop() == nil
	}
	return p.resume() == nil
}

// breakAt sets one breakpoint beside the usual one, sends a request, and leaves
// it stopped there if it is hit.
func breakAt(p *probe, mark string, bp dap.SourceBreakpoint) (dap.Breakpoint, error) {
	m := p.target.marks[mark]
	bp.Line = m.Line
	r, err := do[*dap.SetBreakpointsResponse](p, "setBreakpoints",
		dap.SetBreakpointsArguments{Source: dap.Source{Path: m.File}, Breakpoints: []dap.SourceBreakpoint{bp}})
	if err != nil {
		return dap.Breakpoint{}, err
	}
	if len(r.Body.Breakpoints) != 1 || !r.Body.Breakpoints[0].Verified {
		return dap.Breakpoint{}, wrong("%+v", r.Body.Breakpoints)
	}
	return r.Body.Breakpoints[0], nil
}

// usual sets the usual breakpoint again.
func usual(p *probe) {
	_, _ = p.SetBreakpoints(p.line.File, p.line.Line) // it was set before
}

// stopsAt checks that a request for path stops at a mark.
func (p *probe) stopsAt(mark, path string) error {
	p.forget()
	p.replied = p.send(path)
	if err := p.stopped(); err != nil {
		return err
	}
	frames, _, err := p.StackTrace(p.thread, 0, 1)
	if err != nil {
		return err
	}
	if want := p.target.marks[mark]; frames[0].Line != want.Line {
		return wrong("stopped on line %d, not %d", frames[0].Line, want.Line)
	}
	return nil
}

// passes checks that a request for path does not stop.
func (p *probe) passes(path string) error {
	p.forget()
	if r := <-p.send(path); r.Err != nil || r.Status != 200 {
		return wrong("the request did not pass: %d, %v", r.Status, r.Err)
	}
	return nil
}

// locals reads the first scope.
func (p *probe) locals() (map[string]dap.Variable, error) {
	list, err := p.Variables(p.scope)
	m := make(map[string]dap.Variable)
	for _, v := range list {
		m[strings.Trim(v.Name, "()")] = v
	}
	return m, err
}

// value is what an expression evaluates to.
func (p *probe) value(expression, where string) (string, error) {
	r, err := p.Evaluate(expression, p.frame, where)
	return r.Result, err
}

// says checks an expression's value.
func says(expression, where, want string) func(p *probe) error {
	return func(p *probe) error {
		got, err := p.value(expression, where)
		if err == nil && !strings.Contains(got, want) {
			err = wrong("%s is %q", expression, got)
		}
		return err
	}
}

// othersServed checks that other clients are served while a request is stopped.
func othersServed(p *probe) error {
	other := harness.NewClient(p.service.URL, harness.Others, 1)
	defer other.Close()
	other.HTTP.Timeout = 3e9
	return other.All(10, "/healthz", 3e9)
}
