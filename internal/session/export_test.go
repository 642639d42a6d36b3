//go:build linux && amd64

package session

import "time"

// HoldAhead keeps searches ahead from beginning until release is called: what is
// known then is what looks have found themselves.
func (e *Engine) HoldAhead() (release func()) {
	e.ahead.Lock()
	return e.ahead.Unlock
}

// WantBrain makes it look as if somebody waited for Delve all the time, until stop
// is called.
func (e *Engine) WantBrain() (stop func()) {
	e.brain.waiting.Add(1)
	return func() { e.brain.waiting.Add(-1) }
}

// Searched says whether a search for secrets has begun at the stop of a request,
// and whether it is done.
func (s *Session) Searched(id RequestID) (begun, done bool) {
	s.withSearch(id, func(r *request) {
		begun, done = r.search != nil, r.search != nil && r.search.Done()
	})
	return begun, done
}

// AgeSearch makes the search at the stop of a request old. again tells whether
// there was another one since.
func (s *Session) AgeSearch(id RequestID) (again func() bool) {
	var old *stopSearch
	s.withSearch(id, func(r *request) {
		old = r.search
		old.began = old.began.Add(-time.Minute)
	})
	return func() (other bool) {
		s.withSearch(id, func(r *request) { other = r.search != old })
		return other
	}
}

func (s *Session) withSearch(id RequestID, f func(r *request)) {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.e.mu.Lock()
	r := s.e.requests[id]
	s.e.mu.Unlock()
	f(r)
}
