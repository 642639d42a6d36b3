package gate

import (
	"runtime"
	"sync/atomic"
	"syscall"
)

// Bounds of what an agent can cost a request, in ns of CLOCK_MONOTONIC.
const (
	answerTimeout  = 100_000_000   // between the offer and running untouched
	releaseTimeout = 1_000_000_000 // between the handler's return and abandoning the slot

	// A single futex wait is shorter than that: should an agent write a word
	// and not wake us, this is what it costs.
	waitSlice = 20_000_000
)

var rules ruleCache

// abandonedBy holds, for each abandoned slot, the agent that did not release
// it. It is not on the board because the agent has no use for it.
var abandonedBy [numSlots]uint32

// armed reports whether the board has anything but armedNo: one load, and small
// enough to be inlined into the path of every request.
func armed() bool { return atomic.LoadUint32(&theBoard.armed) != armedNo }

// currentRules is asked for every request while the board is armed. The first
// request after the end finds no rules, and takes the landing pad away.
func currentRules() *ruleSet {
	if atomic.LoadUint32(&theBoard.armed) != armedYes {
		reclaimAll() // the agent ends, and with it the lease
		removePad()
		return &noRules
	}
	return rules.current(&theBoard)
}

var noRules ruleSet

// offer puts a matching request on the board, or a goroutine that belongs to one
// (q is nil then), and waits for the answer. When it returns a trapped Ticket the
// goroutine is locked to its thread, which the agent has seized; in every other
// case nothing is left of the attempt.
func offer(q *Request, from origin) Ticket {
	now := monotonic()
	if now >= atomic.LoadInt64(&theBoard.lease) {
		reclaimAll()
		removePad()
		return Ticket{}
	}
	// The lock comes first: it makes the thread id below stay true, and ours.
	runtime.LockOSThread()
	tid := int32(syscall.Gettid())
	if taken(tid) {
		runtime.UnlockOSThread()
		return Ticket{}
	}
	if q != nil {
		atomic.AddUint64(&theBoard.matched, 1)
	}
	s := claim()
	if s == nil {
		atomic.AddUint64(&theBoard.full, 1)
		runtime.UnlockOSThread()
		return Ticket{}
	}
	if !usePad() {
		atomic.StoreUint32(&s.state, slotFree)
		runtime.UnlockOSThread()
		return Ticket{}
	}
	gen := fill(s, q, from, tid, now)
	atomic.StoreUint32(&s.state, slotOffered)

	switch awaitAnswer(s, gen, now+answerTimeout) {
	case accepted:
		atomic.StoreUint32(&s.state, slotRunning)
		return Ticket{slot: s, gen: gen}
	case refused:
		atomic.AddUint64(&theBoard.declined, 1)
	case unanswered:
		// The agent may be seizing the thread right now. It looks at the
		// state afterwards, finds that the offer is over, and lets go.
		atomic.AddUint64(&theBoard.silent, 1)
	}
	letGo(s)
	return Ticket{}
}

// letGo frees the slot of the calling goroutine and unlocks it from its thread,
// which no agent has anything to do with any more.
func letGo(s *slot) {
	atomic.StoreUint32(&s.state, slotFree)
	unusePad()
	runtime.UnlockOSThread()
}

// taken reports whether the calling thread, which the caller has locked, is
// already the one of a trapped request. Either the request passes a second
// gate, or it follows, on the same connection and so the same goroutine, one
// whose slot was abandoned: that thread is offered again only once it has been
// released, and only then is the lock undone that release kept.
func taken(tid int32) bool {
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		if atomic.LoadInt32(&s.tid) != tid {
			continue
		}
		switch atomic.LoadUint32(&s.state) {
		case slotRunning:
			return true
		case slotAbandoned:
			if !reclaimable(i) {
				return true
			}
			if atomic.CompareAndSwapUint32(&s.state, slotAbandoned, slotFree) {
				unusePad()
				runtime.UnlockOSThread()
			}
		}
	}
	return false
}

// claim takes a free slot, or else an abandoned one that nobody holds any more.
// It returns nil if every slot is taken.
func claim() *slot {
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		if atomic.CompareAndSwapUint32(&s.state, slotFree, slotClaimed) {
			return s
		}
	}
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		if atomic.LoadUint32(&s.state) == slotAbandoned && reclaimable(i) &&
			atomic.CompareAndSwapUint32(&s.state, slotAbandoned, slotClaimed) {
			unusePad()
			return s
		}
	}
	return nil
}

