//go:build linux && amd64

package session

import (
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
)

// TestFamilySumsUp: the log has one line for a request and its goroutines, and one for
// those that outlive it.
func TestFamilySumsUp(t *testing.T) {
	root := &request{id: 4, root: 4, name: "GET /fan"}
	for _, c := range []struct {
		name  string
		leave []RequestID // in this order, of 4 and its goroutines; -1: what follows begins only then
		want  []string
	}{
		{"alone", []RequestID{4}, []string{"request 4 released after"}},
		{"one goroutine", []RequestID{5, 4}, []string{"request 4 and its 1 goroutine released after"}},
		{"two", []RequestID{6, 5, 4}, []string{"request 4 and its 2 goroutines released after"}},
		{"some outlive it", []RequestID{5, 4, 6, 7}, []string{"request 4 and 1 goroutine released after", "2 goroutines are followed on", "request 4: 2 goroutines that had outlived it released after"}},
		{"all outlive it", []RequestID{4, 5}, []string{"request 4 released after", "1 goroutine is followed on", "request 4: 1 goroutine that had outlived it released after"}},
		{"a late one", []RequestID{4, -1, 5}, []string{"request 4 released after", "request 4: 1 goroutine that had outlived it released after"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &family{}
			f.enters(root)
			for _, id := range c.leave {
				if id == -1 {
					break
				}
				if id != 4 {
					f.enters(&request{id: id, root: 4})
				}
			}
			var lines []string
			late := false
			for _, id := range c.leave {
				switch {
				case id == -1:
					late = true
					continue
				case late:
					f.enters(&request{id: id, root: 4})
				}
				if line := f.leaves(&request{id: id, root: 4}, 0); line != "" {
					lines = append(lines, line)
				}
			}
			text := strings.Join(lines, "\n")
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in:\n%s", want, text)
				}
			}
			if len(lines) != strings.Count(strings.Join(c.want, "\n"), "released after") {
				t.Errorf("%d lines:\n%s", len(lines), text)
			}
		})
	}
}

// TestKinForgets: a request that runs for long is remembered however many have come
// and gone behind it, and no more are kept than maxKin.
func TestKinForgets(t *testing.T) {
	k := make(kin)
	long := board.Slot{Index: 1, Gen: 1}
	k.add(long, nil, Request{ID: 1})
	for id := RequestID(2); id < 3*maxKin; id++ {
		s := board.Slot{Index: 2, Gen: uint32(id)}
		k.add(s, nil, Request{ID: id, Root: 1})
		k.ended(s, 0)
		if len(k) > maxKin {
			t.Fatalf("%d are remembered", len(k))
		}
	}
	if _, ok := k[slotUse{1, 1}]; !ok {
		t.Error("the one that runs is forgotten")
	}
}
