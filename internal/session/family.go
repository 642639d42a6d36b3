//go:build linux && amd64

package session

import (
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/stall"
)

// family is a request and the goroutines that are debugged with it. It sums up what
// the log and the console would be flooded with: a request may start hundreds. The
// audit has each by itself. Guarded by Engine.mu.
type family struct {
	session *Session
	root    RequestID
	name    string // of the request
	since   time.Time

	told live.Untouched // the person knows of these

	all      int  // how many there were
	open     int  // how many of them are in flight
	rootOver bool // the request itself is not any more
	ended    int  // goroutines that ended since the log had a line
	stopped  time.Duration
}

// enters counts a request, whose family it is then, or a goroutine, which is debugged
// from now on. Called under Engine.mu.
func (f *family) enters(r *request) {
	f.all++
	f.open++
	if r.id == r.root {
		f.root, f.name, f.since = r.id, r.name, r.info.Since
	}
}

// leaves counts one that is not any more, whose thread was stopped for so long. It
// answers with a line for the log, empty if a later one will tell. Called under
// Engine.mu.
func (f *family) leaves(r *request, stopped time.Duration) (line string) {
	f.open--
	f.stopped += stopped
	if r.id == f.root {
		f.rootOver = true
	} else {
		f.ended++
	}
	if !f.rootOver || r.id != f.root && f.open > 0 {
		return ""
	}
	n, took := f.ended, time.Since(f.since).Round(time.Millisecond)
	was := f.stopped.Round(10 * time.Microsecond)
	f.ended, f.stopped = 0, 0
	switch {
	case r.id != f.root:
		return fmt.Sprintf("request %d: %s that had outlived it released after %v (stopped for %v of it): %s", f.root, goroutines(n), took, was, f.name)
	case f.open > 0 && n == 0:
		return fmt.Sprintf("request %d released after %v (its thread was stopped for %v of it), %s followed on: %s", f.root, took, was, goroutinesAre(f.open), f.name)
	case f.open > 0:
		return fmt.Sprintf("request %d and %s released after %v (their threads were stopped for %v of it), %s followed on: %s", f.root, goroutines(n), took, was, goroutinesAre(f.open), f.name)
	case n > 0:
		return fmt.Sprintf("request %d and its %s released after %v (their threads were stopped for %v of it): %s", f.root, goroutines(n), took, was, f.name)
	}
	return fmt.Sprintf("request %d released after %v (its thread was stopped for %v of it): %s", f.root, took, was, f.name)
}

func goroutines(n int) string {
	if n == 1 {
		return "1 goroutine"
	}
	return fmt.Sprintf("%d goroutines", n)
}

func goroutinesAre(n int) string {
	if n == 1 {
		return "1 goroutine is"
	}
	return fmt.Sprintf("%d goroutines are", n)
}

// tell says that goroutines of the family were not followed, once for each reason,
// to its IDE, and answers with the lines for the log. Called under Engine.mu.
func (f *family) tell(why live.Untouched) (lines []string) {
	e := f.session.e
	for _, c := range []struct {
		why  live.Untouched
		text string
	}{
		{live.NoHardware, fmt.Sprintf("goroutines that %s starts while all %d hardware breakpoints of its thread are in use run untouched: use fewer breakpoints, or start them with gate.Go", f.name, live.HardwareSlots)},
		{live.TooMany, fmt.Sprintf("goroutines of %s run untouched: no more than the first %d that one goroutine starts are followed; start those that matter with gate.Go", f.name, live.MaxBirths)},
		{live.NoRoom, fmt.Sprintf("goroutines of %s run untouched: the gate holds %d requests and goroutines at a time", f.name, e.board.NumSlots())},
	} {
		if why&^f.told&c.why == 0 {
			continue
		}
		f.told |= c.why
		f.session.output(c.text)
		lines = append(lines, fmt.Sprintf("request %d: %s", f.root, c.text))
	}
	return lines
}

// tellUntouched tells it of all requests in flight.
func (e *Engine) tellUntouched() {
	var lines []string
	e.mu.Lock()
	for _, r := range e.requests {
		lines = append(lines, r.family.tell(r.thread.Untouched())...)
	}
	e.mu.Unlock()
	e.logAll(lines)
}

func (e *Engine) logAll(lines []string) {
	for _, line := range lines {
		e.cfg.Log(line)
	}
}

// crowdedOut finds, when the gate had no slot for n of what was to be debugged, how
// many of them are goroutines that were taken along, and tells whose they are. One
// that has not begun yet looks the same, so that it may be some too many.
func (e *Engine) crowdedOut(n int) (found int) {
	var lines []string
	e.mu.Lock()
	for _, r := range e.requests {
		if k := e.kin[use(r.slot)]; k != nil {
			k.births = r.thread.Births()
		}
	}
	for _, k := range e.kin {
		if lost := min(k.births-k.offered, n-found); lost > 0 {
			found += lost
			k.offered += lost
			lines = append(lines, k.family.tell(live.NoRoom)...)
		}
	}
	e.mu.Unlock()
	e.logAll(lines)
	return found
}

// hasRoom says whether the gate has a slot for one more goroutine.
func (e *Engine) hasRoom() bool { return !e.full.Load() }

// waiting says which goroutines the stall guard is not to count: those of requests
// that are frozen or have a goroutine that is. They wait for it as they must, and what
// they need themselves is the business of those who debug them. Requests that run
// are others.
func (e *Engine) waiting() (own stall.Own) {
	e.mu.Lock()
	defer e.mu.Unlock()
	frozen := make(map[*family]bool)
	for _, r := range e.requests {
		if r.state.parked() {
			if !frozen[r.family] {
				own.Requests = append(own.Requests, int(r.family.root))
			}
			frozen[r.family] = true
		}
	}
	for _, r := range e.requests {
		if !frozen[r.family] {
			continue
		}
		own.Threads = append(own.Threads, r.slot.TID)
		if r.g != 0 {
			own.Gs = append(own.Gs, r.g)
		}
	}
	return own
}
