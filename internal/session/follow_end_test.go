//go:build linux && amd64

package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// frozenGoroutines has a request of which n goroutines are frozen at all-part.
func (r *rig) frozenGoroutines(t *testing.T, n int) ([]session.Request, *reply) {
	t.Helper()
	_, re := r.request(t, fmt.Sprintf("/all?n=%d", n))
	var list []session.Request
	for len(list) < n {
		list = append(list, r.firstStop(t, "all-part"))
	}
	return list, re
}

// TestFollowEnds: whatever ends the debugging of 20 frozen goroutines, their request
// is answered. The log has one line for all of them, and the audit is not asked here.
// The times are long enough for all 20 to stop before, with the race detector, too.
func TestFollowEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  session.Config
		end  func(*testing.T, *rig)
	}{
		{"the IDE disconnects", session.Config{}, func(t *testing.T, r *rig) {
			if err := r.s.Close(); err != nil {
				t.Fatal(err)
			}
		}},
		{"the agent closes", session.Config{}, func(t *testing.T, r *rig) {
			if err := r.Close("the operator says so"); err != nil {
				t.Fatal(err)
			}
			r.disarmed(t)
		}},
		{"the agent's time is over", session.Config{For: 15 * time.Second}, func(t *testing.T, r *rig) {
			r.ended(t, "expired after 15s")
			r.disarmed(t)
		}},
		{"they were held for too long", session.Config{MaxHold: 10 * time.Second}, func(t *testing.T, r *rig) {
			for strings.Count(r.log.String(), "thawed: it was held for 10s") < 20 {
				r.next(t)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRigOf(t, goroutinesDir)
			r.openWith(t, c.cfg)
			r.ide(t, "all-part")
			list, re := r.frozenGoroutines(t, 20)
			if status, err := get(others, r.url+"/all?n=20"); status != 200 {
				t.Errorf("another request meanwhile: %d, %v", status, err)
			}
			if !re.pending() {
				t.Fatal("the request was answered while its goroutines are frozen")
			}
			c.end(t, r)
			re.ok(t)
			if err := r.Close("end of the test"); err != nil {
				t.Error(err)
			}
			log := r.log.String()
			if n := strings.Count(log, " released after "); n > 2 || !strings.Contains(log, fmt.Sprintf("request %d", list[0].Root)) {
				t.Errorf("%d lines of the log tell of releases:\n%s", n, log)
			}
		})
	}
}

// TestFollowPanic: a goroutine panics while its siblings are frozen, and one starts a
// nil function. Both take the service down as they do without a debugger.
func TestFollowPanic(t *testing.T) {
	for _, path := range []string{"/dies?how=panic", "/dies?how=nil"} {
		t.Run(path[len("/dies?how="):], func(t *testing.T) {
			r := newRigOf(t, goroutinesDir)
			r.killed = true
			r.open(t, 10*time.Minute)
			r.ide(t, "dies-work")
			re := ask(allowed, r.url+path)
			if strings.HasSuffix(path, "panic") {
				for range 3 {
					r.firstStop(t, "dies-work")
				}
				if status, err := get(others, r.url+"/wish"); status != 200 {
					t.Logf("the wish: %d, %v", status, err) // the service may be gone before it answers
				}
			}
			select {
			case <-re.done:
			case <-time.After(patience):
				t.Fatal("the service has not died")
			}
			_ = r.cmd.Wait() // says how it ended, as the line below
			if code := r.cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("the service ended with %d, want 2", code)
			}
			r.ended(t, "has exited")
		})
	}
}

// TestFollowCancelled: the client goes away while a goroutine of its request is
// frozen, which works on when it is told to.
func TestFollowCancelled(t *testing.T) {
	r := newRigOf(t, goroutinesDir)
	r.open(t, 10*time.Minute)
	r.ide(t, "cancelled-child")
	re := ask(allowed, r.url+"/cancelled")
	child := r.firstStop(t, "cancelled-child")
	re.hangUp()
	<-re.done
	worked := make(chan string)
	go func() { worked <- answer(others, r.url+"/worked") }()
	select {
	case got := <-worked:
		t.Fatalf("it worked on while frozen: %s", got)
	case <-time.After(500 * time.Millisecond):
	}
	if err := r.s.Next(child.ID); err != nil {
		t.Fatal(err)
	}
	for ev := r.next(t); ev.Kind != session.EventStopped; ev = r.next(t) {
	}
	if err := r.s.Continue(child.ID); err != nil {
		t.Fatal(err)
	}
	if got := <-worked; got != "200 42\n<nil>" {
		t.Errorf("what it worked out: %q", got)
	}
}

