//go:build linux && amd64

package session

import (
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
)

// stuckAfter is how long a thread of the service may be in one ptrace-stop
// before the agent counts as hung. Stops take microseconds; this allows for a
// machine that is busy, and with the watchdog's 500 ms it keeps what a hung
// agent can cost the service under a second.
const stuckAfter = 100 * time.Millisecond

// stuckLooks is the same for a stop that the tracing goroutine has not even
// taken, in looks at the thread from outside: one each beat, so that the stop
// has lasted for 100 to 200 ms.
const stuckLooks = 2

// beat gives the two signs of life: on the board, by which a frozen request
// judges whether the agent has died, and to the watchdog, which is to act when
// the agent still runs but does not serve the threads that it traces.
func (w *watcher) beat() error {
	err := w.e.board.Beat()
	tid, stopped, stuck := w.e.longestStop()
	if !stuck {
		w.stuck = false
		w.e.cfg.Beat()
		return err
	}
	if !w.stuck {
		w.stuck = true
		w.e.cfg.Log(fmt.Sprintf("thread %d of the service has been stopped for %v: the watchdog is not told that this agent lives", tid, stopped.Round(time.Millisecond)))
	}
	return err
}

// beatUntilDone goes on with it while Close lets go of the requests.
func (w *watcher) beatUntilDone() {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		_ = w.beat() // fails if the process is gone, and then Close finds out
		select {
		case <-w.e.done:
			return
		case <-tick.C:
		}
	}
}

// longestStop finds the thread that has been in its ptrace-stop for longest, and
// says whether that is too long.
func (e *Engine) longestStop() (tid int, stopped time.Duration, stuck bool) {
	e.mu.Lock()
	threads := make([]*live.Thread, 0, len(e.requests))
	for _, r := range e.requests {
		threads = append(threads, r.thread)
	}
	e.mu.Unlock()
	for _, t := range threads {
		d := t.StoppedFor()
		if t.Look() >= stuckLooks {
			d = max(d, stuckAfter)
		}
		if d > stopped {
			tid, stopped = t.TID(), d
		}
	}
	return tid, stopped, stopped >= stuckAfter
}

// stoppedEvery is how often the time that threads were stopped is told.
const stoppedEvery = time.Minute

// tellStopped logs how long threads of the service were in ptrace-stops since
// it last did. That is all that debugging takes from the service's runtime: a
// frozen request's thread is not stopped.
func (w *watcher) tellStopped(now time.Duration) {
	if now < w.stoppedAt {
		return
	}
	w.stoppedAt = now + stoppedEvery
	e := w.e
	e.mu.Lock()
	total := e.stopped
	for _, r := range e.requests {
		total += r.thread.StoppedInAll()
	}
	e.mu.Unlock()
	if total > w.stoppedTold {
		e.cfg.Log(fmt.Sprintf("threads of the service were stopped for %v in the last minute", (total - w.stoppedTold).Round(10*time.Microsecond)))
		w.stoppedTold = total
	}
}
