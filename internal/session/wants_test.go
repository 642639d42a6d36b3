//go:build linux && amd64

package session

import (
	"net/netip"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"

	"github.com/remotedbg/remotedbg/internal/access"
)

func TestSessionFor(t *testing.T) {
	alice, bob := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("203.0.113.8")
	host, network := netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.0/24")
	order := board.Description{Method: "GET", Path: "/orders/7"}
	for _, c := range []struct {
		name   string
		wants  []Wants
		flight []int // requests in flight of each
		from   netip.Addr
		d      board.Description
		best   int // -1: nobody
	}{
		{"nobody is there", nil, nil, alice, order, -1},
		{"the only one", []Wants{{}}, []int{3}, alice, order, 0},
		{"the only one does not want it", []Wants{{PathPrefix: "/cart"}}, []int{0}, alice, order, -1},
		{"by method", []Wants{{Method: "POST"}, {Method: "GET"}}, []int{0, 9}, alice, order, 1},
		{"by client", []Wants{{Client: host}, {Client: network}}, []int{0, 0}, bob, order, 1},
		{"the narrower prefix", []Wants{{Client: network}, {Client: host}, {}}, []int{0, 9, 0}, alice, order, 1},
		{"a prefix before a path", []Wants{{Client: network}, {PathPrefix: "/orders/7"}}, []int{0, 0}, alice, order, 0},
		{"the longer path", []Wants{{PathPrefix: "/orders/7"}, {PathPrefix: "/orders"}}, []int{5, 0}, alice, order, 0},
		{"a path before a method", []Wants{{Method: "GET"}, {PathPrefix: "/"}}, []int{0, 0}, alice, order, 1},
		{"equals: fewest in flight", []Wants{{}, {}, {}}, []int{2, 1, 2}, alice, order, 1},
		{"equals: the last one", []Wants{{}, {}, {}}, []int{1, 1, 1}, alice, order, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Engine{requests: make(map[RequestID]*request)}
			for i, w := range c.wants {
				s := &Session{e: e, started: true, wants: w}
				e.sessions = append(e.sessions, s)
				for range c.flight[i] {
					e.lastID++
					e.requests[e.lastID] = &request{session: s}
				}
			}
			got := e.sessionFor(c.d, c.from)
			if c.best < 0 && got != nil || c.best >= 0 && got != e.sessions[c.best] {
				t.Errorf("not session %d", c.best)
			}
			for _, s := range e.sessions {
				s.started = false
			}
			if e.sessionFor(c.d, c.from) != nil {
				t.Error("one that has not started takes it")
			}
		})
	}
}

func TestSessionsAreCounted(t *testing.T) {
	e := &Engine{requests: make(map[RequestID]*request), changed: make(chan struct{})}
	var open []*Session
	for range maxSessions {
		s, err := e.NewSession(access.Identity{Role: access.Mutate})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	if _, err := e.NewSession(access.Identity{Role: access.Mutate}); err != ErrBusy {
		t.Errorf("one more: %v", err)
	}
	for _, s := range open {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if s, err := e.NewSession(access.Identity{Role: access.Mutate}); err != nil || len(e.sessions) != 1 {
		t.Errorf("afterwards: %v, %d sessions", err, len(e.sessions))
	} else {
		s.Close()
	}
}
