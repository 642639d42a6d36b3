//go:build linux && amd64

package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/live"
)

// An error is looked at where a function is about to return it. Its two words are
// in registers as a rule, where no expression can name them: so the memory that
// Delve sees has them at an address that no process has (docs/adr/0013).

// ReturnedAt is where the memory of a request has the error that it is stopped at,
// see ExceptionStop.Returned: not canonical, so that nothing else can be there.
const ReturnedAt = 0x7f00_0000_0000_0000

// returnedWords are an interface value at ReturnedAt.
type returnedWords struct{ words [2]uint64 }

const returnedPage = 4096 // whole pages are read

func (w *returnedWords) reads(addr uint64) bool {
	return ReturnedAt <= addr && addr < ReturnedAt+returnedPage && w.words[0] != 0
}

// ReadMemory reads from the page that has the words at its beginning.
func (w *returnedWords) ReadMemory(buf []byte, addr uint64) (int, error) {
	var page [returnedPage]byte
	binary.LittleEndian.PutUint64(page[0:], w.words[0])
	binary.LittleEndian.PutUint64(page[8:], w.words[1])
	n := copy(buf, page[addr-ReturnedAt:])
	if n < len(buf) {
		return n, fmt.Errorf("nothing is at %#x", addr+uint64(n))
	}
	return n, nil
}

// locateReturns says whether the returns of errors can be watched.
func (s *Session) locateReturns(b *userBreakpoint) {
	if why := s.e.noProbes; why != nil {
		b.err = fmt.Errorf("it needs uprobes at the returns of all functions, which cannot be set: %w", why)
		return
	}
	x := s.e.returns()
	if b.err = x.nothing; b.err == nil && s.toldReturns.CompareAndSwap(false, true) {
		s.output(x.String())
	}
}

// returning is the breakpoint of the errors that functions return; nil if none is
// wanted. Called under the brain lock.
func (s *Session) returning() *userBreakpoint {
	for _, b := range s.breakpoints {
		if b.pub.Verified && b.asked.exception != nil && b.asked.exception.kind == errorReturned {
			return b
		}
	}
	return nil
}

// watchReturns arms the returns in a request's target, or takes them away. Called
// under the brain lock.
func (r *request) watchReturns() {
	r.passedReturns = 0
	if b := r.session.returning(); b != nil {
		r.proc.SetReturns(r.session.armed.Load().returns, b.logical)
	} else {
		r.proc.SetReturns(nil, nil)
	}
}

// maxPassedReturns bounds the errors that a request returns without stopping: each
// takes it some milliseconds.
const maxPassedReturns = 500

// passReturn counts one that the request does not stop for.
func (r *request) passReturn() {
	if r.passedReturns++; r.passedReturns == maxPassedReturns {
		r.proc.SetReturns(nil, nil)
		r.session.output(fmt.Sprintf("%s has returned %d errors without stopping, and goes on without being asked for more before its next stop", r.name, maxPassedReturns))
	}
}

var errNoReturned = errors.New("what is returned cannot be read")

// returnedError looks at the error that the request is about to return. fresh: it
// is not one, and wraps none, that was seen before.
func (r *request) returnedError(frames []proc.Stackframe) (at ExceptionStop, fresh bool, err error) {
	fr := r.proc.Last()
	if fr == nil || fr.Cause != live.CauseReturn || len(frames) == 0 {
		return at, false, errNoReturned
	}
	r.fence.returned.words = fr.Returned.Words
	r.mem.Forget()
	at.Returned = ReturnedAt
	fn := r.e.bi.PCToFunc(fr.Addr)
	if fn == nil {
		return at, false, errNoReturned
	}
	if fr.State.Regs.Rip != fr.Addr {
		at.By = fn.Name
	}
	t := r.group.Selected
	c := errorLinks{mem: t.Memory(), scope: proc.FrameToScope(t, t.Memory(), nil, t.CurrentThread().ThreadID(), frames...)}
	if err := c.add(ReturnedAt); err != nil {
		return at, false, err
	}
	seen := seenError{words: fr.Returned.Words, by: r.id, depth: fr.Returned.Depth, fn: fn.Entry, callers: make(map[uint64]uint64)}
	regs, err := t.CurrentThread().Registers()
	if err != nil {
		return at, false, err
	}
	_, hi, err := r.stack(regs)
	if err != nil {
		return at, false, err
	}
	for i := range frames {
		if f := frames[i].Current.Fn; f != nil && !frames[i].Inlined {
			seen.callers[hi-uint64(frames[i].Regs.CFA)] = f.Entry
		}
	}
	return at, r.session.seenBy(r.root).add(seen, c.list, r.e), nil
}

