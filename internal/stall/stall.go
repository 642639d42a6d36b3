//go:build linux && amd64

// Package stall notices that a service suffers from a frozen request: that
// goroutines pile up on locks, channels or semaphores behind it (Watch), or that
// everybody else's requests take longer (Slow), as they do when they wait for a
// database and the frozen one holds its rows.
//
// Goroutines of the frozen request itself are no sign of it: they wait for their own.
//
// For the first it reads the runtime's list of goroutines in the live process,
// with a few system calls however many there are, and compares what they wait
// for with what they waited for when the request froze. For the second the gate
// counts requests on the board. It does not know what a frozen request is, and
// stops nothing. It has no goroutines; a Watch or a Slow is used by one at a
// time.
package stall

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// Default is how many more goroutines than at the freeze may wait.
const Default = 24

// confirm is how many looks in a row must show it: traffic makes single ones
// peak.
const confirm = 3

// Watch looks after one freeze.
type Watch struct {
	r         *Reader
	own       func() Own
	known     map[uint64]bool // goroutines that belonged to those who do not count at the last look, by ID
	whose     []int           // they, at the last look
	threshold int
	before    counts
	over      int // looks in a row that were past the threshold
}

// counts is how many goroutines wait, by reason (runtime.waitReason).
type counts map[uint8]int

// New notes what the goroutines wait for now. threshold is the number of
// additional ones that is too many. own says whose do not count; it is asked at each
// look.
func (r *Reader) New(threshold int, own func() Own) (*Watch, error) {
	w := &Watch{r: r, own: own, threshold: threshold}
	before, err := w.count()
	if err != nil {
		return nil, err
	}
	w.before = before
	return w, nil
}

// Look compares with now. If goroutines have piled up it says what they wait
// for: "37 goroutines wait for sync.Mutex.Lock since the stop".
func (w *Watch) Look() (evidence string, err error) {
	now, err := w.count()
	if err != nil {
		return "", err
	}
	type pile struct{ reason, more int }
	var piles []pile
	total := 0
	for reason, n := range now {
		if more := n - w.before[reason]; more > 0 {
			piles = append(piles, pile{int(reason), more})
			total += more
		}
	}
	if total < w.threshold {
		w.over = 0
		return "", nil
	}
	if w.over++; w.over < confirm {
		return "", nil
	}
	slices.SortFunc(piles, func(a, b pile) int { return cmp.Or(b.more-a.more, a.reason-b.reason) })
	var parts []string
	for _, p := range piles {
		if p.more*10 < total {
			continue // chance
		}
		parts = append(parts, fmt.Sprintf("%d goroutines wait for %s", p.more, w.r.reasons[p.reason]))
	}
	return strings.Join(parts, ", ") + " since the stop", nil
}

// Reader reads the goroutines of one process.
type Reader struct {
	mem     vmem.Process
	l       board.GoroutineLayout
	reasons map[int]string // the ones that count
	names   map[int]string // all of them
}

// behindOthers are the reasons for which a goroutine waits for another one,
// which may be the frozen one. Not in it: I/O, sleep, and the runtime's own.
// "select" is, since waiting for a pooled connection is one, and so are idle
// workers, which are there before the freeze.
var behindOthers = []string{
	"chan receive", "chan send", "select", "semacquire", "sync.Cond.Wait", "sync.Mutex.Lock",
	"sync.RWMutex.RLock", "sync.RWMutex.Lock", "sync.WaitGroup.Wait",
}

// NewReader reads the names of the wait reasons, whose numbers differ between Go
// versions.
func NewReader(mem vmem.Process, l board.GoroutineLayout) (*Reader, error) {
	r := &Reader{mem: mem, l: l, reasons: make(map[int]string), names: make(map[int]string)}
	const stringSize, longest = 16, 64
	for i := 0; l.Reasons.Start+uint64(i)*stringSize < l.Reasons.End; i++ {
		addr := l.Reasons.Start + uint64(i)*stringSize
		ptr, err := mem.Uint64(addr)
		if err != nil {
			return nil, err
		}
		n, err := mem.Uint64(addr + 8)
		if err != nil {
			return nil, err
		}
		if n == 0 || n > longest {
			continue
		}
		name := make([]byte, n)
		if _, err := mem.ReadMemory(name, ptr); err != nil {
			return nil, err
		}
		r.names[i] = string(name)
		if slices.Contains(behindOthers, string(name)) {
			r.reasons[i] = string(name)
		}
	}
	if len(r.reasons) == 0 {
		return nil, fmt.Errorf("the runtime's wait reasons cannot be read")
	}
	return r, nil
}

