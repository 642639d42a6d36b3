//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/stall"
)

// requestState is where a request stands.
type requestState int

const (
	requestRunning requestState = iota
	requestFrozen
	requestCalling // frozen, and its thread makes a call
	requestGone
)

// parked: its goroutine stands still.
func (s requestState) parked() bool { return s == requestFrozen || s == requestCalling }

// command is a movement that the IDE asks a frozen request to make.
type command int

const (
	commandContinue command = iota
	commandNext
	commandStepIn
	commandStepOut
)

// request is one gated request in flight. Its goroutine, run, alone moves it.
type request struct {
	e       *Engine
	session *Session
	slot    board.Slot
	thread  *live.Thread
	id      RequestID
	root    RequestID    // itself, or the request that it is a goroutine of
	family  *family      // of root
	name    string       // Request.Name, which never changes
	cmds    chan command // capacity 1: sent only when the state goes from frozen to running

	stall *stall.Watch // these two are used by run only; nil: not watched
	slow  *stall.Slow

	stopped    bool // at least once; used by run only
	untilEntry bool // it is to stop in the first function of the user's
	record     record

	// Guarded by Engine.mu.
	g        uint64 // address of its goroutine's runtime.g; 0: it has not been frozen yet
	info     Request
	state    requestState
	call     *ongoing      // of requestCalling
	frozenAt time.Time     // when it was frozen last
	orphaned time.Duration // when its request was found to have ended, on board.Now's clock; 0: it has not
	told     bool          // its goroutine was looked at or has stopped, see tellWaiting

	// Guarded by Engine.brain.
	proc  *backend.Process // nil until the first stop
	mem   *taint.Memory    // of proc
	fence *fence           // below mem

	search     *stopSearch // for secrets, at this stop; nil: it has not begun
	lastSearch time.Time   // of one that may pass

	group *proc.TargetGroup
	pause pauseState

	// The panic that it is stopped at, nil if at none, and what the filter tells
	// of it. Set and reset by run, under Engine.brain.
	exception     *ExceptionStop
	exceptionText string
	passedReturns int // errors that it has returned since it stopped last
}

// newRequest seizes the thread of the offered request in slot s; nil if no
// session wants it.
func (e *Engine) newRequest(s board.Slot, tid int) (*request, error) {
	d, err := e.board.Describe(s.Index)
	if err != nil {
		return nil, err
	}
	// Not the brain lock: whatever Delve is busy with, requests must not wait.
	// Under e.mu a change of the breakpoints is either in the plan or finds
	// the request in the list.
	e.mu.Lock()
	defer e.mu.Unlock()
	family, info, err := e.whose(d)
	if e.state != engineArmed || family == nil || err != nil {
		return nil, err
	}
	ses := family.session
	armed := ses.armed.Load()
	plan := live.Plan{Watches: armed.watches(info.root())}
	plan.Stops, plan.Probes = armed.split(e, len(plan.Watches))
	plan.Returns = armed.returns
	if ses.stopOnEntry.Load() && info.Root == 0 {
		plan.UntilText, plan.OverText, plan.Probes, plan.Returns = e.text.user, e.text.runtime, nil, nil
	}
	r := &request{e: e, session: ses, family: family, slot: s, untilEntry: plan.UntilText != nil, cmds: make(chan command, 1)}
	e.lastID++
	info.ID, info.Since = e.lastID, time.Now()
	info.Path = ses.Guard().Text(info.Path)
	r.info = info
	e.kin.add(s, family, info)
	r.id, r.root, r.name = r.info.ID, r.info.root(), r.info.Name()
	family.enters(r)
	e.requests[r.id] = r
	r.thread = live.Seize(e.live, tid, boardSlot{e.board, s.Index, s.Gen}, plan)
	ses.queue.put(Event{Kind: EventStarted, Request: r.info})
	go r.run()
	return r, nil
}

// boardSlot is a slot as the tracing goroutine sees it.
type boardSlot struct {
	b   *board.Board
	i   int
	gen uint32
}

func (s boardSlot) Accept() error           { return s.b.Answer(s.i, s.gen, true) }
func (s boardSlot) SetHeld(held bool) error { return s.b.SetHeld(s.i, held) }
func (s boardSlot) Released() error         { return s.b.SetFreed(s.i, s.gen) }

func (s boardSlot) SetHoming(on bool) error { return s.b.SetHoming(s.i, on) }

func (s boardSlot) Journal(pc, flags uint64, xstate []byte) error {
	return s.b.Journal(s.i, pc, flags, xstate)
}

