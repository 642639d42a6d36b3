//go:build linux && amd64

package session

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/remotedbg/remotedbg/internal/board"
)

// kin is who the requests in the gate's slots are and were, so that a goroutine
// that one of them starts is known to be its own, also when the request is over
// before the goroutine begins. Guarded by Engine.mu.
type kin map[slotUse]relative

// slotUse names one use of a slot of the gate.
type slotUse struct {
	slot int
	gen  uint32
}

type relative struct {
	session *Session
	info    Request // Root is never 0
}

// maxKin bounds the requests that are remembered. A goroutine whose request is
// forgotten runs untouched.
const maxKin = 4096

// add remembers what is debugged in a slot from now on.
func (k kin) add(s board.Slot, ses *Session, info Request) {
	if len(k) >= maxKin {
		k.forgetOldest()
	}
	if info.Root == 0 {
		info.Root = info.ID
	}
	k[slotUse{s.Index, s.Gen}] = relative{ses, info}
}

// forgetOldest makes room: half of them go.
func (k kin) forgetOldest() {
	uses := make([]slotUse, 0, len(k))
	for u := range k {
		uses = append(uses, u)
	}
	slices.SortFunc(uses, func(a, b slotUse) int { return cmp.Compare(k[a].info.ID, k[b].info.ID) })
	for _, u := range uses[:len(uses)/2] {
		delete(k, u)
	}
}

// whose finds the session that takes what is offered, and describes it; nil if
// none does. Called under Engine.mu.
func (e *Engine) whose(d board.Description) (*Session, Request, error) {
	if d.Starter != nil {
		ses, info := e.follower(*d.Starter)
		return ses, info, nil
	}
	addr, err := netip.ParseAddr(d.Client)
	if err != nil {
		return nil, Request{}, fmt.Errorf("client address on the board: %w", err)
	}
	ses := e.sessionFor(d, addr)
	if ses == nil {
		return nil, Request{}, nil
	}
	ses.tally.taken++
	return ses, Request{Method: d.Method, Path: d.Path, Route: d.Route, Client: addr}, nil
}

// follower finds the session that follows the request that started a goroutine;
// nil if none does any more.
func (e *Engine) follower(from board.Starter) (*Session, Request) {
	starter, known := e.kin[slotUse{from.Slot, from.Gen}]
	if !known || e.cfg.NoFollow || !starter.session.started {
		return nil, Request{}
	}
	info := starter.info
	info.Frozen = false
	info.Func = e.text.name(from.Entry)
	return starter.session, info
}

// mayFreeze says whether one more may be frozen. The goroutines of a request
// that is count with it. Called under Engine.mu.
func (r *request) mayFreeze() bool {
	root := func(info Request) RequestID { return cmp.Or(info.Root, info.ID) }
	frozen := make(map[RequestID]bool)
	for _, other := range r.e.requests {
		if other.state == requestFrozen {
			frozen[root(other.info)] = true
		}
	}
	return frozen[root(r.info)] || len(frozen) < r.e.cfg.MaxFrozen
}
