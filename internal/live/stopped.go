//go:build linux && amd64

package live

import "time"

// began is what stops are timed against; time.Since reads CLOCK_MONOTONIC, which
// setting the wall clock does not move.
var began = time.Now()

// noteStop and noteResume are called by the tracing goroutine when it has taken
// a ptrace-stop and before it resumes the tracee.
func (t *Thread) noteStop() { t.stopTaken.Store(int64(time.Since(began))) }
func (t *Thread) noteResume() {
	if since := t.stopTaken.Swap(0); since != 0 {
		t.stopTotal.Add(int64(time.Since(began)) - since)
	}
}

// StoppedFor says for how long the thread has been in the ptrace-stop that it is
// in now; 0 if it runs, also while the request is frozen, for its thread is
// asleep in the gate then. Stops take microseconds: a long one means that the
// tracing goroutine hangs, with a P of the service's runtime in its hands.
func (t *Thread) StoppedFor() time.Duration {
	since := t.stopTaken.Load()
	if since == 0 {
		return 0
	}
	return max(time.Since(began)-time.Duration(since), 1)
}

// StoppedInAll is how long the thread has been in ptrace-stops altogether.
func (t *Thread) StoppedInAll() time.Duration { return time.Duration(t.stopTotal.Load()) }
