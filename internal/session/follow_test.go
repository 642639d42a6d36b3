//go:build linux && amd64

package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/session"
)

// TestFollow: the goroutines that a request starts stop at its breakpoints, each
// by itself and all at the same time, and no other request does.
func TestFollow(t *testing.T) {
	r := newRig(t, "-gc", "50ms")
	r.open(t, 10*time.Minute)
	for _, how := range []string{"gate", "go", "closure", "worker", "chain"} {
		t.Run(how, func(t *testing.T) { r.fanOut(t, how) })
		if t.Failed() {
			break
		}
	}
}

// fanOut has a request start 20 goroutines, three of which meet the breakpoint.
func (r *rig) fanOut(t *testing.T, how string) {
	r.newIDE(t, "fan-part", "fan-total")
	root, re := r.request(t, "/fan?n=20&how="+how)
	stopped := make(map[session.RequestID]session.Request)
	gone := 0
	// Three stop, the others come and go, in any order. A worker does one job
	// after the other.
	together := 3
	if how == "worker" {
		together = 1
	}
	settled := func() bool { return len(stopped) == together && (how == "worker" || gone == 17) }
	for !settled() {
		switch ev := r.next(t); ev.Kind {
		case session.EventStarted:
			if ev.Request.Root != root.ID || !strings.HasPrefix(ev.Request.Name(), "go main.") || ev.Request.Path != root.Path {
				t.Fatalf("started %+v", ev.Request)
			}
		case session.EventStopped:
			r.at(t, ev.Request.ID, "fan-part")
			stopped[ev.Request.ID] = ev.Request
		case session.EventExited:
			gone++
		default:
			t.Fatalf("event %+v", ev)
		}
	}
	for range 20 {
		if how == "worker" {
			break // the others wait for the one worker, which is stopped
		}
		if status, err := get(others, r.url+"/fan?n=20&how="+how); status != 200 {
			t.Fatalf("another request meanwhile: %d, %v", status, err)
		}
	}
	for id, req := range stopped {
		if cents := r.eval(t, id, "cents"); !slices.Contains([]string{"103", "110", "117"}, cents) {
			t.Errorf("%s is stopped with cents = %q", req.Name(), cents)
		}
		if err := r.s.Continue(id); err != nil {
			t.Fatal(err)
		}
	}
	for {
		ev := r.next(t)
		if ev.Kind != session.EventStopped {
			continue
		}
		if ev.Request.ID == root.ID {
			break
		}
		if err := r.s.Continue(ev.Request.ID); err != nil { // of the worker's next jobs
			t.Fatal(err)
		}
	}
	r.at(t, root.ID, "fan-total")
	if got := r.eval(t, root.ID, "total"); got != "2156" {
		t.Errorf("total %s", got)
	}
	if err := r.s.Continue(root.ID); err != nil {
		t.Fatal(err)
	}
	<-re.done
	if re.status != 200 {
		t.Errorf("status %d, %v", re.status, re.err)
	}
}
