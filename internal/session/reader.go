//go:build linux && amd64

package session

import (
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// Reader looks at the service itself and not at one of its requests: package
// variables, memory, goroutines that are parked, whether anything is frozen or
// not. Everything runs meanwhile, so what it reads may be torn. Its methods may
// be called from any goroutine.
type Reader struct {
	s      *Session
	target *proc.TargetGroup // made when it is needed first; guarded by Engine.brain
	mem    *taint.Memory     // of target
}

// Reader makes one. It costs nothing until it is used.
func (s *Session) Reader() *Reader { return &Reader{s: s} }

// Look runs f with a target whose one thread is none of the service's and stands
// nowhere. f must not resume or write, and must keep nothing. As with
// Session.Inspect one f at a time runs in the whole Engine.
func (r *Reader) Look(f func(t *proc.Target) error) error {
	e := r.s.e
	e.brain.Lock()
	defer e.brain.Unlock()
	e.mu.Lock()
	ended := r.s.closed || e.state != engineArmed
	e.mu.Unlock()
	if ended {
		return ErrEnded
	}
	if r.target == nil {
		cfg, mem, fenced := e.maskedConfig()
		fenced.session = r.s
		grp, err := backend.New(cfg).Target()
		if err != nil {
			return fmt.Errorf("no Delve target: %w", err)
		}
		r.target, r.mem = grp, mem
	}
	r.target.Selected.ClearCaches() // the service went on
	r.look()
	return f(r.target.Selected)
}

// ErrNotParked says that a goroutine's stack cannot be read.
var ErrNotParked = errors.New("the goroutine is not parked: only those that wait, and stopped requests, can be looked at")

// Goroutine runs f with a goroutine that is parked while it is looked at. It may
// wake up meanwhile: nothing stops it.
func (r *Reader) Goroutine(id int64, f func(t *proc.Target, g *proc.G) error) error {
	return r.Look(func(t *proc.Target) error {
		switch others, err := r.Others(); {
		case err != nil:
			return err
		case others[id]:
			return fmt.Errorf("goroutine %d: %w", id, ErrOthers)
		}
		g, err := proc.FindGoroutine(t, id)
		if err != nil {
			return err
		}
		if g == nil || g.Status&^scanBit != proc.Gwaiting && g.Status&^scanBit != proc.Gsyscall {
			return ErrNotParked
		}
		return f(t, g)
	})
}

// scanBit is set in a goroutine's status while the garbage collector reads its
// stack (runtime/runtime2.go, _Gscan).
const scanBit = 0x1000
