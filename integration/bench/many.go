//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// manyBreakpoints is how many (e) sets: the lines of the shop's hottest files that
// have code, most of which every request for an order runs over, and others.
const manyBreakpoints = 64

// many is the outcome of (e).
type many struct {
	none, control, frozen, runs []harness.LoadResult
	set, hot                    int
	told                        int // times that the agent said it took breakpoints away
}

// hotFiles have what a request for an order runs through.
var hotFiles = []string{"handlers.go", "service.go", "store.go"}

// measureMany is measureTraffic with 64 breakpoints: while a request is frozen at
// one of them, and while one runs.
func (b *bench) measureMany() (*many, error) {
	m := &many{}
	err := b.interleave(
		func(s *harness.Service) error { return add(&m.none, s, b.window) },
		func(s *harness.Service) error { return add(&m.control, s, b.window) },
		func(s *harness.Service) error { return b.withMany(m, s, "/orders/7", &m.frozen) },
		func(s *harness.Service) error {
			return b.withMany(m, s, fmt.Sprintf("/slow?ms=%d", b.window.Milliseconds()+500), &m.runs)
		},
	)
	return m, err
}

// withMany measures one window with all breakpoints set, and a request that stops
// at once, or, for another path, runs all the time.
func (b *bench) withMany(m *many, s *harness.Service, path string, to *[]harness.LoadResult) error {
	a, err := harness.StartAgent(b.agent, s.PID, "--extra-breakpoints", (2 * b.window).String())
	if err != nil {
		return err
	}
	c, err := a.Dial()
	if err != nil {
		a.Kill()
		return err
	}
	d := &debugger{Client: c, agent: a, client: harness.NewClient(s.URL, harness.Allowed, 1)}
	defer d.close()
	runs := path != "/orders/7"
	if err := errors.Join(unpin(a.Process), b.setMany(m, c)); err != nil {
		return err
	}
	answered := d.send(path)
	if runs {
		_, err = c.WaitThread("started", daptest.AnyThread)
	} else {
		_, err = c.WaitStopped(daptest.AnyThread)
	}
	if err != nil {
		return err
	}
	if err := add(to, s, b.window); err != nil {
		return err
	}
	if runs {
		for _, ev := range c.Events() {
			if out, ok := ev.(*dap.OutputEvent); ok && strings.Contains(out.Body.Output, "before its next stop") {
				m.told++
			}
		}
		return errors.Join(<-answered, d.close())
	}
	if err := c.Disconnect(); err != nil { // it goes on without stopping at the rest
		return err
	}
	return errors.Join(<-answered, d.closeAgent())
}

// send sends an allowlisted request.
func (d *debugger) send(path string) <-chan error {
	answered := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r := d.client.Get(ctx, path)
		if r.Err == nil && r.Status != 200 {
			r.Err = fmt.Errorf("%s was answered with %d", path, r.Status)
		}
		answered <- r.Err
	}()
	return answered
}

// closeAgent is close for a client that has disconnected.
func (d *debugger) closeAgent() error {
	if d.closed {
		return nil
	}
	d.closed = true
	d.Client.Close()
	d.client.Close()
	code, err := d.agent.Stop(syscall.SIGTERM, 10*time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("the agent ended with %d:\n%s", code, d.agent.Stderr)
	}
	return err
}

// setMany sets the breakpoints.
func (b *bench) setMany(m *many, c *daptest.Client) error {
	if _, err := c.Initialize(); err != nil {
		return err
	}
	if err := c.Attach(nil); err != nil {
		return err
	}
	if _, err := c.WaitEvent("initialized"); err != nil {
		return err
	}
	dir := filepath.Dir(b.line.File)
	m.set = 0
	for i, name := range append(slices.Clone(hotFiles), "steps.go") {
		file := filepath.Join(dir, name)
		first, last := 1, 1000
		if i == 0 { // of this file the handler for an order
			first, last = b.line.Line-12, b.line.Line+6
		}
		lines, err := codeLines(c, file, first, last)
		if err != nil {
			return err
		}
		verified, err := setAll(c, file, lines[:min(len(lines), manyBreakpoints-m.set)])
		if err != nil {
			return err
		}
		if m.set += verified; i < len(hotFiles) {
			m.hot = m.set
		}
	}
	return c.ConfigurationDone()
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

// setAll says how many were verified; each other must say why.
func setAll(c *daptest.Client, file string, lines []int) (verified int, err error) {
	bps, err := c.SetBreakpoints(file, lines...)
	for _, bp := range bps {
		if bp.Verified {
			verified++
		} else if bp.Message == "" {
			err = errors.Join(err, fmt.Errorf("%s:%d: not verified, and no reason", filepath.Base(file), bp.Line))
		}
	}
	return verified, err
}

func printMany(out io.Writer, o options, m *many) {
	fmt.Fprintf(out, "\n(e) %d breakpoints, %d of them in what each of the others' requests runs through; %d rounds of %v\n", m.set, m.hot, o.rounds, o.window)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "\trequests/s\tp50\tp99\tthroughput / none\tp99 / none\t")
	t := &traffic{none: m.none}
	defer fmt.Fprintf(w, "breakpoints taken away from running requests %d times\t\t\t\t\t\t\n", m.told)
	for _, row := range []struct {
		name string
		of   []harness.LoadResult
	}{{"no debugger", m.none}, {"no debugger (control)", m.control}, {"a request frozen", m.frozen}, {"a request runs", m.runs}} {
		fmt.Fprintf(w, "%s\t%.0f\t%v\t%v\t%s\t%s\t\n", row.name, middle(row.of, throughput), duration(middle(row.of, p50)), duration(middle(row.of, p99)),
			spread(t.ratios(row.of, throughput)), spread(t.ratios(row.of, p99)))
	}
}