// reclaimable reports whether the abandoned slot i can be used again while the
// lease holds: its agent has let go of the thread, or there is another agent.
func reclaimable(i int) bool {
	s := &theBoard.slots[i]
	return atomic.LoadUint32(&s.freed) == atomic.LoadUint32(&s.gen) ||
		atomic.LoadUint32(&abandonedBy[i]) != atomic.LoadUint32(&theBoard.agentPID)
}

// reclaimAll frees every abandoned slot. The lease has run out, so no agent may
// hold on to a thread any more.
func reclaimAll() {
	for i := range theBoard.slots {
		if atomic.CompareAndSwapUint32(&theBoard.slots[i].state, slotAbandoned, slotFree) {
			unusePad()
		}
	}
}

// fill describes what is offered in a claimed slot and returns its generation.
func fill(s *slot, q *Request, from origin, tid int32, now int64) uint32 {
	gen := atomic.AddUint32(&s.gen, 1)
	atomic.StoreInt32(&s.tid, tid)
	s.since = now
	s.parent, s.parentGen, s.entry = from.parent, from.gen, uint64(from.entry)
	if q == nil {
		s.method.n, s.path.n, s.route.n, s.client.n = 0, 0, 0, 0
		return gen
	}
	s.method.n = setText(s.method.b[:], q.Method)
	s.path.n = setText(s.path.b[:], q.Path)
	s.route.n = setText(s.route.b[:], q.Route)
	s.client.n = uint16(len(q.Client.Addr.AppendTo(s.client.b[:0]))) // at most 45 bytes
	return gen
}

// The outcomes of an offer.
type outcome int

const (
	unanswered outcome = iota
	refused
	accepted
)

// awaitAnswer waits for the agent's answer to generation gen, until the
// deadline. Each round looks at the answer after the wait and before the clock,
// so that an answer in the last moment counts.
func awaitAnswer(s *slot, gen uint32, deadline int64) outcome {
	for {
		answer := atomic.LoadUint32(&s.answer)
		switch answer {
		case gen<<1 | answerAccept:
			return accepted
		case gen << 1:
			return refused
		}
		left := deadline - monotonic()
		if left <= 0 {
			return unanswered
		}
		futexWait(&s.answer, answer, min(left, waitSlice))
	}
}

// release ends the trapped request of generation gen in s.
//
// If the agent does not let go of the thread in time, the goroutine stays
// locked to it. A traced thread stops at signals and breakpoints until its
// tracer resumes it; were it unlocked, the scheduler would run other requests
// on it, and one that stops there holds a P and, at the next garbage
// collection, everybody. Locked, it can do that to its own goroutine only, and
// when that goroutine ends the runtime ends the thread with it.
func release(s *slot, gen uint32) {
	if atomic.LoadUint32(&s.gen) != gen ||
		!atomic.CompareAndSwapUint32(&s.state, slotRunning, slotDone) {
		return
	}
	wakeTracer(int(atomic.LoadInt32(&s.tid)))
	forgetBirth(s)
	deadline := monotonic() + releaseTimeout
	for {
		freed := atomic.LoadUint32(&s.freed)
		if freed == gen {
			letGo(s)
			return
		}
		left := deadline - monotonic()
		if left <= 0 {
			abandon(s)
			return
		}
		futexWait(&s.freed, freed, min(left, waitSlice))
	}
}

func abandon(s *slot) {
	for i := range theBoard.slots {
		if s == &theBoard.slots[i] {
			atomic.StoreUint32(&abandonedBy[i], atomic.LoadUint32(&theBoard.agentPID))
		}
	}
	atomic.StoreUint32(&s.state, slotAbandoned)
}

// current finds the slot of the calling goroutine's request, if that is trapped.
// Its thread, which no other goroutine runs on, is what tells it.
func current() (origin, bool) {
	tid := int32(syscall.Gettid())
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		if atomic.LoadInt32(&s.tid) == tid && atomic.LoadUint32(&s.state) == slotRunning {
			return origin{parent: uint32(i) + 1, gen: atomic.LoadUint32(&s.gen)}, true
		}
	}
	return origin{}, false
}
