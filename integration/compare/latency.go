//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// others is what the clients that nobody debugs ask for, and how many they are.
const (
	othersPath = "/orders/3"
	othersMany = 2
)

// asked is how many breakpoints are set in one file.
const asked = 50

// figures are the outcome for one debugger.
type figures struct {
	name      string
	waits     map[string][]time.Duration // sorted, by what was waited for
	armed     int                        // of the breakpoints that were asked for
	ready     time.Duration
	memory    memory
	quiet     harness.LoadResult // the others without a debugger
	attaching harness.LoadResult // while it gets ready
	debugging harness.LoadResult // while requests are stopped and looked at
	survived  bool
}

// What is waited for, in the order of the table.
var waited = []string{"setBreakpoints, 50 in a file", "stopped to full first screen", "next to stopped", "evaluate, watch", "evaluate, hover"}

// measure measures the debuggers one after the other, each on a service of its
// own.
func measure(out io.Writer, t target, rounds int, list ...debugger) error {
	var all []figures
	for _, d := range list {
		f, err := measureOne(t, d, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		all = append(all, f)
	}
	print(out, all)
	return nil
}

func measureOne(t target, d debugger, rounds int) (figures, error) {
	f := figures{name: d.name, waits: make(map[string][]time.Duration)}
	s, err := harness.StartService(t.binary)
	if err != nil {
		return f, err
	}
	defer s.Kill()
	load(s, time.Second) // warm up
	f.quiet = load(s, 3*time.Second)

	beside := harness.StartLoad(s.URL, othersPath, othersMany)
	began := time.Now()
	server, err := d.start(s.PID)
	if err != nil {
		beside.Stop()
		return f, err
	}
	line := t.marks["order-loaded"]
	if _, err = server.client.Initialize(); err == nil {
		// The others run over the line: with dlv everybody stops there, so a
		// condition keeps them out, as a person would.
		err = server.configure(line, t.id+" == 7")
	}
	f.ready = time.Since(began)
	<-time.After(500 * time.Millisecond) // a stop that is still under way shows
	f.attaching = beside.Stop()
	p := &probe{Client: server.client, server: server, service: s, target: t, line: line, http: harness.NewClient(s.URL, harness.Allowed, 4)}
	defer p.http.Close()
	if err == nil {
		err = f.rounds(p, rounds)
	}
	if err == nil {
		f.memory, err = memoryOf(server.process.PID)
	}
	_ = p.Disconnect() // stop ends it in any case
	err = errors.Join(err, server.stop())
	other := harness.NewClient(s.URL, harness.Others, 1)
	defer other.Close()
	f.survived = s.Running() && other.All(20, othersPath, 10*time.Second) == nil
	for _, w := range f.waits {
		slices.Sort(w)
	}
	return f, err
}

// load measures the others for a while.
func load(s *harness.Service, window time.Duration) harness.LoadResult {
	l := harness.StartLoad(s.URL, othersPath, othersMany)
	<-time.After(window)
	return l.Stop()
}

// rounds measures n stops, while others use the service.
func (f *figures) rounds(p *probe, n int) error {
	beside := harness.StartLoad(p.service.URL, othersPath, othersMany)
	defer func() { f.debugging = beside.Stop() }()
	for i := range n {
		if err := f.round(p, i < 10); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	return nil
}

func (f *figures) round(p *probe, setMany bool) error {
	p.replied = p.send("/orders/7")
	s, err := p.WaitStopped(0)
	if err != nil {
		return err
	}
	p.thread = s.ThreadId
	if err := f.time("stopped to full first screen", func() error { return p.screen() }); err != nil {
		return err
	}
	for _, where := range []string{"watch", "hover"} {
		if err := f.time("evaluate, "+where, func() error { return says(p.target.id, where, "7")(p) }); err != nil {
			return err
		}
	}
	if setMany {
		if err := f.setMany(p); err != nil {
			return err
		}
	}
	err = f.time("next to stopped", func() error {
		if err := p.Next(p.thread); err != nil {
			return err
		}
		s, err := p.WaitStopped(0)
		p.thread = s.ThreadId
		return err
	})
	if err != nil {
		return err
	}
	return p.resume()
}

// setMany sets many breakpoints in the file, and then the usual one again.
func (f *figures) setMany(p *probe) error {
	lines := make([]int, asked)
	for i := range lines {
		lines[i] = p.line.Line - asked/2 + i
	}
	err := f.time("setBreakpoints, 50 in a file", func() error {
		got, err := p.SetBreakpoints(p.line.File, lines...)
		f.armed = 0
		for _, b := range got {
			if b.Verified {
				f.armed++
			}
		}
		return err
	})
	_, back := p.Do("setBreakpoints", breakpointAt(p.line, p.target.id+" == 7"))
	return errors.Join(err, back)
}

// screen asks what VS Code does at a stop.
func (p *probe) screen() error {
	if _, err := p.Threads(); err != nil {
		return err
	}
	frames, _, err := p.StackTrace(p.thread, 0, 1)
	if err != nil || len(frames) == 0 {
		return fmt.Errorf("no stack: %w", err)
	}
	p.frame = frames[0].Id
	if _, _, err := p.StackTrace(p.thread, 1, 19); err != nil {
		return err
	}
	scopes, err := p.Scopes(p.frame)
	if err != nil {
		return err
	}
	for _, s := range scopes {
		if s.Expensive {
			continue
		}
		if _, err := p.Variables(s.VariablesReference); err != nil {
			return err
		}
	}
	return nil
}

func (f *figures) time(what string, run func() error) error {
	began := time.Now()
	err := run()
	f.waits[what] = append(f.waits[what], time.Since(began))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// print prints a column for each debugger.
func print(out io.Writer, all []figures) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	line := func(name string, cell func(f figures) string) {
		fmt.Fprint(w, name)
		for _, f := range all {
			fmt.Fprint(w, "\t", cell(f))
		}
		fmt.Fprintln(w)
	}
	line("", func(f figures) string { return f.name })
	line("start to ready", func(f figures) string { return short(f.ready) })
	line("memory, peak and now", func(f figures) string {
		return fmt.Sprintf("%d and %d MiB", f.memory.peak>>20, f.memory.now>>20)
	})
	for _, what := range waited {
		line(what+", p50 and p99", func(f figures) string {
			list := f.waits[what]
			return fmt.Sprintf("%s and %s (n=%d)", short(harness.Quantile(list, 0.5)), short(harness.Quantile(list, 0.99)), len(list))
		})
	}
	line("of 50 breakpoints armed", func(f figures) string { return fmt.Sprint(f.armed) })
	for _, phase := range []struct {
		name string
		of   func(f figures) harness.LoadResult
	}{
		{"without a debugger", func(f figures) harness.LoadResult { return f.quiet }},
		{"while it gets ready", func(f figures) harness.LoadResult { return f.attaching }},
		{"while debugging", func(f figures) harness.LoadResult { return f.debugging }},
	} {
		line("others "+phase.name+", p50, p99, worst", func(f figures) string {
			r := phase.of(f)
			return strings.Join([]string{short(r.Quantile(0.5)), short(r.Quantile(0.99)), short(r.Quantile(1)), fmt.Sprintf("(%.0f/s, %d failed)", r.PerSecond(), r.Failed)}, " ")
		})
	}
	line("the service survived", func(f figures) string { return fmt.Sprint(f.survived) })
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
