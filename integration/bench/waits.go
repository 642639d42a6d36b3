//go:build linux && amd64

package main

import (
	"slices"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// waits is the outcome of (d): how long a person at an IDE waits.
type waits struct {
	stop, step, look []time.Duration
}

// measureWaits freezes one request after the other in a service that others
// load lightly, looks at each and steps it twice.
func (b *bench) measureWaits() (*waits, error) {
	s, err := b.start()
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	d, err := b.attach(s)
	if err != nil {
		return nil, err
	}
	defer d.close()
	l := harness.StartLoad(s.URL, path, 1)
	defer l.Stop()
	w := &waits{}
	for i := range b.stops + 1 {
		stop, answered, err := d.freeze(stopsAt)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first one fills caches
			w.stop = append(w.stop, stop.Waited)
		}
		if err := d.lookAndStep(stop.ThreadID, w); err != nil {
			return nil, err
		}
		if err := d.Continue(stop.ThreadID); err != nil {
			return nil, err
		}
		if err := <-answered; err != nil {
			return nil, err
		}
	}
	for _, list := range [][]time.Duration{w.stop, w.step, w.look} {
		slices.Sort(list)
	}
	return w, nil
}

func (d *debugger) lookAndStep(thread int, w *waits) error {
	for range 2 {
		began := time.Now()
		if _, err := d.Locals(thread); err != nil { // stackTrace, scopes, variables
			return err
		}
		w.look = append(w.look, time.Since(began))
		began = time.Now()
		if err := d.Next(thread); err != nil {
			return err
		}
		if _, err := d.WaitStopped(thread); err != nil {
			return err
		}
		w.step = append(w.step, time.Since(began))
	}
	return nil
}
