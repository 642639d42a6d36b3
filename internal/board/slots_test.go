//go:build linux && amd64

package board_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
)

// awaitState waits until a slot is in a state, and returns it.
func (s *service) awaitState(t *testing.T, want board.State) (found board.Slot) {
	t.Helper()
	var slots []board.Slot
	var buf []byte
	eventually(t, fmt.Sprintf("a slot in state %d", want), func() bool {
		var err error
		if slots, err = s.ReadSlots(slots, &buf); err != nil {
			t.Fatal(err)
		}
		for _, slot := range slots {
			if slot.State == want {
				found = slot
				return true
			}
		}
		return false
	})
	return found
}

// trap sends a gated request until one is seen on the board: on a busy machine
// the 100 ms of an offer can go by unseen. response waits for its status.
func (s *service) trap(t *testing.T, path string) (slot board.Slot, response func() int) {
	t.Helper()
	var status int
	var err error
	var seen atomic.Bool
	wait := inBackground(func() {
		for {
			if status, err = get(allowed, s.url+path); seen.Load() || err != nil {
				return
			}
		}
	})
	t.Cleanup(wait)
	response = func() int {
		wait()
		if err != nil {
			t.Error(err)
		}
		return status
	}
	slot = s.awaitState(t, board.StateOffered)
	seen.Store(true)
	return slot, response
}

// accept sends a gated request and accepts it.
func (s *service) accept(t *testing.T, path string) (slot board.Slot, response func() int) {
	t.Helper()
	slot, response = s.trap(t, path)
	if err := s.Answer(slot.Index, slot.Gen, true); err != nil {
		t.Fatal(err)
	}
	s.wake(slot)
	return slot, response
}

func TestLifeOfASlot(t *testing.T) {
	s := newService(t)
	s.arm(t, time.Minute, allowedRule)
	offered, response := s.accept(t, "/slow?ms=50")

	want := board.Description{Method: "GET", Path: "/slow", Client: allowed}
	if got, err := s.Describe(offered.Index); got != want || err != nil {
		t.Errorf("Describe = %+v, %v", got, err)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", s.pid, offered.TID)); err != nil {
		t.Errorf("the offer's thread: %v", err)
	}
	running := s.awaitState(t, board.StateRunning)
	if running.Index != offered.Index || running.Gen != offered.Gen || running.TID != offered.TID {
		t.Errorf("running %+v, offered %+v", running, offered)
	}
	if want := offered.Gen<<1 | 1; running.Answer != want {
		t.Errorf("answer %d, want %d", running.Answer, want)
	}
	if running.Freed == offered.Gen || running.Held {
		t.Errorf("%+v is freed or held", running)
	}
	s.checkHeld(t, running.Index)

	done := s.awaitState(t, board.StateDone)
	if done.Gen != offered.Gen {
		t.Errorf("done %+v, offered %+v", done, offered)
	}
	if err := s.SetFreed(done.Index, done.Gen); err != nil {
		t.Fatal(err)
	}
	s.wake(done)
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	checkSlotsFree(t, s.Board)

	again, response := s.accept(t, "/healthz")
	if again.Gen != offered.Gen+1 && again.Index == offered.Index {
		t.Errorf("generation %d after %d", again.Gen, offered.Gen)
	}
	done = s.awaitState(t, board.StateDone)
	if err := s.SetFreed(done.Index, done.Gen); err != nil {
		t.Fatal(err)
	}
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

// checkHeld sets the held word of a slot and clears it. Nothing in the service
// looks at it outside the wait function.
func (s *service) checkHeld(t *testing.T, i int) {
	t.Helper()
	for _, held := range []bool{true, false} {
		if err := s.SetHeld(i, held); err != nil {
			t.Fatal(err)
		}
		if slot, err := s.ReadSlot(i); slot.Held != held || err != nil {
			t.Errorf("after SetHeld(%t): %+v, %v", held, slot, err)
		}
	}
}

// TestAbandoned: an agent that does not let go of a thread in time costs the
// request that time and nothing else.
func TestAbandoned(t *testing.T) {
	s := newService(t)
	s.arm(t, time.Minute, allowedRule)
	_, response := s.accept(t, "/orders/7")
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	s.awaitState(t, board.StateAbandoned)
}

// TestDescribeWhatAClientSends: the texts end up in the terminal of an operator.
func TestDescribeWhatAClientSends(t *testing.T) {
	s := newService(t)
	s.arm(t, time.Minute, allowedRule)
	long := "/nowhere" + strings.Repeat("/é", 200)
	for _, c := range []struct {
		name, path string
		ok         func(described string) bool
	}{
		{"longer than the board holds", long,
			func(d string) bool { return len(d) >= 250 && len(d) <= 256 && strings.HasPrefix(long, d) }},
		{"control characters", "/nowhere%1b%5B31m%0a",
			func(d string) bool { return d == "/nowhere?[31m?" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			slot, response := s.trap(t, c.path)
			d, err := s.Describe(slot.Index)
			if err != nil || !c.ok(d.Path) {
				t.Errorf("path of %d bytes, %v: %q", len(d.Path), err, d.Path)
			}
			if err := s.Answer(slot.Index, slot.Gen, false); err != nil {
				t.Fatal(err)
			}
			s.wake(slot)
			if status := response(); status != http.StatusNotFound {
				t.Errorf("status %d", status)
			}
		})
	}
}