// TestFollowData: a data breakpoint of a request is watched in its goroutines, too,
// which stop at their other breakpoints meanwhile.
func TestFollowData(t *testing.T) {
	r := newRigOf(t, goroutinesDir)
	r.open(t, 10*time.Minute)
	r.ide(t, "watched-begin", "watched-child")
	re := ask(allowed, r.url+"/watched")
	root := r.firstStop(t, "watched-begin")
	bp := r.watch(t, root.ID, on("s.by"))[0].ID
	r.goOn(t, r.s.Continue(root.ID))
	var hits []string
	lines := 0
	for exited := false; !exited; {
		switch ev := r.next(t); ev.Kind {
		case session.EventStopped:
			switch {
			case ev.Reason == session.StopData && len(ev.BreakpointIDs) == 1 && ev.BreakpointIDs[0] == bp:
				hits = append(hits, ev.Hit.New)
			case ev.Reason == session.StopBreakpoint && ev.Request.Root == root.ID:
				lines++
			default:
				t.Errorf("stopped: %+v", ev)
			}
			r.goOn(t, r.s.Continue(ev.Request.ID))
		case session.EventExited:
			exited = ev.Request.ID == root.ID
		}
	}
	re.ok(t)
	if len(hits) != 5 || hits[3] != "10" || hits[4] != "20" || lines != 4 {
		t.Errorf("hits %v, and %d stops at the line; want five and 4", hits, lines)
	}
}

// TestFollowOfTwoIDEs: two IDEs have a request each that fans out at the same time.
// Each sees its own goroutines, and the stall guard leaves both alone: what waits,
// waits for its own.
func TestFollowOfTwoIDEs(t *testing.T) {
	r := newRigOf(t, goroutinesDir)
	const n = 12
	r.openWith(t, session.Config{StallGuard: n / 2})
	one := r
	two := &rig{Engine: r.Engine, log: r.log, dir: r.dir}
	one.ide(t, "lock-held")
	two.ide(t, "lock-held")
	defer two.s.Close()
	one.s.SetWants(session.Wants{PathPrefix: "/lock"})
	two.s.SetWants(session.Wants{PathPrefix: "/locktoo"})
	a := ask(allowed, r.url+fmt.Sprintf("/lock?n=%d", n))
	b := ask(allowed, r.url+fmt.Sprintf("/locktoo?n=%d", n))
	first, second := one.firstStop(t, "lock-held"), two.firstStop(t, "lock-held")
	if first.Path != "/lock" || second.Path != "/locktoo" {
		t.Errorf("stopped: %+v and %+v", first, second)
	}
	quiet := time.After(3 * time.Second)
	for waiting := true; waiting; {
		select {
		case ev := <-one.s.Events():
			if ev.Kind == session.EventContinued || ev.Request.ID != 0 && ev.Request.Path != "/lock" {
				t.Fatalf("event %+v", ev)
			}
		case ev := <-two.s.Events():
			if ev.Kind == session.EventContinued || ev.Request.ID != 0 && ev.Request.Path != "/locktoo" {
				t.Fatalf("event %+v", ev)
			}
		case <-quiet:
			waiting = false
		}
	}
	if !a.pending() || !b.pending() {
		t.Fatal("a request was answered while its goroutine is frozen")
	}
	one.goOn(t, one.s.Continue(first.ID))
	a.ok(t)
	if !b.pending() {
		t.Fatal("the other IDE's went on, too")
	}
	two.goOn(t, two.s.Continue(second.ID))
	b.ok(t)
}

// TestUntouchedIsTold: a request that starts more goroutines than can be followed says
// so once for each reason, to its own IDE alone and to the log.
func TestUntouchedIsTold(t *testing.T) {
	for _, c := range []struct {
		name, path string
		names      []string // breakpoints
		noExtra    bool
		says       string
	}{
		{"more than the gate holds", "/busy?n=60", nil, false, "the gate holds 32 requests and goroutines at a time"},
		{"more than one goroutine may start", "/storm?n=3000", nil, false, "no more than the first 500 that one goroutine starts are followed"},
		{"no hardware breakpoint left", "/storm?n=3", []string{"all-part", "lock-held", "watched-begin", "watched-child"}, true, "all 4 hardware breakpoints of its thread are in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRigOf(t, goroutinesDir)
			r.openWith(t, session.Config{NoExtra: c.noExtra})
			r.ide(t, c.names...)
			idle, err := r.NewSession(access.Identity{Role: access.Mutate})
			if err != nil {
				t.Fatal(err)
			}
			defer idle.Close()
			re := ask(allowed, r.url+c.path)
			var told []string
			over, told1 := false, time.After(patience)
			for !over || len(told) == 0 {
				select {
				case ev := <-r.s.Events():
					if ev.Kind == session.EventOutput && strings.Contains(ev.Text, "run untouched") {
						told = append(told, ev.Text)
					}
				case ev := <-idle.Events():
					t.Fatalf("another IDE got %+v", ev)
				case <-re.done:
					over = true
					re.done = nil
				case <-told1:
					t.Fatalf("not told; log:\n%s", r.log)
				}
			}
			if n := len(slices.DeleteFunc(slices.Clone(told), func(s string) bool { return !strings.Contains(s, c.says) })); n != 1 {
				t.Errorf("told %d times, want once, of %q: %q", n, c.says, told)
			}
			for !strings.Contains(r.log.String(), c.says) { // it is logged behind the event
				select {
				case <-told1:
					t.Fatalf("not logged; log:\n%s", r.log)
				case <-time.After(time.Millisecond):
				}
			}
			if n := strings.Count(r.log.String(), c.says); n != 1 {
				t.Errorf("%d lines of the log have %q:\n%s", n, c.says, r.log)
			}
		})
	}
}
