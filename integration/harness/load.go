//go:build linux

package harness

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxLoadTime ends a load that nobody stopped.
const maxLoadTime = 5 * time.Minute

// Load is traffic of clients that are not allowlisted: each worker sends one
// request after the other.
type Load struct {
	cancel  context.CancelFunc
	began   time.Time
	workers sync.WaitGroup
	served  atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration
	failed    int
	firstBad  error
}

// LoadResult is what a load came to.
type LoadResult struct {
	Served    int // answered with 200
	Failed    int // anything else
	FirstBad  error
	Took      time.Duration
	latencies []time.Duration // of the served, sorted
}

// PerSecond is the throughput.
func (r LoadResult) PerSecond() float64 { return float64(r.Served) / r.Took.Seconds() }

// Quantile is the latency that the share q of the served requests stayed
// within; 0 if none was served.
func (r LoadResult) Quantile(q float64) time.Duration {
	return Quantile(r.latencies, q)
}

// Quantile is the q-quantile of sorted durations, 0 if there are none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// StartLoad starts workers that send requests for path until Stop.
func StartLoad(base, path string, workers int) *Load {
	ctx, cancel := context.WithTimeout(context.Background(), maxLoadTime)
	l := &Load{cancel: cancel, began: time.Now()}
	client := NewClient(base, Others, workers)
	for range workers {
		l.workers.Go(func() { l.work(ctx, client, path) })
	}
	context.AfterFunc(ctx, client.Close)
	return l
}

func (l *Load) work(ctx context.Context, client *Client, path string) {
	var latencies []time.Duration
	failed, firstBad := 0, error(nil)
	for ctx.Err() == nil {
		sent := time.Now()
		r := client.Get(ctx, path)
		switch {
		case ctx.Err() != nil: // cut short by Stop
		case r.Err != nil || r.Status != http.StatusOK:
			if failed++; firstBad == nil {
				firstBad = fmt.Errorf("harness: load: status %d: %w", r.Status, r.Err)
			}
		default:
			latencies = append(latencies, time.Since(sent))
			l.served.Add(1)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latencies...)
	l.failed += failed
	if l.firstBad == nil {
		l.firstBad = firstBad
	}
}

// Served is how many requests were answered with 200 so far.
func (l *Load) Served() int { return int(l.served.Load()) }

// WaitServed waits until n more requests have been served.
func (l *Load) WaitServed(n int, timeout time.Duration) error {
	from := l.Served()
	return Until(timeout, fmt.Sprintf("%d requests served beside the frozen one", n), func() error {
		if got := l.Served() - from; got < n {
			return fmt.Errorf("%d were", got)
		}
		return nil
	})
}

// Stop ends the load. It is to be called once.
func (l *Load) Stop() LoadResult {
	l.cancel()
	took := time.Since(l.began)
	l.workers.Wait()
	slices.Sort(l.latencies)
	return LoadResult{Served: len(l.latencies), Failed: l.failed, FirstBad: l.firstBad, Took: took, latencies: l.latencies}
}
