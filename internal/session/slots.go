//go:build linux && amd64

package session

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/arch/x86/x86asm"
)

// Who gets the hardware breakpoints of a thread, and what becomes of the rest:
// docs/adr/0006-who-gets-the-four-breakpoints.md, 0009-uprobes.md.

// errExtraOff is why breakpoints beyond the hardware's are not set.
var errExtraOff = errors.New("--extra-breakpoints=off")

// checkProbes finds out whether breakpoints beyond the hardware's can be set.
func (e *Engine) checkProbes() {
	if e.cfg.NoExtra {
		e.noProbes = errExtraOff
		return
	}
	if e.noProbes = live.CheckProbes(); e.noProbes != nil {
		e.cfg.Log(fmt.Sprintf("breakpoints beyond the %d of the hardware cannot be set: %v", live.HardwareSlots, e.noProbes))
	}
}

// capacity is how many addresses of code a request can be stopped at that
// watches some data.
func (e *Engine) capacity(watches int) int {
	n := live.HardwareSlots - watches
	if e != nil && e.noProbes == nil {
		n += live.MaxProbes
	}
	return n
}

// noRoom says why a breakpoint is not set that needs some addresses more than
// are left, and what to do.
func (s *Session) noRoom(need, left int) string {
	if s.e != nil && s.e.noProbes == nil {
		return fmt.Sprintf("needs %d addresses, and %d of %d are free: remove or disable another breakpoint", need, left, live.HardwareSlots+live.MaxProbes)
	}
	why := ""
	if s.e != nil && s.e.noProbes != nil {
		why = fmt.Sprintf(" (more than these cannot be had: %v)", s.e.noProbes)
	}
	return fmt.Sprintf("needs %d of the %d hardware breakpoints of a thread, and %d are free%s: remove or disable another breakpoint%s",
		need, live.HardwareSlots, left, why, s.inTheWay())
}

