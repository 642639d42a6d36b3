//go:build linux && amd64

package session

import (
	"fmt"
	"sync"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
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
	f.mem.Resume()
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
	if err := e.guard.Load(t.group.Selected, t.mem); err != nil {
		e.cfg.Log(fmt.Sprintf("redaction: struct tags and package variables: %v", err))
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
	r.mem.Use(r.s.guard)
	// Package variables have other values by now. That they cannot be read means
	// that the service is gone.
	b := beginBudget(searchPassing)
	defer b.end()
	_ = r.s.guard.NewSearch(r.target.Selected, r.mem, 0).Run(b.over)
}
