//go:build linux && amd64

package session

import (
	"runtime"
	"sync"
	"testing"
)

// TestBrainLockIsFair: who waits is next, however often the holder asks again.
func TestBrainLockIsFair(t *testing.T) {
	var l brainLock
	for round := range 200 {
		l.Lock()
		if l.wanted() {
			t.Fatal("wanted by nobody")
		}
		got := false
		var w sync.WaitGroup
		w.Go(func() {
			l.Lock()
			got = true
			l.Unlock()
		})
		for !l.wanted() {
			runtime.Gosched()
		}
		for l.next.TryLock() { // it is not in the queue yet
			l.next.Unlock()
			runtime.Gosched()
		}
		l.Unlock()
		l.Lock()
		if !got {
			t.Fatalf("round %d: the holder got it again while another waited", round)
		}
		l.Unlock()
		w.Wait()
	}
}
