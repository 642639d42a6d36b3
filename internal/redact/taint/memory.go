package taint

import (
	"bytes"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/redact"
)

const (
	pageSize = 4096
	// margin is how much beside a page decides what is masked in it.
	margin = 2 * redact.Margin
	// maxText bounds how far beside a page a text is followed that goes on there:
	// a long token is known by its beginning.
	maxText = 8 << 10
)

// Memory is the service's memory without the secrets of a Guard: their bytes
// read as [redact.Fill]. Its methods are called under the lock that serialises
// the use of Delve.
//
// What was read is kept until Forget, which is to be called whenever the service
// may have gone on: an inspection looks at the same pages again and again, and
// what is handed out is what was looked through. Behind a Forget each page is read
// anew, and looked through again only if it, or what is around it, has changed.
type Memory struct {
	raw      proc.MemoryReadWriter
	guard    *Guard
	plain    bool   // no guard for a while: the snapshot is read as it is
	maskedBy *Guard // whose secrets the pages are without

	pages  map[uint64]*page
	last   *page  // that was asked for last; may be nil
	epoch  uint64 // grows with each Forget
	runs   int    // grows with each Resume
	change uint64 // grows with each page that is not as it was
	spare  []byte // a page to read into
	window []byte // of the last page that was looked through
}

// page is a page as it was when it was read.
type page struct {
	base   uint64
	epoch  uint64 // of the Memory, when it was read last
	change uint64 // of the Memory, when it was found to have changed; 0: it was never read
	raw    []byte // nil: it cannot be read

	masked   []byte // nil: not looked through as it is now
	known    int    // of secrets, when it was
	beside   []besides
	patterns []redact.Span // in the window
	at       int           // where it begins in its window
}

// besides is a page that decided what is masked in another one, as it was then.
type besides struct{ base, change uint64 }

// NewMemory makes one that hides nothing until it is given a guard.
func NewMemory(raw proc.MemoryReadWriter) *Memory {
	return &Memory{raw: raw, pages: make(map[uint64]*page), epoch: 1, spare: make([]byte, pageSize)}
}

// Use makes g's redaction that of the memory; nil: none.
func (m *Memory) Use(g *Guard) {
	if m.guard == g {
		return
	}
	m.guard = g
	if g != nil && m.maskedBy != g {
		m.maskedBy = g
		m.Drop()
	}
	m.Forget()
}

// Guard is the one in use.
func (m *Memory) Guard() *Guard { return m.guard }

// Bounds of the pages that are kept: in one snapshot, and from one to the next.
// The stops of one service look at much the same pages.
const (
	maxPages  = 4096
	keepPages = 256
)

// Forget makes the next read of each page one of the service.
func (m *Memory) Forget() {
	m.epoch++
	if len(m.pages) > keepPages {
		m.Drop()
	}
}

// Resume is Forget when the thread that is looked at is about to run.
func (m *Memory) Resume() {
	m.runs++
	m.Forget()
}

// Drop is Forget that keeps nothing of what was read either.
func (m *Memory) Drop() {
	m.pages, m.last = make(map[uint64]*page), nil
}

// ReadMemory implements proc.MemoryReader.
func (m *Memory) ReadMemory(buf []byte, addr uint64) (int, error) {
	if m.guard == nil && !m.plain {
		return m.raw.ReadMemory(buf, addr)
	}
	for done := 0; done < len(buf); {
		at := addr + uint64(done)
		p := m.page(at &^ (pageSize - 1))
		if p.raw == nil {
			// The error is the kernel's to give.
			if _, err := m.raw.ReadMemory(buf[done:done+1], at); err != nil {
				return done, err
			}
			if m.refresh(p); p.raw == nil { // it was mapped just now
				return done, ErrSealed
			}
		}
		from := p.raw
		if m.guard != nil {
			from = m.mask(p)
		}
		done += copy(buf[done:], from[at-p.base:])
	}
	return len(buf), nil
}

// page is one as it is in this snapshot.
func (m *Memory) page(base uint64) *page {
	p := m.last
	if p == nil || p.base != base {
		if p = m.pages[base]; p == nil {
			if len(m.pages) >= maxPages {
				m.Drop()
			}
			p = &page{base: base}
			m.pages[base] = p
		}
		m.last = p
	}
	if p.epoch != m.epoch {
		m.refresh(p)
	}
	return p
}

