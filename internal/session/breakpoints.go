//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// userBreakpoint is one breakpoint of a session.
type userBreakpoint struct {
	pub   Breakpoint
	asked SourceBreakpoint
	addrs []uint64 // where its line begins; several if it is inlined or generic
	err   error    // why it has no address
}

// SetBreakpoints replaces all breakpoints of file, a path as in the binary, and
// returns them in the order asked. They are armed in the requests in flight and
// in every later one.
func (s *Session) SetBreakpoints(file string, want []SourceBreakpoint) ([]Breakpoint, error) {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.e.mu.Lock()
	ended := s.closed || s.e.state != engineArmed
	s.e.mu.Unlock()
	if ended {
		return nil, ErrEnded
	}
	before := s.published()
	list := s.replace(file, want)
	s.deal()
	addrs := s.addresses()
	s.armed.Store(&addrs)

	result := make([]Breakpoint, len(list))
	for i, b := range list {
		result[i] = b.pub
	}
	for _, b := range s.breakpoints {
		if old, ok := before[b.pub.ID]; ok && old != b.pub && b.pub.File != file {
			s.queue.put(Event{Kind: EventBreakpoint, Breakpoint: b.pub})
		}
	}
	for _, r := range s.inFlight() {
		r.syncBreakpoints()
	}
	return result, nil
}

func (s *Session) published() map[int]Breakpoint {
	m := make(map[int]Breakpoint, len(s.breakpoints))
	for _, b := range s.breakpoints {
		m[b.pub.ID] = b.pub
	}
	return m
}

func (s *Session) inFlight() []*request {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	var list []*request
	for _, r := range s.e.requests {
		if r.session == s && r.state != requestGone {
			list = append(list, r)
		}
	}
	return list
}

// replace makes want the breakpoints of file. One that was there already keeps
// its id and its place in the order.
func (s *Session) replace(file string, want []SourceBreakpoint) []*userBreakpoint {
	old := slices.Clone(s.breakpoints)
	s.breakpoints = slices.DeleteFunc(s.breakpoints, func(b *userBreakpoint) bool {
		return b.pub.File == file && !slices.Contains(want, b.asked)
	})
	list := make([]*userBreakpoint, 0, len(want))
	for _, w := range want {
		i := slices.IndexFunc(old, func(b *userBreakpoint) bool { return b.pub.File == file && b.asked == w })
		if i >= 0 {
			list = append(list, old[i])
			continue
		}
		s.lastID++
		b := &userBreakpoint{asked: w, pub: Breakpoint{ID: s.lastID, File: file, Line: w.Line}}
		s.locate(b)
		s.breakpoints = append(s.breakpoints, b)
		list = append(list, b)
	}
	return list
}

// locate finds the addresses of b from the symbols alone.
func (s *Session) locate(b *userBreakpoint) {
	addrs, err := proc.FindFileLocation(s.e.symbols, b.pub.File, b.asked.Line)
	if err != nil {
		var notFound *proc.ErrCouldNotFindLine
		switch {
		case !errors.As(err, &notFound):
			b.err = err
		case slices.Contains(s.e.bi.Sources, b.pub.File):
			b.err = fmt.Errorf("line %d has no code in this binary: choose a line with a statement", b.asked.Line)
		default:
			b.err = fmt.Errorf("%s is not among the source files of this binary: check substitutePath", b.pub.File)
		}
		return
	}
	if len(addrs) == 0 {
		// Delve leaves out compiler-made wrappers, but a small method that is
		// only used as a value lives inlined in its wrapper and nowhere else.
		addrs = s.firstInEachFunction(b.pub.File, b.asked.Line)
	}
	if len(addrs) == 0 {
		b.err = fmt.Errorf("the compiler left no code for line %d in this binary: choose another line", b.asked.Line)
		return
	}
	b.addrs = addrs
	if file, line, fn := s.e.bi.PCToLine(addrs[0]); fn != nil && file == b.pub.File {
		b.pub.Line = line
	}
}

// firstInEachFunction finds the lowest address of a line in every function that
// has code for it.
func (s *Session) firstInEachFunction(file string, line int) []uint64 {
	bi := s.e.bi
	first := make(map[uint64]uint64) // by function
	for _, pc := range bi.AllPCsForFileLines(file, []int{line})[line] {
		fn := bi.PCToFunc(pc)
		if fn == nil {
			continue
		}
		if old, ok := first[fn.Entry]; !ok || pc < old {
			first[fn.Entry] = pc
		}
	}
	return slices.Sorted(maps.Values(first))
}

// deal gives the hardware breakpoints of a thread to the breakpoints, first
// come, first served; a breakpoint gets all the addresses it needs or none.
func (s *Session) deal() {
	var used []uint64
	for _, b := range s.breakpoints {
		b.pub.Verified, b.pub.Message = false, ""
		if b.err != nil {
			b.pub.Message = b.err.Error()
			continue
		}
		need := slices.DeleteFunc(slices.Clone(b.addrs), func(a uint64) bool { return slices.Contains(used, a) })
		if left := live.HardwareSlots - len(used); len(need) > left {
			b.pub.Message = fmt.Sprintf("needs %d of the %d hardware breakpoints of a thread, and %d are free: remove or disable another breakpoint", len(need), live.HardwareSlots, left)
			continue
		}
		used = append(used, need...)
		b.pub.Verified = true
	}
}

func (s *Session) verified() []*userBreakpoint {
	return slices.DeleteFunc(slices.Clone(s.breakpoints), func(b *userBreakpoint) bool { return !b.pub.Verified })
}

// addresses are those to arm in a request that has not stopped yet.
func (s *Session) addresses() []uint64 {
	var all []uint64
	for _, b := range s.verified() {
		all = append(all, b.addrs...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// syncBreakpoints makes the request's breakpoints those of its session. Called
// under the brain lock.
func (r *request) syncBreakpoints() {
	if r.group == nil {
		r.thread.SetStops(r.session.addresses())
		return
	}
	t := r.group.Selected
	if ok, _ := t.Valid(); !ok {
		return // it is just ending
	}
	want := make(map[uint64]int)
	for _, b := range r.session.verified() {
		for _, a := range b.addrs {
			want[a] = b.pub.ID
		}
	}
	for addr, bp := range t.Breakpoints().M {
		id := bp.LogicalID()
		if id <= 0 {
			continue
		}
		if want[addr] == id {
			delete(want, addr)
			continue
		}
		if err := t.ClearBreakpoint(addr); err != nil {
			r.session.output(fmt.Sprintf("%s: breakpoint %d cannot be removed: %v", r.name, id, err))
		}
	}
	for addr, id := range want {
		if _, err := t.SetBreakpoint(id, addr, proc.UserBreakpoint, nil); err != nil {
			file, line, _ := t.BinInfo().PCToLine(addr)
			r.session.output(fmt.Sprintf("%s: breakpoint %d (%s:%d) cannot be set: %v", r.name, id, filepath.Base(file), line, err))
		}
	}
	r.proc.Refresh()
}