func (s boardSlot) Running() bool {
	now, err := s.b.ReadSlot(s.i)
	return err == nil && now.Gen == s.gen && (now.State == board.StateOffered || now.State == board.StateRunning)
}

// run follows the request from its seizure to its end.
func (r *request) run() {
	defer r.finish()
	r.recordTaken()
	fr := r.firstFreeze()
	if fr == nil {
		return
	}
	r.e.mu.Lock()
	r.g = fr.State.G
	r.e.mu.Unlock()
	out := r.begin(fr)
	for out.err == nil || !out.gone() {
		if !r.settle(out) {
			out = r.move(commandContinue)
			continue
		}
		go r.searchAhead()
		cmd, ok := r.hold()
		r.recordThawed(r.frozenAt, cmd, ok)
		if !ok {
			return
		}
		out = r.move(cmd)
	}
}

// firstFreeze waits for the first stop; nil if there is none.
func (r *request) firstFreeze() *live.Frozen {
	for ev := range r.thread.Events() {
		switch {
		case ev.Frozen != nil:
			return ev.Frozen
		case ev.Passed != nil:
			r.passed(*ev.Passed)
		case ev.Gone != nil:
			r.lost(*ev.Gone)
		}
	}
	return nil
}

// lost says why a thread is not traced any more, if that is no ordinary end.
func (r *request) lost(g live.Gone) {
	r.noteLost(g)
	if g.Err == nil || errors.Is(g.Err, live.ErrGone) {
		return
	}
	if now, err := r.e.board.ReadSlot(r.slot.Index); err == nil && now.Gen == r.slot.Gen && now.State == board.StateOffered {
		r.e.decline(r.slot, r.thread.TID()) // it still waits for the answer
	}
	text := fmt.Sprintf("request %d runs on without the debugger: %v", r.id, g.Err)
	r.e.cfg.Log(text)
	r.session.output(text)
}

// finish takes the request off the list.
func (r *request) finish() {
	e := r.e
	e.mu.Lock()
	r.state = requestGone // from here on nobody looks at the target
	r.abandonCall()
	r.info.Frozen = false
	info := r.info
	e.mu.Unlock()

	r.tellMoved()
	r.recordReleased()
	r.session.queue.put(Event{Kind: EventExited, Request: info})
	stopped := r.thread.StoppedInAll()
	e.mu.Lock()
	lines := r.family.tell(r.thread.Untouched())
	if line := r.family.leaves(r, stopped); line != "" {
		lines = append(lines, line)
	}
	e.mu.Unlock()
	e.logAll(lines)
	e.mu.Lock()
	e.stopped += stopped
	e.kin.ended(r.slot, r.thread.Births())
	delete(e.requests, r.id)
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
	r.freeTarget() // last: Delve may be busy
	r.session.endData(r.id)
}

// outcome is how a movement ended.
type outcome struct {
	reason StopReason
	ids    []int  // breakpoints that were hit
	where  string // "main.handler main.go:12"
	spot   spot
	hit    *DataHit
	err    error
}

// gone says whether the request cannot be moved any more.
func (o outcome) gone() bool {
	var exited proc.ErrProcessExited
	return errors.As(o.err, &exited) || errors.Is(o.err, proc.ErrProcessDetached)
}

// settle announces that the request is frozen. It answers false if it may not
// be, since as many are as the budget allows.
func (r *request) settle(out outcome) bool {
	r.e.mu.Lock()
	if !r.mayFreeze() {
		r.session.tally.passed++
		r.e.mu.Unlock()
		r.session.output(fmt.Sprintf("%s passed %s without stopping: %s", r.name, out.where, r.whyFull()))
		return false
	}
	r.state, r.told = requestFrozen, true
	r.info.Frozen, r.frozenAt = true, time.Now()
	if !r.stopped {
		r.session.tally.stopped++
	}
	info := r.info
	r.e.mu.Unlock()
	r.stopped = true
	r.recordStopped(out)
	r.watchStall()
	ev := Event{Kind: EventStopped, Request: info, Reason: out.reason, BreakpointIDs: out.ids}
	ev.Hit = out.hit
	if ev.Exception = r.exception; ev.Exception != nil {
		ev.Text = r.exceptionText
	}
	if out.err != nil {
		ev.Text = out.err.Error()
	}
	r.session.queue.put(ev)
	r.e.cfg.Log(fmt.Sprintf("request %d stopped (%s): %s at %s", r.id, out.reason, r.name, out.where))
	return true
}
