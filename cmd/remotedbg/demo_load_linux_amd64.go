package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

const (
	loadWorkers = 8
	loadEvery   = 4 * time.Millisecond // a worker, so 2,000 requests/s in all
)

// phase is what was going on while a request of the load was sent.
type phase int32

const (
	phaseOther phase = iota // not counted: warming up, attaching, going
	phaseBefore
	phaseFrozen
	numPhases
)

// load sends requests at a steady rate from one address and counts by phase.
// A steady rate, not as fast as possible: what the other clients of a service
// do does not depend on how fast it answers.
type load struct {
	client *http.Client
	url    string
	cancel context.CancelFunc
	wg     sync.WaitGroup
	phase  atomic.Int32

	mu     sync.Mutex
	since  time.Time // when the current phase began
	counts [numPhases]counts
}

type counts struct {
	took      time.Duration
	latencies []time.Duration // of the requests that were answered with 200
	failed    int
}

// clientFrom returns a client whose connections come from the address from.
func clientFrom(from net.IP, timeout time.Duration) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	return &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: loadWorkers},
	}
}

func startLoad(ctx context.Context, from net.IP, url string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{client: clientFrom(from, 2*time.Second), url: url, cancel: cancel, since: time.Now()}
	for range loadWorkers {
		l.wg.Go(func() { l.work(ctx) })
	}
	return l
}

// enter begins a phase and ends the one before it.
func (l *load) enter(p phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.counts[l.phase.Load()].took += now.Sub(l.since)
	l.since = now
	l.phase.Store(int32(p))
}

// stop ends the workers; the counts do not change any more.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) work(ctx context.Context) {
	due := time.Now()
	for {
		due = due.Add(loadEvery)
		begun := due
		// A worker that was kept waiting by the service counts from when its
		// request was due, otherwise a service that hangs for a second would
		// show as one slow request instead of the hundreds it held up.
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			begun = time.Now()
		}
		p := phase(l.phase.Load())
		err := get(ctx, l.client, l.url)
		took := time.Since(begun)
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		if c := &l.counts[p]; err != nil {
			c.failed++
		} else {
			c.latencies = append(c.latencies, took)
		}
		l.mu.Unlock()
	}
}

// get sends one request and reads the answer, which must be a 200.
func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// printTable writes what the load saw in the two phases, side by side.
func (l *load) printTable(w io.Writer) error {
	l.mu.Lock()
	before, frozen := l.counts[phaseBefore], l.counts[phaseFrozen]
	l.mu.Unlock()
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, value func(counts) string) {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", name, value(before), value(frozen))
	}
	fmt.Fprintln(table, "other clients\tno debugger\tone request frozen\t")
	row("time", func(c counts) string { return fmt.Sprintf("%.1f s", c.took.Seconds()) })
	row("requests served", func(c counts) string { return fmt.Sprint(len(c.latencies)) })
	row("per second", func(c counts) string { return fmt.Sprintf("%.0f", float64(len(c.latencies))/c.took.Seconds()) })
	row("errors", func(c counts) string { return fmt.Sprint(c.failed) })
	row("p50", func(c counts) string { return milliseconds(percentile(c.latencies, 50)) })
	row("p99", func(c counts) string { return milliseconds(percentile(c.latencies, 99)) })
	return table.Flush()
}

// percentile is the nearest-rank percentile of d, 0 if d is empty.
func percentile(d []time.Duration, percent int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[(len(sorted)*percent+99)/100-1]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