// inTheWay names the breakpoints that have the hardware.
func (s *Session) inTheWay() string {
	var names []string
	for _, b := range s.breakpoints {
		if b.pub.Verified && b.pub.File != "" {
			names = append(names, b.pub.place())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ", such as " + strings.Join(names, ", ")
}

// place is where a breakpoint is, as a person reads it.
func (b Breakpoint) place() string { return fmt.Sprintf("%s:%d", filepath.Base(b.File), b.Line) }

// reserve is how many hardware breakpoints to leave to the following of
// goroutines where uprobes can take their place.
func (e *Engine) reserve() int {
	if e.cfg.NoFollow {
		return 0
	}
	return 1
}

// order sorts addresses by how soon a request at pc may come to them, 0 meaning
// that it has not stopped yet: those that stand for panics first, for which
// there is no other way; then the function that it is in, those that it calls,
// and what was set last.
func (s *Session) order(pc, a, b uint64) int {
	rank := func(addr uint64) int {
		_, detour := s.e.live.Detours[addr]
		switch {
		case detour:
			return 0
		case pc == 0:
			return 3
		case inRange(s.e.text.bounds(pc), addr):
			return 1
		case slices.Contains(s.e.callees(pc), s.e.text.bounds(addr)[0]):
			return 2
		}
		return 3
	}
	id := func(addr uint64) int {
		if o, ok := s.owners[addr]; ok {
			return o.pub.ID
		}
		return 0
	}
	return cmp.Or(rank(a)-rank(b), id(b)-id(a), cmp.Compare(a, b))
}

func inRange(r [2]uint64, addr uint64) bool { return r[0] <= addr && addr < r[1] }

// split is what to arm in a request that has not stopped yet.
func (a *ready) split(e *Engine, watches int) (stops, probes []uint64) {
	if e.noProbes != nil {
		return a.stops, nil
	}
	return backend.Split(a.stops, watches, e.reserve())
}

// program reads the text of the executable, as it is without probes.
type program struct {
	once sync.Once
	file *elf.File
	base uint64 // where it is loaded
	end  uint64 // of what is loaded of it

	mu    sync.Mutex
	calls map[uint64][]uint64 // by function
}

// code is live.Process.Code.
func (e *Engine) code(pc uint64, n int) []byte {
	p := &e.program
	p.once.Do(func() {
		p.file, _ = elf.Open(e.img.Path) // without it nothing is known of instructions
		p.base = e.bi.Images[0].StaticBase
		for _, seg := range p.segments() {
			p.end = max(p.end, p.base+seg.Vaddr+seg.Memsz)
		}
	})
	if p.file == nil {
		return nil
	}
	pc -= p.base
	for _, seg := range p.file.Progs {
		if seg.Type == elf.PT_LOAD && seg.Flags&elf.PF_X != 0 && seg.Vaddr <= pc && pc < seg.Vaddr+seg.Filesz {
			buf := make([]byte, min(uint64(n), seg.Vaddr+seg.Filesz-pc))
			if _, err := seg.ReadAt(buf, int64(pc-seg.Vaddr)); err != nil {
				return nil
			}
			return buf
		}
	}
	return nil
}

// segments are those that are loaded.
func (p *program) segments() (list []*elf.Prog) {
	if p.file != nil {
		list = slices.DeleteFunc(slices.Clone(p.file.Progs), func(seg *elf.Prog) bool { return seg.Type != elf.PT_LOAD })
	}
	return list
}

// has says whether addr is in the program or its variables, and not on the heap.
// Behind a first call of code.
func (p *program) has(addr uint64) bool { return p.base <= addr && addr < p.end }

// callees are the entries of the functions that the one around pc calls by name.
func (e *Engine) callees(pc uint64) []uint64 {
	fn := e.text.bounds(pc)
	p := &e.program
	p.mu.Lock()
	defer p.mu.Unlock()
	if list, ok := p.calls[fn[0]]; ok {
		return list
	}
	var list []uint64
	code := e.code(fn[0], int(fn[1]-fn[0]))
	for at := 0; at < len(code); {
		inst, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			at++
			continue
		}
		at += inst.Len
		if rel, ok := inst.Args[0].(x86asm.Rel); ok && inst.Op == x86asm.CALL {
			list = append(list, fn[0]+uint64(at)+uint64(int64(rel)))
		}
	}
	if p.calls == nil {
		p.calls = make(map[uint64][]uint64)
	}
	slices.Sort(list)
	p.calls[fn[0]] = slices.Compact(list)
	return p.calls[fn[0]]
}

// close lets go of the file.
func (p *program) close() {
	if p.file != nil {
		_ = p.file.Close() // it was only read
	}
}

// probesOff is told that breakpoints of a request are not watched any more.
func (r *request) probesOff(p live.Passed) {
	r.e.brain.Lock()
	defer r.e.brain.Unlock()
	exits := 0
	if found := r.e.returnsFound; found != nil {
		for _, a := range p.Addrs {
			if found.set.Has(a) {
				exits++
			}
		}
	}
	if exits > 0 {
		r.session.output(fmt.Sprintf("%s does not stop at %d of the returns of errors before its next stop: %s", r.name, exits, p.Why))
	}
	if names := r.session.places(p.Addrs); names != "" {
		r.session.output(fmt.Sprintf("%s does not stop at %s before its next stop: %s", r.name, names, p.Why))
	}
}

// places names the breakpoints at addresses. Called under the brain lock.
func (s *Session) places(addrs []uint64) string {
	const some = 8
	var names []string
	more := 0
	for _, b := range s.breakpoints {
		if !slices.ContainsFunc(b.addrs, func(a uint64) bool { return slices.Contains(addrs, a) }) {
			continue
		}
		if len(names) == some {
			more++
			continue
		}
		names = append(names, fmt.Sprintf("breakpoint %d (%s)", b.pub.ID, b.pub.place()))
	}
	text := strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
