//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
)

// TestDeal: a thread has four hardware breakpoints.
func TestDeal(t *testing.T) {
	type want struct {
		verified bool
		says     string
	}
	ok := want{verified: true}
	for _, c := range []struct {
		name  string
		addrs [][]uint64 // of each breakpoint; nil: it has none
		want  []want
	}{
		{"none", nil, nil},
		{"four fit", [][]uint64{{1}, {2}, {3}, {4}}, []want{ok, ok, ok, ok}},
		{"the fifth does not", [][]uint64{{1}, {2}, {3}, {4}, {5}},
			[]want{ok, ok, ok, ok, {says: "needs 1 of the 4 hardware breakpoints of a thread, and 0 are free"}}},
		{"an inlined one needs several", [][]uint64{{1, 2, 3}, {4}}, []want{ok, ok}},
		{"all or nothing", [][]uint64{{1, 2, 3}, {4, 5}, {6}},
			[]want{ok, {says: "needs 2 of the 4 hardware breakpoints of a thread, and 1 are free"}, ok}},
		{"more than there are", [][]uint64{{1, 2, 3, 4, 5}}, []want{{says: "needs 5 of the 4"}}},
		{"a shared address counts once", [][]uint64{{1, 2, 3, 4}, {2}, {4, 3}, {5}},
			[]want{ok, ok, ok, {says: "needs 1 of the 4"}}},
		{"one without code takes none", [][]uint64{nil, {1}, {2}, {3}, {4}},
			[]want{{says: "no code"}, ok, ok, ok, ok}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Session{}
			for i, addrs := range c.addrs {
				b := &userBreakpoint{addrs: slices.Clone(addrs)}
				// As left over from an earlier deal.
				b.pub = Breakpoint{ID: 10 + i, Verified: i%2 == 0, Message: "old"}
				if addrs == nil {
					b.err = errors.New("no code")
				}
				s.breakpoints = append(s.breakpoints, b)
			}
			s.deal()
			var armed []uint64
			for i, b := range s.breakpoints {
				w := c.want[i]
				if b.pub.Verified != w.verified || w.verified && b.pub.Message != "" || !strings.Contains(b.pub.Message, w.says) {
					t.Errorf("breakpoint %d: verified %t, %q, want %+v", i, b.pub.Verified, b.pub.Message, w)
				}
				if b.pub.ID != 10+i {
					t.Errorf("breakpoint %d has got the id %d", i, b.pub.ID)
				}
				if !slices.Equal(b.addrs, c.addrs[i]) {
					t.Errorf("breakpoint %d has the addresses %d now", i, b.addrs)
				}
				if w.verified {
					armed = append(armed, c.addrs[i]...)
				}
			}
			slices.Sort(armed)
			if got := s.addresses(); !slices.Equal(got, slices.Compact(armed)) || len(got) > 4 {
				t.Errorf("addresses = %d, want %d", got, slices.Compact(armed))
			}
			if n := len(s.verified()); n != countVerified(s) || len(s.breakpoints) != len(c.addrs) {
				t.Errorf("%d verified, %d kept", n, len(s.breakpoints))
			}
		})
	}
}

func countVerified(s *Session) (n int) {
	for _, b := range s.breakpoints {
		if b.pub.Verified {
			n++
		}
	}
	return n
}

func TestBoardRules(t *testing.T) {
	prefix := netip.MustParsePrefix("203.0.113.0/24")
	key := board.NewTokenKey()
	got := boardRules([]Rule{
		{Prefix: prefix},
		{Prefix: prefix, Method: "GET", PathPrefix: "/orders/", HeaderName: "X-Debug", HeaderValue: "yes"},
	}, key)
	want := []board.Rule{
		{Prefix: prefix, Token: key},
		{Prefix: prefix, Method: "GET", Path: "/orders/", Header: "X-Debug", Val: "yes", Token: key},
	}
	if !slices.Equal(got, want) {
		t.Errorf("boardRules = %+v, want %+v", got, want)
	}
	if rules := boardRules(nil, board.TokenKey{}); len(rules) != 0 {
		t.Errorf("no rule became %+v", rules)
	}
}

func TestRequestName(t *testing.T) {
	for client, want := range map[string]string{
		"203.0.113.7": "GET /orders/7 from 203.0.113.7",
		"2001:db8::1": "GET /orders/7 from 2001:db8::1",
	} {
		r := Request{ID: 3, Method: "GET", Path: "/orders/7", Client: netip.MustParseAddr(client)}
		if got := r.Name(); got != want {
			t.Errorf("Name = %q, want %q", got, want)
		}
	}
}

// TestOutcomeGone: of all that can go wrong with a movement, which means that
// there is nothing left to move.
func TestOutcomeGone(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("could not evaluate the condition"), false},
		{exitedError(), true},
		{fmt.Errorf("step: %w", exitedError()), true},
		{detachedError(), true},
	} {
		if got := (outcome{err: c.err}).gone(); got != c.want {
			t.Errorf("%v: gone is %t", c.err, got)
		}
	}
}
