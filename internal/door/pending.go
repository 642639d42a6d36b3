//go:build linux

package door

import (
	"net"
	"slices"
	"sync"
)

// pending are the connections that have proved nothing yet, or said nothing. When
// there is one too many, the source that has most of them loses its oldest: whoever
// opens a thousand closes their own, and a client from elsewhere, or one that speaks
// at once, still gets in.
type pending struct {
	mu    sync.Mutex
	conns []*waiting // the oldest first
}

type waiting struct {
	nc     net.Conn
	source string
}

func newPending() *pending { return new(pending) }

// enter adds a connection; leave takes it off again.
func (p *pending) enter(nc net.Conn, source string) *waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= maxPending {
		p.evict()
	}
	w := &waiting{nc, source}
	p.conns = append(p.conns, w)
	return w
}

func (p *pending) leave(w *waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(other *waiting) bool { return other == w })
}

// evict closes the oldest connection of the source that has most. Called under mu.
func (p *pending) evict() {
	count := make(map[string]int)
	most := 0
	for _, w := range p.conns {
		count[w.source]++
		most = max(most, count[w.source])
	}
	for i, w := range p.conns {
		if count[w.source] == most {
			w.nc.Close()
			p.conns = slices.Delete(p.conns, i, i+1)
			return
		}
	}
}
