//go:build linux && amd64

package session

import (
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
)

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
