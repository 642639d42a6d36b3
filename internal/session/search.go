//go:build linux && amd64

package session

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// How long secrets are looked for, and in how many frames. Nothing of the service
// waits for it but the request that is frozen. It is time of a processor: what is
// found must not depend on how much of one a busy machine leaves. Variables, since
// tests with the race detector need more of it.
var (
	searchAtStop  = 12 * time.Millisecond // at a stop, before the first value of it is shown
	searchLater   = 2 * time.Millisecond  // at each further look, until all was looked at
	searchPassing = 3 * time.Millisecond  // before a condition is judged first, and at log points
)

const (
	searchFrames  = 64
	passingFrames = 8 // of a request that may not stop at all
	// searchPatience is how much longer than that it may take by the clock.
	searchPatience = 10
	// searchFresh is how old a search may be when the client looks: others may
	// have got hold of secrets since.
	searchFresh = 200 * time.Millisecond
	// searchTurn is how long a search ahead has Delve although somebody waits: less
	// would get it nowhere.
	searchTurn = 200 * time.Microsecond
)

// stopSearch is the search for secrets at one stop of a request. Guarded by
// Engine.brain.
type stopSearch struct {
	*taint.Search
	began time.Time
	spent time.Duration // of a processor's time
	shown bool          // the client has looked at values
}

// ready makes the memory of the request's target fit for its session's eyes, but
// for what was not found yet. Called under the brain lock, while it is frozen.
func (r *request) ready() {
	r.mem.Forget()
	r.mem.Use(r.session.guard)
}

// look is ready for the eyes of a client that is shown values: behind it all is
// known that can be found in the time.
func (r *request) look() {
	r.ready()
	if s := r.search; s != nil && (!s.shown || s.Done()) && time.Since(s.began) > searchFresh {
		r.search = nil
	}
	r.searchOn()
	r.search.shown = true
}

// searchOn goes on with the search of the stop, for what is left of its time or a
// little longer.
func (r *request) searchOn() {
	s := r.searching()
	r.hunt(s, max(searchLater, searchAtStop-s.spent), nil)
}

// searching is the search at the stop where the request is.
func (r *request) searching() *stopSearch {
	if r.search == nil || r.search.Stale() {
		r.search = r.newSearch(searchFrames)
	}
	return r.search
}

func (r *request) newSearch(frames int) *stopSearch {
	return &stopSearch{Search: r.session.guard.NewSearch(r.group.Selected, r.mem, frames), began: time.Now()}
}

// hunt goes on with a search for some time, or until stop says so, which may be nil.
func (r *request) hunt(s *stopSearch, most time.Duration, stop func() bool) {
	b := beginBudget(most)
	defer func() {
		s.spent += b.end()
		if p := recover(); p != nil { // Delve's reader of debug information has some
			s.End()
			r.e.cfg.Log(fmt.Sprintf("request %d: redaction panicked: %v\n%s", r.id, p, debug.Stack()))
		}
	}()
	if err := s.Run(func() bool { return b.over() || stop != nil && stop() }); err != nil {
		r.e.cfg.Log(fmt.Sprintf("request %d: redaction: %v", r.id, err))
	}
}

// budget bounds a search by the time of a processor. From its begin to its end the
// goroutine has a thread for itself.
type budget struct {
	most    time.Duration
	busy    time.Duration // of the thread, at the beginning
	patient time.Time     // and not beyond this
}

func beginBudget(most time.Duration) *budget {
	runtime.LockOSThread()
	return &budget{most: most, busy: threadTime(), patient: time.Now().Add(searchPatience * most)}
}

func (b *budget) over() bool {
	return threadTime()-b.busy >= b.most || time.Now().After(b.patient)
}

// end is how much of it was used.
func (b *budget) end() time.Duration {
	defer runtime.UnlockOSThread()
	return threadTime() - b.busy
}

// threadTime is how long a processor has worked for the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux has had that clock since 2.6.12
	}
	return time.Duration(t.Nano())
}

// searchAhead searches while the client is being told of the stop and asks where it
// is, so that there is less to wait for when it asks for values. It is a goroutine
// that ends when the search does, when its time is over, or when the request goes
// on. It makes way for whoever else wants Delve.
func (r *request) searchAhead() {
	for r.searchSome() {
	}
}

// searchSome is a part of searchAhead; false: it is over.
func (r *request) searchSome() bool {
	e := r.e
	e.ahead.Lock() // they would all make way for each other
	defer e.ahead.Unlock()
	e.brain.Lock()
	defer e.brain.Unlock()
	e.mu.Lock()
	frozen := e.state == engineArmed && r.state == requestFrozen
	e.mu.Unlock()
	if !frozen || r.group == nil {
		return false
	}
	s := r.searching()
	left := searchAtStop - s.spent
	if s.Done() || left <= 0 {
		return false
	}
	r.ready()
	began := time.Now()
	r.hunt(s, left, func() bool { return e.brain.wanted() && time.Since(began) > searchTurn })
	return true
}

// searchPassing looks for what is near, in a request that may go on at once.
func (r *request) searchPassing(frames int) *stopSearch {
	r.lastSearch = time.Now()
	r.mem.Use(r.session.guard)
	s := r.newSearch(frames)
	r.hunt(s, searchPassing, nil)
	return s
}

// searchValue looks into the exception that the request stands at, which may pass:
// what is told of it, and whether it stops there, may depend on its secrets.
func (r *request) searchValue(frames []proc.Stackframe, at *ExceptionStop) {
	expr := at.Value()
	if expr == "" {
		return
	}
	t := r.group.Selected
	g, _ := proc.GetG(t.CurrentThread()) // Delve says what it needs it for
	scope := proc.FrameToScope(t, t.Memory(), g, t.CurrentThread().ThreadID(), frames...)
	r.mem.Use(r.session.guard)
	r.hunt(&stopSearch{Search: r.session.guard.NewSearchOf(scope, r.mem, expr)}, searchPassing, nil)
}

// searchFirst is search for a request whose breakpoints have conditions, before
// they are judged. If it stops here the search goes on from there.
func (r *request) searchFirst() {
	for _, b := range r.session.verified() {
		if b.asked.Condition != "" || b.asked.passing() {
			r.search = r.searchPassing(searchFrames)
			return
		}
	}
}

// searchEvery is how often a request that passes log points is searched again.
const searchEvery = 100 * time.Millisecond

// searchSometimes is search for a request that passes a log point.
func (r *request) searchSometimes() {
	if time.Since(r.lastSearch) > searchEvery {
		r.searchPassing(passingFrames)
	}
}
