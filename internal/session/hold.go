//go:build linux && amd64

package session

import (
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/internal/stall"
)

// Defaults of Config's budgets.
const (
	DefaultMaxHold   = 5 * time.Minute
	DefaultMaxFrozen = 2
	// StallGuardOff turns the stall guard off.
	StallGuardOff = -1
)

// stallLook is how often the stall guard looks while a request is frozen.
const stallLook = stall.EpochLength

func (c *Config) setDefaults() {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	if c.MaxHold == 0 {
		c.MaxHold = DefaultMaxHold
	}
	if c.MaxFrozen == 0 {
		c.MaxFrozen = DefaultMaxFrozen
	}
	if c.StallGuard == 0 {
		c.StallGuard = stall.Default
	}
}

// hold waits, with the request frozen, for what to do; false if it was let go
// of or its process has ended. A request that is held for too long, or that
// others pile up behind, is let go of.
func (r *request) hold() (command, bool) {
	tooLong := time.NewTimer(r.e.cfg.MaxHold)
	defer tooLong.Stop()
	look := time.NewTicker(stallLook)
	defer look.Stop()
	for {
		select {
		case cmd := <-r.cmds:
			return cmd, true
		case ev := <-r.thread.Events(): // only Called and Gone can come
			if ev.Called != nil {
				r.called(ev.Called)
				continue
			}
			if ev.Gone != nil {
				r.lost(*ev.Gone)
			}
			return 0, false
		case <-tooLong.C:
			r.giveUp(fmt.Sprintf("it was held for %v, the most that --max-hold allows", r.e.cfg.MaxHold), false)
		case <-look.C:
			if evidence := r.stalled(); evidence != "" {
				r.giveUp("it held up others: "+evidence+" (--stall-guard)", true)
			}
		}
	}
}

// stalled asks the stall guard, which begins to watch at the request's first
// stop.
func (r *request) stalled() (evidence string) {
	if r.slow != nil {
		if evidence := r.slow.Look(); evidence != "" {
			return evidence
		}
	}
	if r.stall == nil {
		return ""
	}
	evidence, err := r.stall.Look()
	if err != nil {
		return "" // the process is gone, or its list moved: the next look tells
	}
	return evidence
}

// watchStall begins to watch what can be watched, unless the guard is off.
func (r *request) watchStall() {
	if r.stall != nil || r.slow != nil || r.e.cfg.StallGuard < 0 {
		return
	}
	if r.e.goroutines != nil {
		r.stall, _ = r.e.goroutines.New(r.e.cfg.StallGuard, r.e.waiting)
	}
	if r.e.traffic != nil {
		r.slow = r.e.traffic.Watch(r.e.cfg.StallGuard)
	}
}

// frozen is how many requests are frozen. Called under Engine.mu.
func (e *Engine) frozen() (n int) {
	for _, r := range e.requests {
		if r.state.parked() {
			n++
		}
	}
	return n
}

// giveUp lets go of a frozen request for good and says why, unless it is just
// being moved. guard: the stall guard wants it.
func (r *request) giveUp(why string, guard bool) {
	r.e.mu.Lock()
	if !r.state.parked() {
		r.e.mu.Unlock()
		return
	}
	r.state = requestRunning
	r.abandonCall()
	r.info.Frozen = false
	r.session.tally.thawed++
	r.noteWhy(why)
	info := r.info
	r.e.mu.Unlock()
	r.session.queue.put(Event{Kind: EventContinued, Request: info, Text: why, Guard: guard})
	r.e.cfg.Log(fmt.Sprintf("request %d thawed: %s", info.ID, why))
	r.thread.Release()
}