// errorLinks lists an error and those that it wraps, as interface values. It
// follows fields that are errors instead of calling Unwrap, as what is shown of
// errors does.
type errorLinks struct {
	mem   proc.MemoryReadWriter
	scope *proc.EvalScope
	list  [][2]uint64
}

const maxLinks = 16

// add adds the interface value at addr, which is not nil.
func (c *errorLinks) add(addr uint64) error {
	words, err := c.words(addr)
	if err != nil || words[0] == 0 || len(c.list) >= maxLinks {
		return err
	}
	v, err := c.scope.EvalExpression(fmt.Sprintf("*(*error)(%#x)", addr), proc.LoadConfig{})
	switch {
	case err != nil:
		return err
	case v.Unreadable != nil:
		return v.Unreadable
	case len(v.Children) != 1:
		return errNoReturned
	}
	c.list = append(c.list, words)
	base, held := v.Children[0].Addr, godwarf.ResolveTypedef(v.Children[0].DwarfType)
	if ptr, isPtr := held.(*godwarf.PtrType); isPtr {
		if words, err = c.words(base); err != nil || words[0] == 0 {
			return err
		}
		base, held = words[0], godwarf.ResolveTypedef(ptr.Type)
	}
	st, isStruct := held.(*godwarf.StructType)
	if !isStruct {
		return nil
	}
	for _, f := range st.Field {
		at := base + uint64(f.ByteOffset)
		if isErrorType(f.Type) {
			_ = c.add(at) // what cannot be read is not compared
			continue
		}
		if s, isSlice := godwarf.ResolveTypedef(f.Type).(*godwarf.SliceType); isSlice && isErrorType(s.ElemType) {
			slice, err := c.words(at)
			for i := uint64(0); err == nil && i < min(slice[1], maxLinks); i++ {
				_ = c.add(slice[0] + 16*i)
			}
		}
	}
	return nil
}

func (c *errorLinks) words(addr uint64) (w [2]uint64, err error) {
	var buf [16]byte
	if _, err := c.mem.ReadMemory(buf[:], addr); err != nil {
		return w, err
	}
	return [2]uint64{binary.LittleEndian.Uint64(buf[:]), binary.LittleEndian.Uint64(buf[8:])}, nil
}

// seenError is an error that a function has returned.
type seenError struct {
	words   [2]uint64
	by      RequestID
	depth   uint64            // of the frame of its caller, see live.Returned
	fn      uint64            // entry of the function
	callers map[uint64]uint64 // the functions on the stack then, by their depths
}

// seenErrors are those of a request and its goroutines, the last ones.
type seenErrors struct{ list []seenError }

const maxSeen = 64

// seenBy finds those of a root. Called under the brain lock.
func (s *Session) seenBy(root RequestID) *seenErrors {
	if s.returned == nil {
		s.returned = make(map[RequestID]*seenErrors)
	}
	if s.returned[root] == nil {
		s.returned[root] = new(seenErrors)
	}
	return s.returned[root]
}

// forgetReturned is for a request that is gone: with the last one of a root what they
// returned is forgotten. Called under the brain lock.
func (s *Session) forgetReturned(root RequestID) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for _, r := range s.e.requests {
		if r.root == root {
			return
		}
	}
	delete(s.returned, root)
}

// add notes an error, whose chain links has, and says whether it is a new one.
func (h *seenErrors) add(now seenError, links [][2]uint64, e *Engine) (fresh bool) {
	static := func(w [2]uint64) bool { return e.program.has(w[1]) }
	fresh = !slices.ContainsFunc(h.list, func(old seenError) bool {
		i := slices.Index(links, old.words)
		return i >= 0 && now.passesOn(old, i == 0, static(old.words), e.returns().takes[now.fn])
	})
	h.list = append(h.list, now)
	if len(h.list) > maxSeen {
		h.list = slices.Delete(h.list, 0, len(h.list)-maxSeen)
	}
	return fresh
}

// passesOn says whether a function that returns now an error that an earlier one
// had returned, or one that wraps it, has it from there. same: it is the error
// itself. A package's variable (static) may be returned by anybody, and the address
// of another error may have become free and been used again.
func (now seenError) passesOn(old seenError, same, static, takes bool) bool {
	caller := now.by == old.by && now.depth < old.depth && old.callers[now.depth] == now.fn
	switch {
	case caller || takes:
		return true
	case static:
		return false
	}
	again := now.by == old.by && now.fn == old.fn && now.depth >= old.depth
	return !(same && again)
}
