//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/stall"
	"golang.org/x/sys/unix"
)

const (
	// pollEvery is how often the board is looked at. A matching request waits
	// for half of it on average, and gives up after 100 ms. A look costs a
	// microsecond, waking up for it many: this decides the agent's idle cost.
	pollEvery = 20 * time.Millisecond
	// leaseLength and renewEvery: a dead agent's gate disarms itself after at
	// most leaseLength.
	leaseLength = 5 * time.Second
	renewEvery  = time.Second
	// beatEvery is how often the agent gives a sign of life: the watchdog and
	// frozen requests judge by it.
	beatEvery = 100 * time.Millisecond
	// hurriedEvery is pollEvery while goroutines of a request are about to be
	// offered: they have begun, and somebody may wait for them.
	hurriedEvery = time.Millisecond
	hurriedLooks = 50
)

// lease is the deadline to write now.
func (e *Engine) lease() time.Duration { return min(board.Now()+leaseLength, e.end) }

// watch polls the board and renews the lease until the engine ends or has to.
func (e *Engine) watch() {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	counts, _ := e.board.Counts() // an error comes back at the first look
	w := watcher{e: e, counts: counts, renewAt: board.Now() + renewEvery, stoppedAt: board.Now() + stoppedEvery, offers: make([]*offer, e.board.NumSlots())}
	hurry := 0 // looks at the hurried pace that are left
	for {
		select {
		case <-e.stop:
			e.declineAll(w.slots)
			w.beatUntilDone()
			return
		case <-e.born:
			// Not each time: births that come faster than that would keep it
			// from ever coming.
			if hurry <= 0 {
				tick.Reset(hurriedEvery)
			}
			hurry = hurriedLooks
			continue
		case <-tick.C:
			if hurry--; hurry == 0 {
				tick.Reset(pollEvery)
			}
		}
		if why := w.look(); why != "" {
			w.fail(why)
			return
		}
	}
}

// watcher is what watch keeps between two looks at the board.
type watcher struct {
	e           *Engine
	renewAt     time.Duration // on board.Now's clock, as those that follow
	beatAt      time.Duration
	epochAt     time.Duration // when the next epoch of the others' requests begins
	stoppedAt   time.Duration // when to tell the time of stops next
	stoppedTold time.Duration // as it was last told
	counts      board.Counts  // of the gate, as last seen
	slots       []board.Slot
	scratch     []byte
	offers      []*offer // by slot
	stuck       bool     // a thread is stopped for too long, and that was logged
}

// fail ends the engine from its own watch.
func (w *watcher) fail(why string) {
	go w.e.Close(why)
	<-w.e.stop
	w.e.declineAll(w.slots)
	w.beatUntilDone()
}

// look reads the board once, acts on it, and says why the engine must end, if
// it must.
func (w *watcher) look() (why string) {
	e := w.e
	var err error
	if w.slots, err = e.board.ReadSlots(w.slots, &w.scratch); err != nil {
		return e.unreachable(err)
	}
	full := true
	for i, s := range w.slots {
		e.serve(&w.offers[i], s)
		full = full && s.State != board.StateFree
	}
	e.full.Store(full)
	now := board.Now()
	if now >= e.end {
		return fmt.Sprintf("expired after %v", e.cfg.For)
	}
	if now >= w.beatAt {
		w.beatAt = now + beatEvery
		if err := w.beat(); err != nil {
			return e.unreachable(err)
		}
	}
	if e.traffic != nil && now >= w.epochAt {
		w.epochAt = now + stall.EpochLength
		e.mu.Lock()
		frozen := e.frozen() > 0
		e.mu.Unlock()
		if err := e.traffic.Tick(frozen); err != nil {
			return e.unreachable(err)
		}
	}
	w.tellStopped(now)
	if now >= w.renewAt {
		w.renewAt = now + renewEvery
		w.tellMissed()
		w.e.tellUntouched()
		e.releaseOrphans(now)
		e.tellWaiting()
		return e.renew()
	}
	return ""
}