// refresh reads a page, and notes if it is another one than before.
func (m *Memory) refresh(p *page) {
	p.epoch = m.epoch
	_, err := m.raw.ReadMemory(m.spare, p.base)
	switch {
	case p.change != 0 && err != nil && p.raw == nil, err == nil && p.raw != nil && bytes.Equal(p.raw, m.spare):
		return
	case err != nil:
		p.raw = nil
	case p.raw == nil:
		p.raw = bytes.Clone(m.spare)
	default:
		p.raw, m.spare = m.spare, p.raw
	}
	m.change++
	p.change, p.masked = m.change, nil
}

// mask is a page without its secrets.
func (m *Memory) mask(p *page) []byte {
	known := m.guard.shared.Secrets.Generation()
	same := p.masked != nil && m.same(p)
	if same && p.known == known {
		return p.masked
	}
	m.look(p)
	if !same {
		p.patterns = m.guard.policy.Find(m.window)
	}
	p.masked, p.known = p.raw, known
	p.fill(m.guard.shared.Secrets.Find(m.window, m.guard.policy.Lifted()))
	p.fill(p.patterns)
	return p.masked
}

// fill masks what of the spans of its window is in a page.
func (p *page) fill(spans []redact.Span) {
	for _, s := range spans {
		from, to := max(s.Start-p.at, 0), min(s.End-p.at, pageSize)
		if from >= to {
			continue
		}
		if &p.masked[0] == &p.raw[0] {
			p.masked = bytes.Clone(p.raw)
		}
		for i := from; i < to; i++ {
			p.masked[i] = redact.Fill(p.base + uint64(i))
		}
	}
}

// same tells whether all that has decided what is masked in a page is as it was.
func (m *Memory) same(p *page) bool {
	for _, b := range p.beside {
		if m.page(b.base).change != b.change {
			return false
		}
	}
	return true
}

// look makes the window that of p: the page with what is around it.
func (m *Memory) look(p *page) {
	const most = maxText / pageSize
	var before, after [most][]byte
	p.beside = p.beside[:0]
	for i := range before {
		q := m.near(p, p.base-pageSize*uint64(i+1))
		if q.raw == nil {
			break
		}
		run := textTail(q.raw)
		before[i] = q.raw[pageSize-max(run, margin):]
		if run < pageSize {
			break
		}
	}
	for i := range after {
		q := m.near(p, p.base+pageSize*uint64(i+1))
		if q.raw == nil {
			break
		}
		run := textHead(q.raw)
		after[i] = q.raw[:max(run, margin)]
		if run < pageSize {
			break
		}
	}
	m.window = m.window[:0]
	for i := range before {
		m.window = append(m.window, before[most-1-i]...)
	}
	p.at = len(m.window)
	m.window = append(m.window, p.raw...)
	for _, part := range after {
		m.window = append(m.window, part...)
	}
}

// near is a page beside p, which is noted to be one.
func (m *Memory) near(p *page, base uint64) *page {
	q := m.page(base)
	p.beside = append(p.beside, besides{base, q.change})
	return q
}

func isText(c byte) bool { return c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' }

// textTail is how many bytes at the end of b are text.
func textTail(b []byte) int {
	n := 0
	for n < len(b) && isText(b[len(b)-1-n]) {
		n++
	}
	return n
}

// textHead is how many at its beginning are.
func textHead(b []byte) int {
	n := 0
	for n < len(b) && isText(b[n]) {
		n++
	}
	return n
}

// WriteMemory implements proc.MemoryReadWriter. What was read in the place of a
// secret is not written: it would overwrite something with nonsense.
func (m *Memory) WriteMemory(addr uint64, data []byte) (int, error) {
	if m.guard != nil {
		if err := writes(data); err != nil {
			return 0, err
		}
	}
	m.Forget()
	return m.raw.WriteMemory(addr, data)
}

// plainly runs f with the memory as it is.
func (m *Memory) plainly(f func()) {
	g := m.guard
	m.guard, m.plain = nil, true
	defer func() { m.guard, m.plain = g, false }()
	f()
}

// read fills buf from the snapshot, without a mask.
func (m *Memory) read(buf []byte, addr uint64) bool {
	for done := 0; done < len(buf); {
		at := addr + uint64(done)
		p := m.page(at &^ (pageSize - 1))
		if p.raw == nil {
			return false
		}
		done += copy(buf[done:], p.raw[at-p.base:])
	}
	return true
}
