//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// manyBreakpoints is how many (e) sets, and hotBreakpoints how many of them are
// in the functions that every request for an order runs through.
const manyBreakpoints, hotBreakpoints = 64, 40

// dlvEvery is how many rounds of (e) there are for one with dlv, which takes
// seconds to stop and needs no pairs to be seen.
const dlvEvery = 4

// many is the outcome of (e).
type many struct {
	control, frozen, runs, steps, walks *kind
	dlv                                 []*dlvResult

	lines  []harness.Mark // the hot ones first
	passed int            // stops of a request like the others' that stops at all of them
	told   int            // times that the agent said it took breakpoints away
	taken  int            // steps in all windows of steps
}

// measureMany measures the others with 64 breakpoints: while a request is frozen
// at one of them, while one runs, and while one is stepped, without a pause and by
// a person in a hurry; and dlv with the hot ones.
func (b *bench) measureMany() (*many, error) {
	m := &many{}
	var err error
	if m.lines, err = b.manyLines(); err != nil {
		return nil, err
	}
	if m.passed, err = b.countPassed(m); err != nil {
		return nil, fmt.Errorf("counting the stops of a request: %w", err)
	}
	m.control = &kind{name: controlName, during: nothing}
	m.frozen = &kind{name: "a request is frozen", during: func(s *harness.Service, measure measuring) error {
		return b.manyFrozen(m, s, measure)
	}}
	m.runs = &kind{name: "a request runs on", during: func(s *harness.Service, measure measuring) error {
		return b.manyRuns(m, s, measure)
	}}
	m.walks = &kind{name: "a request is stepped 4 times a second", during: func(s *harness.Service, measure measuring) error {
		_, err := b.manyStepped(m, s, measure, time.Second/4)
		return err
	}}
	m.steps = &kind{name: "a request is stepped without a pause", during: func(s *harness.Service, measure measuring) error {
		taken, err := b.manyStepped(m, s, measure, 0)
		m.taken += taken
		return err
	}}
	return m, b.interleave([]*kind{m.control, m.frozen, m.runs, m.walks, m.steps}, func(round int) error {
		if !b.dlv || round%dlvEvery != 0 {
			return nil
		}
		r, err := b.measureDlv("1 == 2", m.lines[:hotBreakpoints]...)
		m.dlv = append(m.dlv, r)
		return err
	})
}

// manyFrozen measures while a request stands at the first of them.
func (b *bench) manyFrozen(m *many, s *harness.Service, measure measuring) error {
	d, err := b.attachMany(m, s)
	if err != nil {
		return err
	}
	defer d.close()
	_, answered, err := d.freeze(stopsAt)
	if err != nil {
		return err
	}
	if err := measure(d.agent.PID, nil); err != nil {
		return err
	}
	if err := held(answered); err != nil {
		return err
	}
	return d.letGo(answered)
}

// manyRuns measures from when a request begins that comes by none of them, so
// that they are armed for as long as they may be.
func (b *bench) manyRuns(m *many, s *harness.Service, measure measuring) error {
	d, err := b.attachMany(m, s)
	if err != nil {
		return err
	}
	defer d.close()
	var answered <-chan error
	err = measure(d.agent.PID, func() error {
		answered = d.send(fmt.Sprintf("/slow?ms=%d", (2*b.window + slack).Milliseconds()))
		_, err := d.WaitThread("started", daptest.AnyThread)
		return err
	})
	if err != nil {
		return err
	}
	if err := held(answered); err != nil {
		return err
	}
	for _, ev := range d.Events() {
		if out, ok := ev.(*dap.OutputEvent); ok && strings.Contains(out.Body.Output, "before its next stop") {
			m.told++
		}
	}
	return d.letGo(answered)
}

// slack is how much longer than its window a request lives that is to outlive it.
const slack = 500 * time.Millisecond

// manyStepped measures while a request makes one step after the other, in a loop
// with a call in it, with a pause behind each, and tells how many it made.
func (b *bench) manyStepped(m *many, s *harness.Service, measure measuring, pause time.Duration) (taken int, err error) {
	d, err := b.attachMany(m, s)
	if err != nil {
		return 0, err
	}
	defer d.close()
	turn := b.marks["spin-turn"]
	if err := d.set(turn.File, turn.Line); err != nil {
		return 0, err
	}
	stop, answered, err := d.freeze(fmt.Sprintf("/spin?ms=%d", (leadIn + 2*b.window + slack).Milliseconds()))
	if err == nil {
		err = d.set(turn.File) // no more
	}
	if err != nil {
		return 0, err
	}
	over, done := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for ; err == nil; taken++ {
			select {
			case <-over:
				done <- nil
				return
			case <-time.After(pause):
				err = d.step(stop.ThreadID)
			}
		}
		done <- err
	}()
	err = measure(d.agent.PID, nil)
	close(over)
	if err := errors.Join(err, <-done, held(answered)); err != nil {
		return 0, err
	}
	return taken, d.letGo(answered)
}

// step makes one and waits for its end.
func (d *debugger) step(thread int) error {
	if err := d.Next(thread); err != nil {
		return err
	}
	_, err := d.WaitStopped(thread)
	return err
}

func printMany(out io.Writer, o options, m *many) {
	fmt.Fprintf(out, "\n(e) %d breakpoints, %d of them in functions that each of the others' requests runs through, which a request passes %d times: %s\n",
		len(m.lines), hotBreakpoints, m.passed, method(o))
	w := newTable(out)
	printKinds(w, m.control, m.frozen, m.runs, m.walks, m.steps)
	_ = w.Flush() // as all of standard output
	lost := max(1-median(m.runs.ratios(throughput)), 0) * float64(2*o.window)
	fmt.Fprintf(out, "runs on: breakpoints were taken away from %d of %d requests; letting one run on cost the others %v of their time\n",
		m.told, len(m.runs.in), duration(lost))
	windows := time.Duration(len(m.steps.in)) * (2*o.window + leadIn)
	fmt.Fprintf(out, "stepped without a pause: %.0f steps a second\n", float64(m.taken)/windows.Seconds())
	if m.dlv == nil {
		return
	}
	fmt.Fprintf(out, "\nbeside it, stock dlv %s with the same %d and a condition that is never true, each round on a service of its own\n", dlvVersion, hotBreakpoints)
	printDlv(out, m.dlv)
}
