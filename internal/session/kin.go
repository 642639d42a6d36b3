//go:build linux && amd64

package session

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
)

// kin is who the requests in the gate's slots are and were, so that a goroutine
// that one of them starts is known to be its own, also when the request is over
// before the goroutine begins. Guarded by Engine.mu.
type kin map[slotUse]*relative

// slotUse names one use of a slot of the gate.
type slotUse struct {
	slot int
	gen  uint32
}

type relative struct {
	family  *family
	info    Request       // Root is never 0
	over    time.Duration // when it ended, on board.Now's clock; 0: it has not
	births  int           // goroutines that it has started and that were taken along
	offered int           // those of them that the gate offered, see Engine.crowdedOut
}

func use(s board.Slot) slotUse { return slotUse{s.Index, s.Gen} }

// ended notes that what was debugged in a slot is over. Called under Engine.mu.
func (k kin) ended(s board.Slot, births int) {
	if r := k[use(s)]; r != nil {
		r.over, r.births = board.Now(), births
	}
}

// orphanGrace is for how long what a request has started is followed behind its
// end. What lives longer works for others, as a pool of workers does.
const orphanGrace = 10 * time.Second

// maxKin bounds the requests that are remembered. A goroutine whose request is
// forgotten runs untouched.
const maxKin = 4096

// add remembers what is debugged in a slot from now on.
func (k kin) add(s board.Slot, f *family, info Request) {
	if len(k) >= maxKin {
		k.forgetOldest()
	}
	if info.Root == 0 {
		info.Root = info.ID
	}
	k[use(s)] = &relative{family: f, info: info}
}

// forgetOldest makes room: half of them go, those that are over first. One that
// runs for long may have started more than all the others.
func (k kin) forgetOldest() {
	uses := make([]slotUse, 0, len(k))
	for u := range k {
		uses = append(uses, u)
	}
	running := func(u slotUse) int {
		if k[u].over == 0 {
			return 1
		}
		return 0
	}
	slices.SortFunc(uses, func(a, b slotUse) int {
		return cmp.Or(running(a)-running(b), cmp.Compare(k[a].info.ID, k[b].info.ID))
	})
	for _, u := range uses[:len(uses)/2] {
		delete(k, u)
	}
}

// forget lets go of a session that has ended: nobody follows what its requests have
// started. Called under Engine.mu.
func (k kin) forget(s *Session) {
	maps.DeleteFunc(k, func(_ slotUse, r *relative) bool { return r.family.session == s })
}

// whose finds the family that takes what is offered, a new one for a request, and
// describes it; nil if none does. Called under Engine.mu.
func (e *Engine) whose(d board.Description) (*family, Request, error) {
	if d.Starter != nil {
		f, info := e.follower(*d.Starter)
		return f, info, nil
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
	return &family{session: ses}, Request{Method: d.Method, Path: d.Path, Route: d.Route, Client: addr}, nil
}

// follower finds the family of the request that started a goroutine; nil if it is
// not followed any more.
func (e *Engine) follower(from board.Starter) (*family, Request) {
	starter := e.kin[slotUse{from.Slot, from.Gen}]
	if starter == nil {
		return nil, Request{}
	}
	starter.offered++
	// Behind the end of its starter a goroutine may still be on its way to us.
	late := starter.over != 0 && board.Now()-starter.over > orphanGrace
	if late || e.cfg.NoFollow || !starter.family.session.started {
		return nil, Request{}
	}
	info := starter.info
	info.Frozen = false
	info.Func = e.text.name(from.Entry)
	return starter.family, info
}

// mayFreeze says whether one more may be frozen. The goroutines of a request
// that is count with it. Called under Engine.mu.
func (r *request) mayFreeze() bool {
	root := func(info Request) RequestID { return cmp.Or(info.Root, info.ID) }
	frozen, ours := make(map[RequestID]bool), make(map[RequestID]bool)
	for _, other := range r.e.requests {
		if !other.state.parked() {
			continue
		}
		frozen[root(other.info)] = true
		if other.session == r.session {
			ours[root(other.info)] = true
		}
	}
	return frozen[root(r.info)] || len(frozen) < r.e.cfg.MaxFrozen && len(ours) < r.e.share()
}

// births is how live takes along the goroutines that requests start; the zero
// Births if it cannot: the gate is older, or nobody wants it.
func (e *Engine) births() live.Births {
	funcs := e.bi.LookupFunc()
	newproc, adopt, again := funcs["runtime.newproc"], funcs[gateAdopt], funcs[gateAgain]
	if e.cfg.NoFollow || e.img.Trap.Start == 0 || len(newproc) == 0 || len(adopt) == 0 || len(again) == 0 {
		return live.Births{}
	}
	return live.Births{
		NewProc: newproc[0].Entry, Adopt: adopt[0].Entry, Again: again[0].Entry,
		Follow: func(ret uint64) bool {
			return e.text.user(ret-1) || slices.ContainsFunc(starters, func(s string) bool { return strings.HasSuffix(e.text.name(ret-1), s) })
		},
		Room: e.hasRoom,
		Born: func() {
			select {
			case e.born <- struct{}{}:
			default:
			}
		},
	}
}

// Functions of the gate, see gate/adopt_linux_amd64.go.
const (
	gateAdopt = "github.com/remotedbg/remotedbg/gate.adopt"
	gateAgain = "github.com/remotedbg/remotedbg/gate.again"
)

// starters are functions of libraries whose goroutines run what their callers
// give them; as suffixes, since they may be vendored. What other libraries start
// is their own business: connections, timers, and so on.
var starters = []string{
	"golang.org/x/sync/errgroup.(*Group).Go",
	"golang.org/x/sync/errgroup.(*Group).TryGo",
	"sync.(*WaitGroup).Go",
	"net/http.(*timeoutHandler).ServeHTTP",
}

// releaseOrphans lets go of goroutines whose requests ended a while ago.
func (e *Engine) releaseOrphans(now time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.requests {
		if r.info.Root == 0 || e.requests[r.info.Root] != nil || r.state != requestRunning {
			continue
		}
		if r.orphaned == 0 {
			r.orphaned = now
			continue
		}
		if now-r.orphaned > orphanGrace {
			r.session.output(fmt.Sprintf("%s is not followed any more: its request ended %v ago", r.name, orphanGrace))
			r.thread.Release()
		}
	}
}
