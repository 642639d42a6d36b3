//go:build linux && amd64

package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/session"
)

// TestStallGuardLeavesItsOwn freezes one of 30 goroutines of a request while the
// others and the request wait for it: nobody else suffers, and the guard leaves it.
// When others need the same lock it does not.
func TestStallGuardLeavesItsOwn(t *testing.T) {
	r := newRigOf(t, goroutinesDir)
	r.openWith(t, session.Config{MaxHold: 5 * time.Minute})
	r.ide(t, "counter-held")
	root, re := r.request(t, "/counter?n=40")
	child := r.firstStop(t, "counter-held")
	if child.Root != root.ID {
		t.Fatalf("stopped: %+v, want a goroutine of request %d", child, root.ID)
	}
	// 16 looks of the guard; three are enough for it.
	quiet := time.After(4 * time.Second)
	for waiting := true; waiting; {
		select {
		case ev := <-r.s.Events():
			if ev.Kind == session.EventContinued {
				t.Fatalf("the guard let it go: %s", ev.Text)
			}
		case <-quiet:
			waiting = false
		}
	}
	if !re.pending() {
		t.Fatal("the request was answered while its goroutine is frozen")
	}

	const many = 40
	statuses := make(chan int, many)
	for range many {
		go func() {
			status, _ := getContext(context.Background(), others, r.url+"/counter?n=0") // 0 with an error
			statuses <- status
		}()
	}
	for {
		ev := r.next(t)
		if ev.Kind == session.EventContinued {
			if !ev.Guard || ev.Request.ID != child.ID || !strings.Contains(ev.Text, "40 goroutines wait for sync.Mutex.Lock") && !strings.Contains(ev.Text, "requests take longer") {
				t.Errorf("let go of: %+v", ev)
			}
			break
		}
	}
	for range many {
		if status := <-statuses; status != 200 {
			t.Errorf("one that needs the lock: %d", status)
		}
	}
	re.ok(t)
}

// firstStop waits for a stop at a mark; other events do not matter.
func (r *rig) firstStop(t *testing.T, name string) session.Request {
	t.Helper()
	for {
		if ev := r.next(t); ev.Kind == session.EventStopped {
			r.at(t, ev.Request.ID, name)
			return ev.Request
		}
	}
}
