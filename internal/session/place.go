//go:build linux && amd64

package session

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-delve/delve/pkg/proc"
)

// Place is a breakpoint as front ends set it that have breakpoints one by one,
// and not lists of them: a line of File, a line of Function, or Addrs, the first
// that is given.
type Place struct {
	File string // as in the binary
	Line int    // of File; with Function the number of lines below its first, 0 for its beginning

	Function string // as Delve names it
	Addrs    []uint64

	When
	Data Data // if its Size is not 0 this is watched, and Read says whether reads count
	Read bool

	PerGoroutine bool // HitCondition counts the hits of each goroutine by itself

	// Capture makes it a trace point: requests do not stop at it. It is called
	// for each hit with the request's target, as in Session.Inspect, and what it
	// takes from there must be copies. EventLogPoint follows.
	Capture func(id RequestID, t *proc.Target)
}

// placeList is the list in which the breakpoint of an owner of SetPlace is alone.
const placeList = "\x00place "

// SetPlace makes p the one breakpoint of owner, a name that the front end
// chooses; nil removes it. One that is changed gets a new ID, and its hits are
// counted anew.
func (s *Session) SetPlace(owner string, p *Place) (Breakpoint, error) {
	var want []asked
	if p != nil {
		copied := *p
		want = []asked{{list: placeList + owner, line: p.Line, data: p.Data, read: p.Read, When: p.When, place: &copied}}
	}
	set, err := s.set(placeList+owner, want)
	if err != nil || len(set) == 0 {
		return Breakpoint{}, err
	}
	return set[0], nil
}

// Placed is what is known of a breakpoint that was set.
type Placed struct {
	Breakpoint
	Function    string // "" if its addresses are in several
	Addrs       []uint64
	Hits        uint64           // of all requests, for which its condition was true
	ByGoroutine map[int64]uint64 // the same, by goroutine
}

// Placed looks up a breakpoint by its ID; ok is false if there is none.
func (s *Session) Placed(id int) (p Placed, ok bool) {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	for _, b := range s.breakpoints {
		if b.pub.ID != id {
			continue
		}
		p = Placed{
			Breakpoint: b.pub, Addrs: slices.Clone(b.addrs),
			Hits: b.logical.TotalHitCount, ByGoroutine: maps.Clone(b.logical.HitCount),
		}
		for i, addr := range b.addrs {
			fn := s.e.bi.PCToFunc(addr)
			if fn == nil || i > 0 && fn.Name != p.Function {
				p.Function = ""
				break
			}
			p.Function = fn.Name
		}
		return p, true
	}
	return p, false
}

// locatePlace finds the addresses of a Place. Called under the brain lock.
func (s *Session) locatePlace(b *userBreakpoint) {
	p := b.asked.place
	switch {
	case p.File != "":
		b.pub.File = p.File
		s.locateLine(b)
		return
	case p.Function != "":
		addrs, err := proc.FindFunctionLocation(s.e.symbols, p.Function, p.Line)
		if err != nil {
			b.err = fmt.Errorf("function %q: %w", p.Function, err)
			return
		}
		b.addrs = addrs
	default:
		b.addrs = slices.Clone(p.Addrs)
	}
	slices.Sort(b.addrs)
	b.addrs = slices.Compact(b.addrs)
	if len(b.addrs) == 0 {
		b.err = fmt.Errorf("it has no address: name a line, a function or an address")
		return
	}
	for _, addr := range b.addrs {
		if s.e.bi.PCToFunc(addr) == nil {
			b.err = fmt.Errorf("%#x is in no function of this binary", addr)
			return
		}
	}
	b.pub.File, b.pub.Line, _ = s.e.bi.PCToLine(b.addrs[0])
}
