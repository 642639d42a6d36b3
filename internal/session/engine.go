//go:build linux && amd64

package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/recovery"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/stall"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// engineState is where an Engine stands in its life.
type engineState int

const (
	engineArmed  engineState = iota // takes requests
	engineEnding                    // lets go of the last ones
	engineEnded
)

// Engine is one process being debugged: its symbols, its board, its requests.
// All methods may be called from any goroutine.
type Engine struct {
	cfg   Config
	img   *board.Image
	mem   vmem.Process
	board *board.Board
	end   time.Duration // of it all, on board.Now's clock; set before armed
	live  *live.Process
	text  *textMap

	goroutines *stall.Reader  // nil if they cannot be read: the stall guard does without
	traffic    *stall.Traffic // nil if it cannot be counted, or the guard is off

	noProbes     error        // why there are no breakpoints beyond the hardware's; nil: there are
	returnsFound *returnIndex // nil: nobody has asked; guarded by brain
	program      program

	ahead   sync.Mutex // whoever searches ahead holds it, and then brain
	brain   brainLock  // whoever calls Delve holds it
	bi      *proc.BinaryInfo
	symbols *backend.Process // for looking up addresses while nothing is in flight
	spare   []target         // targets that no request uses

	mu       sync.Mutex
	state    engineState
	reason   string
	sessions []*Session // in the order in which they attached
	requests map[RequestID]*request
	kin      kin
	born     chan struct{} // a request has started a goroutine, which will be offered
	full     atomic.Bool   // every slot of the gate was taken at the last look
	lastID   RequestID
	attached int           // sessions so far
	stopped  time.Duration // of the threads of requests that are gone, in ptrace-stops
	changed  chan struct{} // closed and replaced when a request has gone

	processGone atomic.Bool

	hidden taint.Shared // secrets that are known
	guard  *taint.Guard // of sessions that nothing was lifted for

	tokenKey board.TokenKey // zero: requests need no token

	idle func() // lets go of the breakpoint that keeps the kernel ready

	stop chan struct{} // closed by Close: the loops end
	done chan struct{} // closed at the very end
}

// Open loads the symbols of cfg.PID, finds the board and arms the gate. The
// service is not stopped. A failure is a *Refusal, which has a hint.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	cfg.setDefaults()
	if cfg.Beat == nil {
		cfg.Beat = func() {}
	}
	e := &Engine{
		mem:      vmem.Process{PID: cfg.PID},
		requests: make(map[RequestID]*request),
		kin:      make(kin),
		born:     make(chan struct{}, 1),
		changed:  make(chan struct{}),
		stop:     make(chan struct{}), done: make(chan struct{}),
	}
	e.guard = taint.NewGuard(cfg.Redact, &e.hidden)
	log := cfg.Log
	cfg.Log = func(line string) { log(e.guard.Text(line)) }
	e.cfg = cfg
	if err := e.open(ctx); err != nil {
		if e.idle != nil {
			e.idle()
		}
		return nil, err
	}
	return e, nil
}

