//go:build linux && amd64

package dlvrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/session"
)

// stop is a request that is frozen.
type stop struct {
	id        session.RequestID
	name      string // of the request
	reason    session.StopReason
	ids       []int // the engine's, of the breakpoints that were hit
	text      string
	goroutine int64
	thread    int
}

// hit is a trace point that a request ran over.
type hit struct {
	thread    *api.Thread
	goroutine *api.Goroutine
}

// maxHits bounds the trace points that wait to be told.
const maxHits = 1000

// world is the process as the client sees it: running or stopped as a whole.
// Requests stop one by one behind it, and wait for their turn to be current.
type world struct {
	mu      sync.Mutex
	stops   []*stop           // frozen requests, in the order in which they stopped
	current session.RequestID // 0: none, although the world may be stopped
	gonewhy string            // what became of the current request, if the engine let go of it

	running bool              // the client has resumed, and was not told of a stop since
	moving  session.RequestID // the request whose step the client waits for; 0: any stop will do
	halted  bool              // the client wants it stopped, although no request is
	lates   map[session.RequestID]bool

	hits     []hit
	dropped  int                    // hits that were too many
	buffered []api.TracepointResult // the same for GetBufferedTracepoints

	why    string // it has ended; "": not yet
	exited bool   // since the process has
	ended  chan struct{}

	changed chan struct{} // closed and replaced at every change
}

func newWorld() *world {
	return &world{ended: make(chan struct{}), changed: make(chan struct{}), lates: make(map[session.RequestID]bool)}
}

// change wakes whoever waits. Called under mu.
func (w *world) change() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) add(s *stop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lates, s.id)
	w.stops = append(w.stops, s)
	w.change()
}

// late says whether the stop of a pause comes too late to be wanted.
func (w *world) late(id session.RequestID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.lates[id]
	delete(w.lates, id)
	return was
}

// gone forgets a request that is not frozen any more, or not in flight.
func (w *world) gone(id session.RequestID, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.lates, id)
	w.stops = slices.DeleteFunc(w.stops, func(s *stop) bool { return s.id == id })
	if w.current == id {
		w.current, w.gonewhy = 0, why
	}
	if w.moving == id {
		w.moving = 0
	}
	w.change()
}

// end is for good. The first reason counts.
func (w *world) end(why string, exited bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != "" {
		return
	}
	w.why, w.exited = why, exited
	w.stops, w.current, w.moving = nil, 0, 0
	close(w.ended)
	w.change()
}

// errEnded is what every call comes to once the session is over.
type errEnded struct{ why string }

func (e errEnded) Error() string {
	return "remotedbg: the session is over: " + e.why + ": run remotedbg attach again and connect to it"
}

// over is the error of a world that has ended. Called under mu.
func (w *world) over() error {
	if w.why == "" {
		return nil
	}
	return errEnded{w.why}
}

// stopOf finds a frozen request. Called under mu.
func (w *world) stopOf(id session.RequestID) *stop {
	i := slices.IndexFunc(w.stops, func(s *stop) bool { return s.id == id })
	if i < 0 || id == 0 {
		return nil
	}
	return w.stops[i]
}

// now is a copy of what is stopped; cur is nil if no request is current.
func (w *world) now() (stops []*stop, cur *stop, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.stops), w.stopOf(w.current), w.over()
}

var errRunning = errors.New("remotedbg: it is running already: halt it first, or wait for the stop")

// errNoCurrent says that there is no stopped request to do something with.
func (w *world) errNoCurrent() error {
	if w.gonewhy != "" {
		return fmt.Errorf("remotedbg: the request that was stopped goes on: %s: continue waits for the next one", w.gonewhy)
	}
	return errors.New("remotedbg: no request is stopped: continue waits for one")
}

// errNoRequest is errNoCurrent for callers without the lock.
func (w *world) errNoRequest() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errNoCurrent()
}

// resume lets the current request go, by step for a movement that ends by
// itself, and makes the world run.
func (w *world) resume(move func(session.RequestID) error, step bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch cur := w.stopOf(w.current); {
	case w.why != "":
		return w.over()
	case w.running:
		return errRunning
	case w.moving != 0:
		// A trace point was told in the middle of a step, which is under way
		// all the time.
	case cur == nil && step:
		return w.errNoCurrent()
	case cur != nil:
		err := move(cur.id)
		gone := errors.Is(err, session.ErrRunning) || errors.Is(err, session.ErrNoRequest)
		if err != nil && (step || !gone) {
			return fmt.Errorf("remotedbg: %w", err)
		}
		w.stops = slices.DeleteFunc(w.stops, func(s *stop) bool { return s == cur })
		w.current = 0
		if step {
			w.moving = cur.id
		}
	}
	w.running, w.halted, w.gonewhy = true, false, ""
	w.change()
	return nil
}

// outcome is what the client waited for.
type outcome struct {
	hits []hit // trace points, of requests that run on
	step bool  // a step is still under way
	err  error
}

// settle looks whether the world has come to a stop. Called under mu.
func (w *world) settle() (o outcome, ok bool) {
	switch {
	case w.why != "":
		o.err = w.over()
	case len(w.hits) > 0:
		o.hits, o.step = w.hits, w.moving != 0
		w.hits = nil
	case w.moving != 0 && w.stopOf(w.moving) != nil:
		w.current, w.moving = w.moving, 0
	case w.moving == 0 && len(w.stops) > 0:
		w.current = w.stops[0].id // whose turn it is
	case w.halted:
		w.moving, w.current = 0, 0
	default:
		return o, false
	}
	w.running, w.halted = false, false
	w.change()
	return o, true
}

// await waits for the world to stop.
func (w *world) await(ctx context.Context) outcome {
	for {
		w.mu.Lock()
		o, ok := w.settle()
		changed := w.changed
		w.mu.Unlock()
		if ok {
			return o
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return outcome{err: ctx.Err()}
		}
	}
}

// quiet waits until the world is not running, whoever made it stop.
func (w *world) quiet(ctx context.Context) error {
	for {
		w.mu.Lock()
		running, err, changed := w.running, w.over(), w.changed
		w.mu.Unlock()
		if err != nil || !running {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *world) isRunning() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// choose makes a frozen request the current one.
func (w *world) choose(what string, fits func(*stop) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.over(); err != nil {
		return err
	}
	for _, s := range w.stops {
		if fits(s) {
			w.current, w.gonewhy = s.id, ""
			return nil
		}
	}
	return fmt.Errorf("remotedbg: %s is no stopped request: look at it with its number in front of the command, such as `goroutine N bt`", what)
}

// trace takes note of a trace point's hit.
func (w *world) trace(h hit, r api.TracepointResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.hits) < maxHits {
		w.hits = append(w.hits, h)
	} else {
		w.dropped++
	}
	if len(w.buffered) < maxHits {
		w.buffered = append(w.buffered, r)
	}
	w.change()
}

// takeBuffered empties the buffer of GetBufferedTracepoints.
func (w *world) takeBuffered() []api.TracepointResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.buffered
	w.buffered = nil
	return b
}
