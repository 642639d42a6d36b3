//go:build linux

package door

import (
	"sync"
	"time"
)

// Bounds of attempts. A person who mistypes does not notice them.
const (
	freeFailures = 3                // in a row that cost nothing
	firstWait    = time.Second      // after the next; doubled after each further one
	longestWait  = 30 * time.Second // a real client behind the same address is kept out for no longer
	forgiven     = 10 * time.Minute // a failure that is so long ago does not count
	maxSources   = 1024             // that are remembered
)

// backoff makes sources wait that have failed to prove who they are.
type backoff struct {
	mu      sync.Mutex
	sources map[string]*failures
	now     func() time.Time
}

type failures struct {
	count int
	last  time.Time
	until time.Time
	told  bool // somebody was told about this wait
}

func newBackoff() *backoff { return &backoff{sources: make(map[string]*failures), now: time.Now} }

// waits is for how long source has to wait, 0 if it need not; first is true once a
// wait.
func (b *backoff) waits(source string) (left time.Duration, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.sources[source]
	if f == nil {
		return 0, false
	}
	if left = f.until.Sub(b.now()); left <= 0 {
		return 0, false
	}
	first, f.told = !f.told, true
	return left, first
}

// failed counts an attempt that failed.
func (b *backoff) failed(source string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	f := b.sources[source]
	if f == nil || now.Sub(f.last) > forgiven {
		if f == nil && len(b.sources) >= maxSources {
			b.forget()
		}
		f = new(failures)
		b.sources[source] = f
	}
	f.count++
	f.last, f.told = now, false
	if over := f.count - freeFailures; over > 0 {
		f.until = now.Add(min(longestWait, firstWait<<min(over-1, 10)))
	}
}

// succeeded forgets the failures of source.
func (b *backoff) succeeded(source string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sources, source)
}

// forget drops the source whose last failure is the oldest.
func (b *backoff) forget() {
	var oldest string
	var at time.Time
	for source, f := range b.sources {
		if oldest == "" || f.last.Before(at) {
			oldest, at = source, f.last
		}
	}
	delete(b.sources, oldest)
}