// open is Open but for cleaning up.
func (e *Engine) open(ctx context.Context) error {
	cfg := &e.cfg
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"attach to process %d", e.find},
		{"load the symbols of process %d", e.load},
		{"attach to process %d", e.takeBoard},
		{"prepare for process %d", e.prepare},
		{"arm process %d", func() error { return recovery.CheckOwner(e.board) }}, // preparing takes its time
	} {
		if err := step.do(); err != nil {
			return refuse(cfg.PID, fmt.Sprintf(step.what, cfg.PID), err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	cfg.Beat()
	e.end = board.Now() + cfg.For
	if cfg.Token {
		e.tokenKey = board.NewTokenKey()
	}
	if err := e.board.Arm(os.Getpid(), boardRules(cfg.Allow, e.tokenKey), e.lease()); err != nil {
		return refuse(cfg.PID, fmt.Sprintf("arm process %d", cfg.PID), err)
	}
	cfg.Log(fmt.Sprintf("armed process %d for %v", cfg.PID, cfg.For))
	e.recordArmed()
	go e.watch()
	return nil
}

// find locates the gate and checks that we may trace and set breakpoints.
func (e *Engine) find() error {
	var err error
	if e.img, err = board.LocateSymbols(e.cfg.PID); err != nil {
		return err
	}
	// Who may not read the service is told at once, not after the symbols.
	if _, err := e.mem.Uint32(e.img.Park.Start); err != nil {
		return fmt.Errorf("read its memory: %w", err)
	}
	e.idle, err = live.KeepBreakpointsReady()
	return err
}

// load reads the debug information, and what the board looks like from it.
func (e *Engine) load() error {
	began := time.Now()
	var err error
	if e.bi, e.text, err = loadSymbols(e.img); err != nil {
		return err
	}
	e.cfg.Log(fmt.Sprintf("loaded symbols in %v", time.Since(began).Round(time.Millisecond)))
	return readLayout(e.img, e.bi)
}

// takeBoard opens the board, which no live agent may have armed, and heals what
// a dead one left on it.
func (e *Engine) takeBoard() error {
	var err error
	if e.board, err = board.Open(e.mem, e.img); err != nil {
		return err
	}
	if err := recovery.CheckOwner(e.board); err != nil {
		return err
	}
	return healAloud(e.cfg.PID, e.board, e.cfg.Log)
}

// prepare makes the first target, which warms Delve up (line tables for Delve's
// own breakpoints), and what the tracer and the stall guard need.
func (e *Engine) prepare() error {
	e.checkProbes()
	e.symbols = backend.New(e.backendConfig())
	t, err := e.newTarget()
	if err != nil {
		return err
	}
	e.spare = append(e.spare, t)
	e.prepareRedaction(t)
	gOffset, err := e.bi.GStructOffset(e.mem)
	if err != nil {
		return err
	}
	e.live = &live.Process{
		PID: e.cfg.PID, Mem: e.mem,
		DebugCall: [2]uint64{e.img.DebugCall.Start, e.img.DebugCall.End},
		CallFrame: [2]uint64{e.img.DebugCall32.Start, e.img.DebugCall32.End},
		Park:      e.img.Park.Start,
		Calls:     e.img.Calls.Start,
		Trap:      e.img.Trap.Start,
		GOffset:   gOffset,
		Offsets:   live.Runtime(e.img.Runtime),
		Func:      e.text.bounds,
		NoFreeze:  e.text.noFreeze,
		Code:      e.code,
		Probes:    live.ProbeLimits{Time: e.cfg.ExtraFor},
		Detours:   panicDetours(e.symbols, e.mem),
		Births:    e.births(),
	}
	if e.goroutines, err = stall.NewReader(e.mem, e.img.Goroutines); err != nil {
		e.cfg.Log(fmt.Sprintf("the stall guard sees others' requests only, not what goroutines wait for: %v", err))
	}
	if e.cfg.StallGuard >= 0 {
		e.traffic = stall.NewTraffic(e.board)
	}
	settleHeap()
	return nil
}

func (e *Engine) backendConfig() backend.Config {
	return backend.Config{
		PID: e.cfg.PID, Path: e.img.Path, Entry: e.img.Entry,
		BinInfo: e.bi, Memory: e.mem, Func: e.text.bounds, Brain: &e.brain,
		Probes: e.noProbes == nil, Reserve: e.reserve(),
	}
}

func boardRules(allow []Rule, key board.TokenKey) []board.Rule {
	rules := make([]board.Rule, len(allow))
	for i, r := range allow {
		rules[i] = board.Rule{Prefix: r.Prefix, Method: r.Method, Path: r.PathPrefix, Header: r.HeaderName, Val: r.HeaderValue, Token: key}
	}
	return rules
}

// Token makes a token that is good for life, or for the rest of the Engine's own
// time if that is shorter, with this Engine only; see Config.Token. What it is
// for: gate/token.go.
func (e *Engine) Token(life time.Duration) string {
	return e.tokenKey.Token(min(board.Now()+life, e.end))
}

// Done is closed when the engine has ended: everything thawed, disarmed.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Reason says why the engine ended. Valid after Done.
func (e *Engine) Reason() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reason
}

// ProcessGone says whether the engine ended because the process has exited.
// Valid after Done.
func (e *Engine) ProcessGone() bool { return e.processGone.Load() }

// releaseTimeout bounds the wait for requests to be let go of. Each takes a few
// hundred microseconds unless its thread is blocked in the kernel.
const releaseTimeout = 5 * time.Second

// Close disarms the gate, thaws every request and lets go of every thread. It
// may be called more than once; reason is told to the IDE.
func (e *Engine) Close(reason string) error {
	e.mu.Lock()
	if e.state != engineArmed {
		e.mu.Unlock()
		<-e.done
		return nil
	}
	e.state, e.reason = engineEnding, reason
	e.mu.Unlock()
	close(e.stop)

	err := e.board.DisarmOwn(os.Getpid()) // fails if the process is gone
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if left := e.releaseAll(nil, reason); left > 0 {
		err = errors.Join(err, fmt.Errorf("remotedbg: %d requests could not be let go of within %v: end this agent, the kernel then lets go of them", left, releaseTimeout))
	}
	e.mu.Lock()
	for _, s := range e.sessions {
		s.queue.put(Event{Kind: EventEnded, Text: reason})
	}
	e.state = engineEnded
	e.mu.Unlock()
	live.AwaitProbes(probesTimeout)
	e.idle()
	e.program.close()
	e.cfg.Log("disarmed: " + reason)
	e.recordEnded(reason)
	close(e.done)
	return err
}

// probesTimeout bounds how long an agent waits at its end for the kernel to remove
// uprobes, which takes a tenth of a second.
const probesTimeout = time.Second

// releaseAll lets go of the requests of s (nil: of all) because of why, waits for it, and
// tells how many are left.
func (e *Engine) releaseAll(s *Session, why string) int {
	timeout := time.After(releaseTimeout)
	for {
		e.mu.Lock()
		left := 0
		for _, r := range e.requests {
			if s == nil || r.session == s {
				left++
				r.noteWhy(why)
				r.thread.Release()
			}
		}
		changed := e.changed
		e.mu.Unlock()
		if left == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-timeout:
			return left
		}
	}
}
