//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
)

// What a session must not see or change of the requests of other sessions. Package
// variables and the heap are the service's own and not anybody's: who may look at the
// service at all can read them, and with them, address by address, what other
// requests keep there. What is kept from a session is whatever names another's
// request: its thread, stack and variables, its goroutines, and writes to its stack.

// Errors of touching what is another session's.
var (
	ErrOthers      = errors.New("it belongs to the request of another IDE")
	ErrOthersStack = errors.New("it is on the stack of a request that another IDE has stopped")
)

// Others are the IDs of the goroutines that belong to requests of other sessions, and
// of those that they have started. It is to be called inside Look.
func (r *Reader) Others() (map[int64]bool, error) {
	e := r.s.e
	var ids []uint64
	var tids []int
	for _, other := range e.foreign(r.s) {
		tids = append(tids, other.slot.TID)
		if g := other.frozenGoroutine(); g != 0 {
			ids = append(ids, uint64(g))
		}
	}
	if len(tids) == 0 {
		return nil, nil
	}
	if e.goroutines == nil {
		return nil, fmt.Errorf("other IDEs have requests in flight, and which goroutines are theirs cannot be told: %w", errNoGoroutines)
	}
	found, err := e.goroutines.Belonging(ids, tids)
	if err != nil {
		return nil, err
	}
	others := make(map[int64]bool, len(found))
	for id := range found {
		others[int64(id)] = true
	}
	return others, nil
}

// share is how many requests one session may have frozen, of the MaxFrozen that all
// of them have together: what each gets if all want as many as they can. One that
// froze more before another came keeps them. Called under Engine.mu.
func (e *Engine) share() int {
	n := 0
	for _, s := range e.sessions {
		if s.started {
			n++
		}
	}
	n = max(n, 1)
	return max((e.cfg.MaxFrozen+n-1)/n, 1)
}

// foreign lists the requests of sessions other than s.
func (e *Engine) foreign(s *Session) (list []*request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.requests {
		if r.session != s {
			list = append(list, r)
		}
	}
	return list
}

// frozenGoroutine is the ID of the request's goroutine while it is frozen, and not on
// its thread therefore; 0 while it runs. Called under the brain lock.
func (r *request) frozenGoroutine() int64 {
	r.e.mu.Lock()
	frozen := r.state.parked()
	r.e.mu.Unlock()
	if !frozen || r.group == nil {
		return 0
	}
	g := r.group.Selected.SelectedGoroutine()
	if g == nil {
		return 0
	}
	return g.ID
}

// fence is the service's memory as debuggers see it: they read all of it, and write
// anything but the stacks of requests that other sessions have stopped. These would
// go on with what somebody else made of their variables.
type fence struct {
	e       *Engine
	session *Session // whose writes they are; nil: the Engine's own. Guarded by Engine.brain

	returned returnedWords // that the request's stop is about; guarded by Engine.brain
}

func (f *fence) ReadMemory(buf []byte, addr uint64) (int, error) {
	if f.returned.reads(addr) {
		return f.returned.ReadMemory(buf, addr)
	}
	return f.e.mem.ReadMemory(buf, addr)
}

// WriteMemory implements proc.MemoryReadWriter. Called under the brain lock.
func (f *fence) WriteMemory(addr uint64, data []byte) (int, error) {
	if err := f.e.mayWrite(f.session, addr, len(data)); err != nil {
		return 0, err
	}
	return f.e.mem.WriteMemory(addr, data)
}

// mayWrite says whether a client of s may write n bytes at addr; nil is the Engine
// itself. Called under the brain lock.
func (e *Engine) mayWrite(s *Session, addr uint64, n int) error {
	if s == nil {
		return nil
	}
	for _, r := range e.foreign(s) {
		lo, hi, err := r.frozenStack()
		if err != nil {
			return fmt.Errorf("%d bytes at %#x: where the stacks of other IDEs' requests are cannot be read: %w", n, addr, err)
		}
		if addr < hi && lo < addr+uint64(n) {
			return fmt.Errorf("%d bytes at %#x: %w", n, addr, ErrOthersStack)
		}
	}
	return nil
}

// frozenStack is where the stack of the request's goroutine lies while it is frozen;
// it does not move then. Both are 0 while it runs. Called under the brain lock.
func (r *request) frozenStack() (lo, hi uint64, err error) {
	if r.frozenGoroutine() == 0 {
		return 0, 0, nil
	}
	regs, err := r.group.Selected.CurrentThread().Registers()
	if err != nil {
		return 0, 0, err
	}
	return r.stack(regs)
}

// whyFull says why the request was not frozen when it might not be.
func (r *request) whyFull() string {
	e := r.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if share := e.share(); share < e.cfg.MaxFrozen {
		return fmt.Sprintf("%d requests may be stopped at a time (--max-frozen), which several IDEs share: %d for each", e.cfg.MaxFrozen, share)
	}
	return fmt.Sprintf("%d requests are stopped, the most that --max-frozen allows", e.cfg.MaxFrozen)
}
