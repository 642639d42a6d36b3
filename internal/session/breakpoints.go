//go:build linux && amd64

package session

import (
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
	asked asked
	addrs []uint64 // where it is; several if its line is inlined or generic
	err   error    // why it cannot be set

	// Delve's view of it, the same one in every request's target, so that hits
	// are counted over all requests.
	logical *proc.LogicalBreakpoint
	log     logMessage // of a log point
}

// asked is a breakpoint as the IDE asks for it. IDEs replace all of one list at
// a time: those of a file, of functions, of instructions.
type asked struct {
	list     string // the file; functionList, instructionList
	line     int
	function string
	addr     uint64
	data     Data // what is watched; not zero in a data breakpoint
	read     bool // for reads, too
	When
	log   string
	place *Place // of SetPlace

	exception *exceptionPoint // of SetExceptionFilters
}

// conditional says whether a request may pass b.
func (b *userBreakpoint) conditional() bool {
	return b.asked.When != When{} || b.asked.passing()
}

// passing says whether requests do not stop there but only tell.
func (a asked) passing() bool {
	return a.log != "" || a.exception != nil || a.place != nil && a.place.Capture != nil
}

// Names of the lists that are no files.
const (
	functionList    = "\x00functions"
	instructionList = "\x00instructions"
)

// SetBreakpoints replaces all breakpoints of file, a path as in the binary, and
// returns them in the order asked. They are armed in the requests in flight and
// in every later one.
func (s *Session) SetBreakpoints(file string, want []SourceBreakpoint) ([]Breakpoint, error) {
	list := make([]asked, len(want))
	for i, w := range want {
		list[i] = asked{list: file, line: w.Line, When: w.When, log: w.LogMessage}
	}
	return s.set(file, list)
}

// SetFunctionBreakpoints is SetBreakpoints for functions, named as Delve does:
// "main.handle", "(*api).order", "/regular expression/".
func (s *Session) SetFunctionBreakpoints(want []FunctionBreakpoint) ([]Breakpoint, error) {
	list := make([]asked, len(want))
	for i, w := range want {
		list[i] = asked{list: functionList, function: w.Name, When: w.When}
	}
	return s.set(functionList, list)
}

// SetInstructionBreakpoints is SetBreakpoints for addresses of instructions.
func (s *Session) SetInstructionBreakpoints(want []InstructionBreakpoint) ([]Breakpoint, error) {
	list := make([]asked, len(want))
	for i, w := range want {
		list[i] = asked{list: instructionList, addr: w.Addr, When: w.When}
	}
	return s.set(instructionList, list)
}

// set replaces the breakpoints of one list.
func (s *Session) set(owner string, want []asked) ([]Breakpoint, error) {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.e.mu.Lock()
	ended := s.closed || s.e.state != engineArmed
	s.e.mu.Unlock()
	if ended {
		return nil, ErrEnded
	}
	before := s.published()
	list := s.replace(owner, want)
	s.redeal(before, owner)
	result := make([]Breakpoint, len(list))
	for i, b := range list {
		result[i] = b.pub
	}
	return result, nil
}

