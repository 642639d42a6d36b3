//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// leadIn is how long the others send requests before a window begins: what it
// takes to connect is in no window.
const leadIn = 100 * time.Millisecond

// window is what was measured in one.
type window struct {
	perSecond float64
	p50, p99  time.Duration // the lead-in included
	cpu       shares
}

func throughput(w window) float64 { return w.perSecond }
func p50(w window) float64        { return float64(w.p50) }
func p99(w window) float64        { return float64(w.p99) }

// cpuRequest is what the service used of a CPU for each request, in seconds. What
// else runs on the machine takes from the throughput and hardly from this.
func cpuRequest(w window) float64 { return w.cpu.service / w.perSecond }

// kind is one of the things that the traffic is measured under.
type kind struct {
	name   string
	during during
	in     []paired // a round each
}

// during brings something about, measures while it is so, and undoes it.
type during func(s *harness.Service, measure measuring) error

// measuring measures a window, given the process of the debugger, or 0, and what is
// to happen as it begins, or nil.
type measuring func(debugger int, begin func() error) error

// paired is a window of a kind between two that are half as long and have no
// debugger, one before it and one behind: what a machine does as it grows slower,
// or faster, falls out of the ratio.
type paired struct{ before, it, after window }

func (p paired) ratio(figure func(window) float64) float64 {
	return 2 * figure(p.it) / (figure(p.before) + figure(p.after))
}

// ratios are those of all rounds, sorted.
func (k *kind) ratios(figure func(window) float64) (list []float64) {
	for _, p := range k.in {
		list = append(list, p.ratio(figure))
	}
	slices.Sort(list)
	return list
}

// nothing is the control: without a debugger as well.
func nothing(_ *harness.Service, measure measuring) error { return measure(0, nil) }

// interleave measures the kinds once a round on a warm service of its own, each
// round beginning with the next one. Between the rounds it calls between.
func (b *bench) interleave(kinds []*kind, between func(round int) error) error {
	s, err := b.start()
	if err != nil {
		return err
	}
	defer s.Kill()
	defer b.rest()
	for round := range b.rounds {
		if _, err := b.load(s, 2*b.window, 0, nil); err != nil { // warm up
			return err
		}
		before, err := b.load(s, b.window, 0, nil)
		if err != nil {
			return err
		}
		for i := range kinds {
			k := kinds[(i+round)%len(kinds)]
			p := paired{before: before}
			err := k.during(s, func(debugger int, begin func() error) (err error) {
				p.it, err = b.load(s, 2*b.window, debugger, begin)
				return err
			})
			if err == nil {
				p.after, err = b.load(s, b.window, 0, nil)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			k.in = append(k.in, p)
			before = p.after
		}
		b.rest()
		if err := between(round); err != nil {
			return err
		}
	}
	return s.Shutdown()
}

// load measures one window. Until the next one, or rest, the others go on as in it,
// so that debuggers attach to a busy service: one that was idle for a second serves
// a tenth less in the next, whatever is done to it.
func (b *bench) load(s *harness.Service, length time.Duration, debugger int, begin func() error) (w window, err error) {
	l := harness.StartLoad(s.URL, path, connections)
	b.rest()
	<-time.After(leadIn)
	from, err := readBusy(s.PID, debugger)
	served := l.Served()
	if err == nil && begin != nil {
		err = begin()
	}
	if err == nil {
		<-time.After(length - time.Since(from.at))
		now, readErr := readBusy(s.PID, debugger)
		w.perSecond = float64(l.Served()-served) / now.at.Sub(from.at).Seconds()
		w.cpu, err = now.since(from), readErr
	}
	b.filler = harness.StartLoad(s.URL, path, connections)
	r := l.Stop()
	w.p50, w.p99 = r.Quantile(0.5), r.Quantile(0.99)
	if r.Failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the others' requests failed: %w", r.Failed, r.FirstBad))
	}
	return w, err
}

// rest ends the load between windows, if there is one.
func (b *bench) rest() {
	if b.filler != nil {
		b.filler.Stop()
		b.filler = nil
	}
}

// median of a sorted list that is not empty.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// middle is the median of a figure over windows.
func middle(of []window, figure func(window) float64) float64 {
	var list []float64
	for _, w := range of {
		list = append(list, figure(w))
	}
	slices.Sort(list)
	return median(list)
}

// mean is the same for figures that are too coarse in one window.
func mean(of []window, figure func(window) float64) (m float64) {
	for _, w := range of {
		m += figure(w) / float64(len(of))
	}
	return m
}