// maxGoroutines bounds what one look reads; more are not looked at.
const maxGoroutines = 200_000

// Values of atomicstatus in runtime.g (runtime/runtime2.go).
const (
	statusWaiting = 4
	statusDead    = 6
	statusScan    = 0x1000
)

// list reads the addresses of all goroutines. The list only grows, and a g is
// never freed, so every address stays readable.
func (r *Reader) list() ([]uint64, error) {
	// The length first: should the list move in between, the new one is as
	// long at least.
	n, err := r.mem.Uint64(r.l.AllGs + 8)
	if err != nil {
		return nil, err
	}
	ptr, err := r.mem.Uint64(r.l.AllGs)
	if err != nil {
		return nil, err
	}
	list := make([]byte, 8*min(n, maxGoroutines))
	if _, err := r.mem.ReadMemory(list, ptr); err != nil {
		return nil, err
	}
	gs := make([]uint64, len(list)/8)
	for i := range gs {
		gs[i] = binary.LittleEndian.Uint64(list[8*i:])
	}
	return gs, nil
}

// snapshot is a part of the runtime.g of every goroutine, as they were at one look.
type snapshot struct {
	r     *Reader
	gs    []uint64 // addresses
	first uint64   // offset in runtime.g at which a span begins
	size  int      // of a span
	spans []byte
}

// snapshot reads the words at these offsets of every g, in one span each: they lie
// within some hundred bytes. The goroutines run meanwhile.
func (r *Reader) snapshot(fields ...uint64) (snapshot, error) {
	gs, err := r.list()
	if err != nil {
		return snapshot{}, err
	}
	const word = 8
	s := snapshot{r: r, gs: gs, first: slices.Min(fields)}
	s.size = int(slices.Max(fields) + word - s.first)
	s.spans, err = r.mem.ReadEach(gs, s.first, s.size)
	return s, err
}

// at is the span of goroutine i from a field on.
func (s snapshot) at(i int, field uint64) []byte { return s.spans[i*s.size+int(field-s.first):] }

func (s snapshot) word(i int, field uint64) uint64 { return binary.LittleEndian.Uint64(s.at(i, field)) }

func (s snapshot) status(i int) uint32 {
	return binary.LittleEndian.Uint32(s.at(i, s.r.l.Status)) &^ statusScan
}

func (s snapshot) reason(i int) uint8 { return s.at(i, s.r.l.WaitReason)[0] }

// thread is the id, in the service's own pid namespace, of the thread that
// goroutine i is locked to; 0 if it is locked to none.
func (s snapshot) thread(i int) (int, error) {
	m := s.word(i, s.r.l.LockedM)
	if m == 0 {
		return 0, nil
	}
	id, err := s.r.mem.Uint64(m + s.r.l.ThreadID)
	return int(id), err
}

// family reads what tells who has started whom.
func (r *Reader) family() (snapshot, error) {
	return r.snapshot(r.l.Status, r.l.WaitReason, r.l.ID, r.l.Parent, r.l.LockedM)
}

// count looks at every goroutine once.
func (w *Watch) count() (counts, error) {
	r := w.r
	s, err := r.family()
	if err != nil {
		return nil, err
	}
	own := w.own()
	if slices.ContainsFunc(w.whose, func(id int) bool { return !slices.Contains(own.Requests, id) }) {
		w.known = nil // what one of them has started counts again
	}
	w.whose = own.Requests
	w.known = s.belonging(w.known, own)
	c := make(counts)
	for i := range s.gs {
		if reason := s.reason(i); s.status(i) == statusWaiting && r.reasons[int(reason)] != "" && !w.known[s.word(i, r.l.ID)] {
			c[reason]++
		}
	}
	return c, nil
}
