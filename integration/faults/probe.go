//go:build linux && amd64

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// prober asks the service something at an interval, from outside, and keeps how
// long the slowest answer took: the time in which a service does nothing shows
// as long answers, whatever it is that holds it up.
type prober struct {
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu    sync.Mutex
	worst time.Duration
	asked int
	late  int // answers that took longer than lateAfter
	err   error
}

// lateAfter is the timeout of a liveness probe, as most are set.
const lateAfter = time.Second

// probe starts a prober. It does not wait for one answer before it asks again.
func (t *trial) probe(path string, every time.Duration) *prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{cancel: cancel}
	client := t.others
	p.asking.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.asking.Go(func() {
					began := time.Now()
					r := client.Get(context.Background(), path)
					p.note(time.Since(began), r.Status, r.Err)
				})
			}
		}
	})
	return p
}

func (p *prober) note(took time.Duration, status int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	p.worst = max(p.worst, took)
	if took > lateAfter {
		p.late++
	}
	if err != nil || status != http.StatusOK {
		p.err = fmt.Errorf("a probe was answered with %d: %w", status, err)
	}
}

// stop ends the prober, waits for the last answers and returns the longest.
func (p *prober) stop() (worst time.Duration, err error) {
	p.cancel()
	p.asking.Wait()
	return p.worst, p.err
}
