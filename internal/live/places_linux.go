//go:build linux && amd64

package live

import "sync"

// places counts the probes that are armed in a process, by address, for all of its
// threads. Safe to call from any goroutine.
type places struct {
	mu sync.Mutex
	n  map[uint64]int
}

func (s *places) add(addrs []uint64, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = make(map[uint64]int)
	}
	for _, a := range addrs {
		if s.n[a] += by; s.n[a] == 0 {
			delete(s.n, a)
		}
	}
}

func (s *places) has(addr uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[addr] > 0
}