// tellMissed says when matching requests were not taken for reasons that the
// person at the IDE cannot see.
func (w *watcher) tellMissed() {
	now, err := w.e.board.Counts()
	if err != nil {
		return // renew finds out
	}
	before := w.counts
	w.counts = now
	if n := now.Silent - before.Silent; n > 0 {
		w.e.outputToAll(fmt.Sprintf("%d matching requests, or goroutines of requests, ran untouched: this agent did not answer within 100 ms, the machine is too busy", n))
	}
	n := now.Full - before.Full
	if n > 0 {
		n -= uint64(w.e.crowdedOut(int(n)))
	}
	if n > 0 {
		w.e.outputToAll(fmt.Sprintf("%d matching requests, or goroutines of requests, ran untouched: the gate holds %d at a time", n, w.e.board.NumSlots()))
	}
}

// outputToAll tells every session.
func (e *Engine) outputToAll(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sessions {
		s.output(text)
	}
}

// unreachable says why the board cannot be reached any more.
func (e *Engine) unreachable(err error) string {
	if errors.Is(err, unix.ESRCH) {
		e.processGone.Store(true)
		return fmt.Sprintf("process %d has exited", e.cfg.PID)
	}
	return fmt.Sprintf("process %d cannot be reached any more: %v", e.cfg.PID, err)
}

// renew extends the lease, after making sure that the board is still there and
// still ours: the process may have replaced its program by execve(2), even by
// the same one.
func (e *Engine) renew() string {
	if err := e.board.Check(); err != nil {
		return fmt.Sprintf("process %d runs another program now: %v", e.cfg.PID, err)
	}
	switch owner, err := e.board.Owner(); {
	case err != nil:
		return e.unreachable(err)
	case owner != os.Getpid():
		return fmt.Sprintf("process %d is not armed by this agent any more: it was started anew, or this agent was stopped for longer than its lease", e.cfg.PID)
	}
	if err := e.board.Renew(e.lease()); err != nil {
		return e.unreachable(err)
	}
	return ""
}

// offer is what became of the last offer in a slot.
type offer struct {
	gen  uint32
	req  *request // nil: declined
	done bool     // seen done once: its thread should have been released by now
}

// serve acts on a look at one slot; *o belongs to the slot.
func (e *Engine) serve(o **offer, s board.Slot) {
	cur := *o
	if s.State == board.StateOffered && (cur == nil || cur.gen != s.Gen) {
		*o = &offer{gen: s.Gen, req: e.take(s)}
		return
	}
	if cur == nil || cur.req == nil {
		return
	}
	switch {
	case s.Gen != cur.gen, s.State == board.StateFree, s.State == board.StateAbandoned:
		// The service gave up waiting for us, or the request is done.
		cur.req.thread.Release()
		*o = nil
	case s.State == board.StateDone:
		// The service's own signal wakes the tracing goroutine; this is for
		// the case that it came while the thread was being seized.
		if cur.done {
			cur.req.thread.Release()
		}
		cur.done = true
	}
}

// take seizes the thread of an offered request, or declines it.
func (e *Engine) take(s board.Slot) *request {
	tid, err := live.HostTID(e.cfg.PID, s.TID)
	if err != nil {
		// The thread is gone, or we cannot name it and so not wake it: the
		// answer counts at the latest when its wait has a slice over.
		_ = e.board.Answer(s.Index, s.Gen, false)
		return nil
	}
	r, err := e.newRequest(s, tid)
	if err != nil {
		e.cfg.Log(fmt.Sprintf("declined a request: %v", err))
	}
	if r == nil {
		e.decline(s, tid)
	}
	return r
}

func (e *Engine) decline(s board.Slot, tid int) {
	if e.board.Answer(s.Index, s.Gen, false) == nil {
		_ = unix.Tgkill(e.cfg.PID, tid, unix.SIGURG) // only wakes it sooner
	}
}

// declineAll answers the offers that nobody will look at any more.
func (e *Engine) declineAll(slots []board.Slot) {
	for i := range slots {
		s, err := e.board.ReadSlot(i)
		if err != nil {
			return
		}
		if s.State != board.StateOffered || s.Answer>>1 == s.Gen&(1<<31-1) {
			continue
		}
		if tid, err := live.HostTID(e.cfg.PID, s.TID); err == nil {
			e.decline(s, tid)
		}
	}
}
