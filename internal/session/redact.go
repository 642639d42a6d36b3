//go:build linux && amd64

package session

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// How long secrets are looked for. Nothing of the service waits for it but the
// request that is frozen.
var (
	// atStop is at the first look at a stop.
	atStop = taint.Budget{Frames: 64, Time: 12 * time.Millisecond}
	// passing is where a request may not stop at all: before a condition is judged
	// for the first time, and at log points.
	passing = taint.Budget{Frames: 8, Time: 3 * time.Millisecond}
)

// forgetful is the brain lock for the back end of one target: when a request goes
// on or has stopped, what was read of its memory is stale.
type forgetful struct {
	sync.Locker
	mem *taint.Memory
}

func (f forgetful) Lock() {
	f.Locker.Lock()
	f.mem.Forget()
}

func (f forgetful) Unlock() {
	f.mem.Forget()
	f.Locker.Unlock()
}

// maskedConfig is backendConfig for a target whose memory hides secrets.
func (e *Engine) maskedConfig() (backend.Config, *taint.Memory, *fence) {
	fenced := &fence{e: e}
	cfg := e.backendConfig()
	mem := taint.NewMemory(fenced)
	cfg.Memory, cfg.Brain = mem, forgetful{&e.brain, mem}
	return cfg, mem, fenced
}

// guardFor is what hides secrets from somebody.
func (e *Engine) guardFor(who access.Identity) *taint.Guard {
	if e.cfg.LiftRedaction && who.Role.May(access.Mutate) {
		return e.guard.Lifted()
	}
	return e.guard
}

// Guard is what hides secrets from the session's client; never nil.
func (s *Session) Guard() *taint.Guard { return s.guard }

// Clean is a text for the operator's eyes without the service's secrets: a line of
// a log or of the audit.
func (e *Engine) Clean(text string) string { return e.guard.Text(text) }

// prepareRedaction learns what is the same at each stop.
func (e *Engine) prepareRedaction(t target) {
	t.mem.Use(e.guard)
	defer t.mem.Use(nil)
	began := time.Now()
	if err := e.guard.Load(t.group.Selected, t.mem); err != nil {
		e.cfg.Log(fmt.Sprintf("redaction: struct tags and package variables: %v", err))
	}
	e.cfg.Log(fmt.Sprintf("redaction prepared in %v", time.Since(began).Round(time.Millisecond)))
}

// look makes the memory of the request's target fit for its session's eyes.
// Called under the brain lock, while it is frozen.
func (r *request) look() {
	r.mem.Forget()
	g := r.session.guard
	r.mem.Use(g)
	if r.searched {
		return
	}
	r.searched = true
	r.search(atStop)
}

// search finds the secrets that are near.
func (r *request) search(b taint.Budget) {
	g := r.session.guard
	if g == nil {
		return
	}
	r.mem.Use(g)
	if err := g.Collect(r.group.Selected, r.mem, b); err != nil {
		r.e.cfg.Log(fmt.Sprintf("request %d: redaction: %v", r.id, err))
	}
}

// searchFirst is search for a request whose breakpoints have conditions, before
// they are judged.
func (r *request) searchFirst() {
	if r.session.guard == nil {
		return
	}
	for _, b := range r.session.verified() {
		if b.asked.Condition != "" || b.asked.passing() {
			r.search(passing)
			r.lastSearch = time.Now()
			return
		}
	}
}

// searchEvery is how often a request that passes log points is searched again.
const searchEvery = 100 * time.Millisecond

// searchSometimes is search for a request that passes a log point.
func (r *request) searchSometimes() {
	if now := time.Now(); now.Sub(r.lastSearch) > searchEvery {
		r.lastSearch = now
		r.search(passing)
	}
}

// mayAsk refuses a condition that would tell of a secret: whether a request stops
// is an answer. Nothing was shown that it could make a pointer to.
func (s *Session) mayAsk(what, expr string) error {
	if expr == "" {
		return nil
	}
	g := s.guard
	secret, err := g.CheckText(expr, func(name string) bool { return len(s.e.bi.PackageMap[name]) > 0 })
	switch {
	case secret:
		err = taint.ErrRedacted
		fallthrough
	case err != nil:
		return fmt.Errorf("%s: %w", what, err) // what it says is the client's to know
	}
	return nil
}

// evaluate is scope.EvalExpression for the session's client; redacted says that
// the value is a secret.
func (s *Session) evaluate(scope *proc.EvalScope, expr string, cfg proc.LoadConfig) (v *proc.Variable, redacted bool, err error) {
	g := s.guard
	if secret, err := g.Check(scope, expr, nil); secret || err != nil {
		return nil, secret, err
	}
	v, err = scope.EvalExpression(expr, cfg)
	if err == nil && g.Type(v.DwarfType) {
		return nil, true, nil
	}
	return v, false, err
}

// look is request.look for what no request is stopped for. Called under the brain
// lock.
func (r *Reader) look() {
	r.mem.Forget()
	g := r.s.guard
	r.mem.Use(g)
	// Package variables have other values by now. That they cannot be read means
	// that the service is gone.
	_ = g.Collect(r.target.Selected, r.mem, taint.Budget{Time: passing.Time})
}
