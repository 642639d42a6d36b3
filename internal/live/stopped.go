//go:build linux && amd64

package live

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// began is what stops are timed against; time.Since reads CLOCK_MONOTONIC, which
// setting the wall clock does not move.
var began = time.Now()

// noteStop and noteResume are called by the tracing goroutine when it has taken
// a ptrace-stop and before it resumes the tracee.
func (t *Thread) noteStop() {
	t.listening.Store(false)
	t.stopTaken.Store(int64(time.Since(began)))
}
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

// seen is what the last look at a thread from outside found.
type seen struct {
	switches string // its counts of context switches
	looks    int    // in which it was in that ptrace-stop, one after the other
}

// Look looks at the thread from outside and says in how many looks, one after
// the other and this one included, it was in one and the same ptrace-stop; 0 if
// it is in none. StoppedFor cannot know of a stop that the tracing goroutine has
// not taken: if that hangs while the thread runs, the next stop is for ever. It
// is the same stop if the thread has not been on a CPU in between. A thread that
// is stopped with its whole process is in none of ours. To be called from one
// goroutine.
func (t *Thread) Look() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", t.proc.PID, t.tid))
	state, switches := "", ""
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "State:"): // proc_pid_status(5): "t (tracing stop)"
			state = strings.TrimSpace(strings.TrimPrefix(line, "State:"))
		case strings.Contains(line, "voluntary_ctxt_switches:"):
			switches += line
		}
	}
	switch {
	case err != nil || !strings.HasPrefix(state, "t") || t.listening.Load():
		t.seen.looks = 0
	case switches != t.seen.switches:
		t.seen.looks = 1
	default:
		t.seen.looks++
	}
	t.seen.switches = switches
	return t.seen.looks
}