// redeal deals the hardware breakpoints anew, and tells the IDE of those that
// became other than before; the list owner it is told of otherwise. Called under
// the brain lock.
func (s *Session) redeal(before map[int]Breakpoint, owner string) {
	s.deal()
	s.armed.Store(s.ready())
	for _, b := range s.breakpoints {
		if old, ok := before[b.pub.ID]; ok && old != b.pub && b.asked.list != owner {
			s.queue.put(Event{Kind: EventBreakpoint, Breakpoint: b.pub})
		}
	}
	for _, r := range s.inFlight() {
		r.syncBreakpoints()
	}
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

// replace makes want the breakpoints of a list. One that was there already keeps
// its id, its hits and its place in the order.
func (s *Session) replace(owner string, want []asked) []*userBreakpoint {
	old := slices.Clone(s.breakpoints)
	s.breakpoints = slices.DeleteFunc(s.breakpoints, func(b *userBreakpoint) bool {
		return b.asked.list == owner && !slices.Contains(want, b.asked)
	})
	list := make([]*userBreakpoint, 0, len(want))
	for _, w := range want {
		i := slices.IndexFunc(old, func(b *userBreakpoint) bool { return b.asked == w })
		if i >= 0 {
			list = append(list, old[i])
			continue
		}
		s.lastID++
		b := s.newBreakpoint(s.lastID, w)
		s.breakpoints = append(s.breakpoints, b)
		list = append(list, b)
	}
	return list
}

// deal gives the hardware breakpoints of a thread to the breakpoints, first
// come, first served; a breakpoint gets all the addresses it needs or none.
func (s *Session) deal() {
	used := make(map[uint64]*userBreakpoint) // by address, of code or of data
	watches := 0
	for _, b := range s.breakpoints {
		b.pub.Verified, b.pub.Message = false, ""
		if b.err != nil {
			b.pub.Message = b.err.Error()
			continue
		}
		// Delve has one condition and one count for an address.
		if i := slices.IndexFunc(b.addrs, func(a uint64) bool {
			return used[a] != nil && (used[a].conditional() || b.conditional())
		}); i >= 0 {
			b.pub.Message = fmt.Sprintf("breakpoint %d is at the same place, and one of them has a condition or logs: remove one of the two", used[b.addrs[i]].pub.ID)
			continue
		}
		if b.data() {
			d := b.asked.data.Addr
			switch {
			case used[d] != nil:
				b.pub.Message = fmt.Sprintf("breakpoint %d watches it already", used[d].pub.ID)
			case watches == live.MaxWatches:
				b.pub.Message = fmt.Sprintf("%d data breakpoints are set, as many as there can be: remove or disable one", watches)
			case s.e.capacity(watches) == len(used)-watches:
				b.pub.Message = fmt.Sprintf("the %d hardware breakpoints of a thread are taken: remove or disable another breakpoint", live.HardwareSlots)
			default:
				watches++
				used[d], b.pub.Verified = b, true
			}
			continue
		}
		need := slices.DeleteFunc(slices.Clone(b.addrs), func(a uint64) bool { return used[a] != nil })
		if left := s.e.capacity(watches) - (len(used) - watches); len(need) > left {
			b.pub.Message = s.noRoom(len(need), left)
			continue
		}
		for _, a := range need {
			used[a] = b
		}
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

// owners finds the breakpoint of each address.
func ownersOf(list []*userBreakpoint) map[uint64]*userBreakpoint {
	owners := make(map[uint64]*userBreakpoint)
	for _, b := range list {
		for _, a := range b.addrs {
			owners[a] = b
		}
	}
	return owners
}

// syncBreakpoints makes the request's breakpoints those of its session. Called
// under the brain lock.
func (r *request) syncBreakpoints() {
	if r.group == nil {
		armed := r.session.armed.Load()
		watches := armed.watches(r.root)
		stops, probes := armed.split(r.e, len(watches))
		r.thread.SetStops(stops)
		r.thread.SetWatches(watches)
		if r.e.noProbes == nil && !r.untilEntry {
			r.thread.SetProbes(probes, armed.returns)
		}
		return
	}
	t := r.group.Selected
	if ok, _ := t.Valid(); !ok {
		return // it is just ending
	}
	want := make(map[uint64]int)
	if t.Breakpoints().Logical == nil {
		t.Breakpoints().Logical = make(map[int]*proc.LogicalBreakpoint)
	}
	logical := t.Breakpoints().Logical
	maps.DeleteFunc(logical, func(id int, _ *proc.LogicalBreakpoint) bool { return id > 0 })
	for _, b := range r.session.verified() {
		logical[b.pub.ID] = b.logical
		for _, a := range b.addrs {
			want[a] = b.pub.ID
		}
	}
	data := make(map[uint64]*userBreakpoint)
	for _, b := range r.session.armed.Load().data {
		if d := b.asked.data; d.concerns(r.root) {
			want[d.Addr], data[d.Addr] = b.pub.ID, b
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
		if b := data[addr]; b != nil {
			if err := r.proc.SetWatch(t, id, b.watch(), b.asked.data.Expr); err != nil {
				r.session.output(fmt.Sprintf("%s: breakpoint %d (%s) cannot be set: %v", r.name, id, b.asked.data.Expr, err))
			}
			continue
		}
		if _, err := t.SetBreakpoint(id, addr, proc.UserBreakpoint, nil); err != nil {
			file, line, _ := t.BinInfo().PCToLine(addr)
			r.session.output(fmt.Sprintf("%s: breakpoint %d (%s:%d) cannot be set: %v", r.name, id, filepath.Base(file), line, err))
		}
	}
	r.watchReturns()
	r.proc.Refresh()
}
