//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pulse tells what the machine does to a process that nobody debugs: it wakes up
// every pulseEvery and keeps the longest by which it was late.
type pulse struct {
	over  chan struct{}
	stop  func()       // ends it; it may be asked for late on
	worst atomic.Int64 // ns
}

const (
	pulseEvery = 5 * time.Millisecond
	// heldUpLimit is how late the pulse may be before a trial that failed says
	// nothing: a watchdog kills an agent that is silent for half a second, and it
	// takes several processes, one after the other, to end a stall.
	heldUpLimit = 250 * time.Millisecond
	// heldUpTrials is how often a trial is run until the machine lets it be judged.
	heldUpTrials = 4
)

// errHeldUp is wrapped by the error of a trial that failed while the machine held
// up every process, or stood still: it counts neither as passed nor as failed.
var errHeldUp = errors.New("the machine held up other processes, too")

func startPulse() *pulse {
	p := &pulse{over: make(chan struct{})}
	p.stop = sync.OnceFunc(func() { close(p.over) })
	go func() {
		tick := time.NewTicker(pulseEvery)
		defer tick.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-p.over:
				return
			case <-tick.C:
				p.worst.Store(max(p.worst.Load(), int64(time.Since(last)-pulseEvery)))
			}
		}
	}()
	return p
}

// late is the longest until now by which it was late.
func (p *pulse) late() time.Duration { return time.Duration(p.worst.Load()) }

// excuse wraps the error of a trial that says nothing about the service.
func (p *pulse) excuse(err error) error {
	if late := p.late(); err != nil && late > heldUpLimit {
		return fmt.Errorf("%w, for %v: %w", errHeldUp, late.Round(time.Millisecond), err)
	}
	return err
}
