//go:build linux && amd64

package session

import "github.com/go-delve/delve/pkg/proc"

// Symbols runs f with the debug information of the executable, whether a
// request is frozen or not. As in Inspect, one f at a time runs in the whole
// Engine, and f must keep nothing that it got from there.
func (s *Session) Symbols(f func(bi *proc.BinaryInfo) error) error {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.e.mu.Lock()
	ended := s.closed || s.e.state != engineArmed
	s.e.mu.Unlock()
	if ended {
		return ErrEnded
	}
	return f(s.e.bi)
}
