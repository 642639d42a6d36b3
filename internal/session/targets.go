//go:build linux && amd64

package session

import (
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// target is a Delve target and the back end below it. Targets are made ahead
// and kept for the next request: making one costs as much as many stops.
type target struct {
	proc  *backend.Process
	group *proc.TargetGroup
	mem   *taint.Memory // what Delve sees of the service's
	fence *fence        // below it
}

// newTarget makes one. Called under the brain lock, or before there are
// requests.
func (e *Engine) newTarget() (target, error) {
	cfg, mem, fenced := e.maskedConfig()
	p := backend.New(cfg)
	grp, err := p.Target()
	if err != nil {
		return target{}, err
	}
	grp.KeepSteppingBreakpoints = proc.TracepointKeepsSteppingBreakpoints // log points end no step
	return target{p, grp, mem, fenced}, nil
}

// bindTarget gives r, which froze for the first time at fr, a target. Called
// under the brain lock.
func (r *request) bindTarget(fr *live.Frozen) error {
	e := r.e
	var t target
	if n := len(e.spare); n > 0 {
		t, e.spare = e.spare[n-1], e.spare[:n-1]
	} else {
		var err error
		if t, err = e.newTarget(); err != nil {
			return err
		}
	}
	if err := t.proc.Bind(t.group.Selected, r.thread, fr, r.passed, r.lost); err != nil {
		return err
	}
	r.proc, r.group, r.mem, r.fence = t.proc, t.group, t.mem, t.fence
	r.fence.session = r.session
	r.proc.SetNearer(r.session.order)
	r.mem.Use(r.session.Guard())
	return nil
}

// freeTarget keeps the target of a request that is gone for the next one.
func (r *request) freeTarget() {
	r.e.brain.Lock()
	defer r.e.brain.Unlock()
	r.session.forgetReturned(r.root)
	if r.group != nil {
		r.mem.Use(nil)
		r.fence.session, r.fence.returned = nil, returnedWords{}
		r.e.spare = append(r.e.spare, target{r.proc, r.group, r.mem, r.fence})
		r.proc, r.group, r.mem, r.fence = nil, nil, nil, nil
		if n := len(r.e.spare) - warmSpares; n > 0 {
			r.e.spare[n-1].mem.Drop()
		}
	}
}

// warmSpares is how many targets that no request uses keep what they have read of
// the service, a megabyte or two each: those that are taken first.
const warmSpares = 8
