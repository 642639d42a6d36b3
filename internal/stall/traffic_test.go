//go:build linux && amd64

package stall

import (
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
)

// service counts as the gate does (gate/passing.go). Its requests end when the
// test says so.
type service struct {
	t      *testing.T
	places [64]board.Epoch
	number uint32
	mask   uint8
	open   map[uint32]int // requests that have not ended, by the epoch they began in
	began  int            // since the start, to count every mask+1st of them
}

func (s *service) NumEpochs() int { return len(s.places) }

func (s *service) SetEpoch(number uint32, mask uint8) error {
	s.number, s.mask = number, mask
	return nil
}

func (s *service) ReadEpochs(dst []board.Epoch) ([]board.Epoch, error) {
	return append(dst[:0], s.places[:]...), nil
}

func (s *service) begin(n int) {
	for range n {
		if s.began++; s.began%(int(s.mask)+1) == 0 {
			s.places[s.number%64].Begun++
			s.open[s.number]++
		}
	}
}

// end ends all requests that began at least age epochs ago.
func (s *service) end(age uint32) {
	for number, n := range s.open {
		if s.number-number >= age {
			if s.number-number < 64 {
				s.places[number%64].Ended += uint32(n)
			}
			delete(s.open, number)
		}
	}
}

// epochs lets time pass: in each epoch n requests begin, each takes age epochs.
func (s *service) epochs(tr *Traffic, count, n int, age uint32, frozen bool) {
	s.t.Helper()
	for range count {
		if err := tr.Tick(frozen); err != nil {
			s.t.Fatal(err)
		}
		s.begin(n)
		s.end(age)
	}
}

func TestSlow(t *testing.T) {
	const never = 1 << 30
	for _, c := range []struct {
		name          string
		before, n     int    // epochs before the freeze, requests in each
		usual         uint32 // how many epochs a request takes then
		after, nAfter int    // the same since the freeze
		age           uint32
		want          bool
		evidence      string
		threshold     int // 0: the default
	}{
		{name: "as before", before: 100, n: 20, usual: 0, after: 100, nAfter: 20, age: 0},
		{name: "nothing ends any more", before: 100, n: 20, usual: 0, after: 12, nAfter: 20, age: never, want: true,
			evidence: "take longer than a second since the stop, 0 % did before"},
		{name: "a quiet service, all stuck", before: 100, n: 5, usual: 0, after: 20, nAfter: 5, age: never, want: true},
		{name: "few, but all are stuck", before: 100, n: 1, usual: 0, after: 30, nAfter: 1, age: never, want: true},
		{name: "a quarter is quick as ever", before: 100, n: 4, usual: 0, after: 12, nAfter: 4, age: 3},
		{name: "slower, but under a second", before: 100, n: 20, usual: 0, after: 100, nAfter: 20, age: 3},
		{name: "all have always taken long", before: 100, n: 20, usual: 10, after: 100, nAfter: 20, age: 10},
		{name: "streams that never end are usual", before: 100, n: 20, usual: never, after: 100, nAfter: 20, age: never},
		{name: "busy, as before", before: 100, n: 20000, usual: 0, after: 100, nAfter: 20000, age: 0},
		{name: "busy and stuck", before: 100, n: 20000, usual: 0, after: 12, nAfter: 60, age: never, want: true},
		{name: "attached a moment ago, nothing known", before: 1, n: 20, usual: 0, after: 12, nAfter: 20, age: never, want: true},
		{name: "high threshold", before: 100, n: 20, usual: 0, after: 12, nAfter: 20, age: never, threshold: 1000},
		{name: "no traffic at all", before: 100, after: 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &service{t: t, open: make(map[uint32]int)}
			tr := NewTraffic(s)
			s.epochs(tr, c.before, c.n, c.usual, false)
			if c.threshold == 0 {
				c.threshold = Default
			}
			w := tr.Watch(c.threshold)
			evidence := ""
			for range c.after {
				s.epochs(tr, 1, c.nAfter, c.age, true)
				if evidence = w.Look(); evidence != "" {
					break
				}
				if again := w.Look(); again != "" {
					t.Fatalf("a second look at the same epoch says %q", again)
				}
			}
			if (evidence != "") != c.want || !strings.Contains(evidence, c.evidence) {
				t.Errorf("evidence %q, want some: %v, with %q", evidence, c.want, c.evidence)
			}
		})
	}
}

// TestSlowBesideLongPolls: where many requests always take long, the quick ones
// tell. Half of 20 in each epoch are polls of five seconds.
func TestSlowBesideLongPolls(t *testing.T) {
	for name, stuck := range map[string]bool{"as before": false, "the quick ones are stuck": true} {
		t.Run(name, func(t *testing.T) {
			s := &service{t: t, open: make(map[uint32]int)}
			tr := NewTraffic(s)
			epochs := func(count int, frozen bool, each func() bool) {
				for range count {
					if err := tr.Tick(frozen); err != nil {
						t.Fatal(err)
					}
					s.begin(20)
					if !frozen || !stuck { // the quick half ends at once
						s.places[s.number%64].Ended += 10
						s.open[s.number] -= 10
					}
					if !frozen || !stuck {
						s.end(20)
					}
					if each() {
						return
					}
				}
			}
			epochs(150, false, func() bool { return false })
			w, evidence := tr.Watch(Default), ""
			epochs(40, true, func() bool { evidence = w.Look(); return evidence != "" })
			if (evidence != "") != stuck {
				t.Errorf("evidence %q", evidence)
			}
		})
	}
}

// TestTrafficThinsOut: a busy service counts a share, and all while one of its
// requests is frozen.
func TestTrafficThinsOut(t *testing.T) {
	s := &service{t: t, open: make(map[uint32]int)}
	tr := NewTraffic(s)
	for _, c := range []struct {
		n      int
		frozen bool
		mask   uint8
	}{{20, false, 0}, {5000, false, thinMask}, {5000, true, 0}, {5000, false, thinMask}, {300, false, thinMask}, {20, false, 0}} {
		s.epochs(tr, 3, c.n, 0, c.frozen)
		if s.mask != c.mask {
			t.Errorf("%d requests an epoch, frozen %v: mask %d, want %d", c.n, c.frozen, s.mask, c.mask)
		}
	}
}

func TestTrafficOfAnOldGate(t *testing.T) {
	if NewTraffic(old{}) != nil {
		t.Error("a gate that does not count is watched")
	}
}

type old struct{ Counter }

func (old) NumEpochs() int { return 0 }
