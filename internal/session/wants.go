//go:build linux && amd64

package session

import (
	"net/netip"
	"strings"

	"github.com/remotedbg/remotedbg/internal/board"
)

// Wants says which requests a session takes, of those that the agent's allow
// rules admit. The zero Wants takes all. It narrows and never widens.
//
// A request that several sessions want goes to the one that asks most narrowly
// (a client's prefix before a path before a method); of equals to the one with
// fewest requests in flight, and then to the one that attached last: that an
// earlier one's connection has died may not have been noticed yet.
type Wants struct {
	Client     netip.Prefix // of the client address; the zero Prefix: any
	PathPrefix string
	Method     string
}

func (w Wants) admit(d board.Description, client netip.Addr) bool {
	return (!w.Client.IsValid() || w.Client.Contains(client)) &&
		strings.HasPrefix(d.Path, w.PathPrefix) &&
		(w.Method == "" || w.Method == d.Method)
}

// narrower says whether w asks more narrowly than v.
func (w Wants) narrower(v Wants) bool {
	bits := func(p netip.Prefix) int {
		if !p.IsValid() {
			return -1
		}
		return p.Bits()
	}
	switch {
	case bits(w.Client) != bits(v.Client):
		return bits(w.Client) > bits(v.Client)
	case len(w.PathPrefix) != len(v.PathPrefix):
		return len(w.PathPrefix) > len(v.PathPrefix)
	}
	return w.Method != "" && v.Method == ""
}

// sessionFor finds the session that takes a request; nil if none wants it.
// Called under Engine.mu.
func (e *Engine) sessionFor(d board.Description, client netip.Addr) *Session {
	inFlight := make(map[*Session]int, len(e.sessions))
	for _, r := range e.requests {
		inFlight[r.session]++
	}
	var best *Session
	for _, s := range e.sessions {
		switch {
		case !s.started, !s.wants.admit(d, client):
		case best == nil, s.wants.narrower(best.wants),
			!best.wants.narrower(s.wants) && inFlight[s] <= inFlight[best]:
			best = s
		}
	}
	return best
}
