//go:build linux

package harness

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Output keeps what a process writes and wakes those who wait for a line. Any
// goroutine may use it.
type Output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	writes  []write       // where in text each began, and when it came
	changed chan struct{} // closed and replaced at every write
	closed  bool          // nothing more will come
}

// write is one write of the process.
type write struct {
	from int
	at   time.Time
}

func newOutput() *Output { return &Output{changed: make(chan struct{})} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
	o.writes = append(o.writes, write{o.text.Len(), time.Now()})
	return o.text.Write(p)
}

func (o *Output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake()
}

// wake is called with mu held.
func (o *Output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// String is everything written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Timed is String with each line's time of arrival, since a moment, in front of it.
func (o *Output) Timed(since time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	from, next := 0, 0
	var at time.Duration
	for line := range strings.Lines(o.text.String()) {
		for next < len(o.writes) && o.writes[next].from <= from {
			at = o.writes[next].at.Sub(since)
			next++
		}
		fmt.Fprintf(&b, "%+9.3fs  %s", at.Seconds(), line)
		from += len(line)
	}
	return b.String()
}

// WaitLine waits for a whole line that contains text and returns it.
func (o *Output) WaitLine(text string, timeout time.Duration) (string, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		o.mu.Lock()
		have, changed, closed := o.text.String(), o.changed, o.closed
		o.mu.Unlock()
		for line := range strings.Lines(have) {
			if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
				return strings.TrimSuffix(line, "\n"), nil
			}
		}
		if closed {
			return "", fmt.Errorf("the process ended without printing %q", text)
		}
		select {
		case <-changed:
		case <-timer.C:
			return "", fmt.Errorf("no line with %q within %v", text, timeout)
		}
	}
}
