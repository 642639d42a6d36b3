package taint

import (
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
// what is handed out is what was looked through.
type Memory struct {
	raw   proc.MemoryReadWriter
	guard *Guard
	pages map[uint64]*page
}

// page is a page and what is around it, as it was when it was read.
type page struct {
	raw    []byte // nil: it cannot be read
	masked []byte // nil: not looked through yet
	known  int    // of secrets, when it was
}

// NewMemory makes one that hides nothing until it is given a guard.
func NewMemory(raw proc.MemoryReadWriter) *Memory {
	return &Memory{raw: raw, pages: make(map[uint64]*page)}
}

// Use makes g's redaction that of the memory; nil: none.
func (m *Memory) Use(g *Guard) {
	if m.guard != g {
		m.guard = g
		m.Forget()
	}
}

// Guard is the one in use.
func (m *Memory) Guard() *Guard { return m.guard }

// Forget makes the next read of each page one of the service.
func (m *Memory) Forget() {
	if len(m.pages) > 0 {
		m.pages = make(map[uint64]*page)
	}
}

// maxPages bounds what is kept.
const maxPages = 4096

// ReadMemory implements proc.MemoryReader.
func (m *Memory) ReadMemory(buf []byte, addr uint64) (int, error) {
	if m.guard == nil {
		return m.raw.ReadMemory(buf, addr)
	}
	if len(m.pages) > maxPages {
		m.Forget()
	}
	pages := m.pages
	for done := 0; done < len(buf); {
		at := addr + uint64(done)
		base := at &^ (pageSize - 1)
		p := m.page(pages, base)
		if p.raw == nil {
			// The error is the kernel's to give.
			n, err := m.raw.ReadMemory(buf[done:done+1], at)
			if err != nil {
				return done, err
			}
			_ = n // it was mapped just now
			delete(pages, base)
			if p = m.page(pages, base); p.raw == nil {
				return done, ErrSealed
			}
		}
		done += copy(buf[done:], m.mask(pages, base, p)[at-base:])
	}
	return len(buf), nil
}

// page reads one.
func (m *Memory) page(pages map[uint64]*page, base uint64) *page {
	p := pages[base]
	if p == nil {
		p = &page{raw: make([]byte, pageSize)}
		if _, err := m.raw.ReadMemory(p.raw, base); err != nil {
			p.raw = nil
		}
		pages[base] = p
	}
	return p
}

// mask is a page without its secrets.
func (m *Memory) mask(pages map[uint64]*page, base uint64, p *page) []byte {
	known := m.guard.shared.Secrets.Generation()
	if p.masked != nil && p.known == known {
		return p.masked
	}
	window, at := m.window(pages, base, p)
	p.masked, p.known = p.raw, known
	fill := func(s redact.Span) {
		from, to := max(s.Start-at, 0), min(s.End-at, pageSize)
		if from >= to {
			return
		}
		if &p.masked[0] == &p.raw[0] {
			p.masked = append([]byte(nil), p.raw...)
		}
		for i := from; i < to; i++ {
			p.masked[i] = redact.Fill(base + uint64(i))
		}
	}
	for _, s := range m.guard.shared.Secrets.Find(window, m.guard.policy.Lifted()) {
		fill(s)
	}
	for _, s := range m.guard.policy.Find(window) {
		fill(s)
	}
	return p.masked
}

// window is a page with what is around it; at is where the page begins in it.
func (m *Memory) window(pages map[uint64]*page, base uint64, p *page) (window []byte, at int) {
	var before, after []byte
	for len(before) < maxText {
		q := m.page(pages, base-uint64(pageSize)*(1+uint64(len(before))/pageSize))
		if q.raw == nil {
			break
		}
		if run := textTail(q.raw); run < pageSize {
			before = append(append([]byte(nil), q.raw[pageSize-max(run, margin):]...), before...)
			break
		}
		before = append(append([]byte(nil), q.raw...), before...)
	}
	for len(after) < maxText {
		q := m.page(pages, base+uint64(pageSize)*(1+uint64(len(after))/pageSize))
		if q.raw == nil {
			break
		}
		if run := textHead(q.raw); run < pageSize {
			after = append(after, q.raw[:max(run, margin)]...)
			break
		}
		after = append(after, q.raw...)
	}
	window = make([]byte, 0, len(before)+pageSize+len(after))
	window = append(append(append(window, before...), p.raw...), after...)
	return window, len(before)
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
	m.guard = nil
	defer func() { m.guard = g }()
	f()
}

// read fills buf from the snapshot, without a mask.
func (m *Memory) read(buf []byte, addr uint64) bool {
	for done := 0; done < len(buf); {
		at := addr + uint64(done)
		base := at &^ (pageSize - 1)
		p := m.page(m.pages, base)
		if p.raw == nil {
			return false
		}
		done += copy(buf[done:], p.raw[at-base:])
	}
	return true
}
