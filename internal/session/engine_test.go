//go:build linux && amd64

package session_test

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// TestSessions runs what leaves the engine as it found it on one, since loading
// the symbols takes longer than all of it: in the order in which they are
// written, and each with an IDE of its own.
func TestSessions(t *testing.T) {
	r := newRig(t, "-gc", "50ms")
	r.open(t, 10*time.Minute)
	for _, c := range []struct {
		name string
		test func(*testing.T, *rig)
	}{
		{"nobody wants requests", nobodyWants},
		{"break, inspect, step, continue", breakInspectStepContinue},
		{"steps through levels", stepsThroughLevels},
		{"stop on entry", stopOnEntry},
		{"pause of what is blocked", pauseOfWhatIsBlocked},
		{"two requests", twoRequests},
		{"breakpoints", breakpoints},
		{"one IDE at a time", oneAfterTheOther},
		{"many IDEs, one after the other", forgotten},
		{"close right after continue", closeRightAfterContinue},
		{"other agents and other processes", openRefuses},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, r) })
		if t.Failed() {
			break // an IDE may be left in the middle of something
		}
	}
}

func breakInspectStepContinue(t *testing.T, r *rig) {
	r.newIDE(t, "order-loaded")
	req, re := r.request(t, "/orders/7")
	if req.Method != "GET" || req.Path != "/orders/7" || req.Client != netip.MustParseAddr(allowed) || time.Since(req.Since) > patience {
		t.Errorf("request %+v", req)
	}
	ev := r.stopped(t, req.ID, session.StopBreakpoint)
	if len(ev.BreakpointIDs) != 1 {
		t.Errorf("stopped at breakpoints %v, want one", ev.BreakpointIDs)
	}
	r.at(t, req.ID, "order-loaded")
	if list := r.s.Requests(); len(list) != 1 || list[0] != ev.Request {
		t.Errorf("Requests = %+v, want %+v", list, ev.Request)
	}
	if got := r.eval(t, req.ID, "order.Customer.Name"); got != "Edsger" {
		t.Errorf("order.Customer.Name = %q", got)
	}
	if err := r.s.Pause(req.ID); !errors.Is(err, session.ErrFrozen) {
		t.Errorf("Pause of a frozen request: %v", err)
	}
	if status, err := get(others, r.url+"/orders/3"); status != 200 || err != nil {
		t.Errorf("another request meanwhile: %d, %v", status, err)
	}

	if err := r.s.Next(req.ID); err != nil {
		t.Fatal(err)
	}
	r.stopped(t, req.ID, session.StopStep)
	if fn, line := r.where(t, req.ID); line != marked(t, "order-loaded").line+1 {
		t.Errorf("next led to line %d of %s", line, fn)
	}
	if !re.pending() {
		t.Fatal("the request was answered while frozen")
	}
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
	if err := r.s.Continue(req.ID); !errors.Is(err, session.ErrNoRequest) {
		t.Errorf("Continue of a request that is over: %v", err)
	}
	if list := r.s.Requests(); len(list) != 0 {
		t.Errorf("Requests = %+v", list)
	}
}

// eval evaluates an expression in the innermost frame of a frozen request.
func (r *rig) eval(t *testing.T, id session.RequestID, expr string) string {
	t.Helper()
	var text string
	err := r.s.Inspect(id, func(target *proc.Target) error {
		scope, err := proc.ThreadScope(target, target.CurrentThread())
		if err != nil {
			return err
		}
		v, err := scope.EvalExpression(expr, proc.LoadConfig{FollowPointers: true, MaxStringLen: 64})
		if err == nil && v.Value != nil {
			text = strings.Trim(v.Value.String(), `"`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// stepsThroughLevels: in, over and out again.
func stepsThroughLevels(t *testing.T, r *rig) {
	r.newIDE(t, "steps-call1")
	req, re := r.request(t, "/steps")
	r.stopped(t, req.ID, session.StopBreakpoint)
	for _, step := range []struct {
		name string
		do   func(session.RequestID) error
		at   string // a mark, or for a step out, which may end in the middle of a line, the function
	}{
		{"in", r.s.StepIn, "steps-level1"},
		{"over", r.s.Next, "steps-call2"},
		{"in", r.s.StepIn, "steps-level2"},
		{"over", r.s.Next, "steps-call3"},
		{"over what blocks", r.s.Next, "steps-level2-end"},
		{"out", r.s.StepOut, "main.stepLevel1"},
		{"out", r.s.StepOut, "main.(*api).steps"},
	} {
		// An optimised line may be come to more than once.
		for tries := 0; ; tries++ {
			if err := step.do(req.ID); err != nil {
				t.Fatal(err)
			}
			r.stopped(t, req.ID, session.StopStep)
			fn, line := r.where(t, req.ID)
			if fn == step.at || step.name != "out" && line == marked(t, step.at).line {
				break
			}
			if tries == 4 || step.name == "out" {
				t.Fatalf("step %s led to line %d of %s, want //bp:%s", step.name, line, fn, step.at)
			}
		}
	}
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
}

func stopOnEntry(t *testing.T, r *rig) {
	r.newIDE(t)
	r.s.SetStopOnEntry(true)
	req, re := r.request(t, "/orders/7")
	r.stopped(t, req.ID, session.StopEntry)
	if fn, line := r.where(t, req.ID); fn != "main.(*api).order" || line < marked(t, "order-entry").line-1 || line > marked(t, "order-entry").line {
		t.Errorf("entered %s on line %d", fn, line)
	}
	r.s.SetStopOnEntry(false)
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
	req, re = r.request(t, "/orders/7")
	r.exited(t, req.ID)
	re.ok(t)
}

// pauseOfWhatIsBlocked: it stops when it comes back to the user's code, in
// the first life of a target and in the second.
func pauseOfWhatIsBlocked(t *testing.T, r *rig) {
	r.newIDE(t)
	for range 2 {
		req, re := r.request(t, "/slow?ms=2000")
		if err := r.s.Inspect(req.ID, func(*proc.Target) error { return nil }); !errors.Is(err, session.ErrRunning) {
			t.Errorf("Inspect of a running request: %v", err)
		}
		if err := r.s.Next(req.ID); !errors.Is(err, session.ErrRunning) {
			t.Errorf("Next of a running request: %v", err)
		}
		if err := r.s.Pause(req.ID); err != nil {
			t.Fatal(err)
		}
		r.stopped(t, req.ID, session.StopPause)
		if fn, _ := r.where(t, req.ID); !strings.HasPrefix(fn, "main.(*api).slow") {
			t.Errorf("paused in %s", fn)
		}
		if err := r.s.Continue(req.ID); err != nil {
			t.Fatal(err)
		}
		r.exited(t, req.ID)
		re.ok(t)
	}
}

// twoRequests: each stands and steps by itself.
func twoRequests(t *testing.T, r *rig) {
	r.newIDE(t, "order-loaded")
	first, re1 := r.request(t, "/orders/7")
	r.stopped(t, first.ID, session.StopBreakpoint)
	second, re2 := r.request(t, "/orders/8")
	r.stopped(t, second.ID, session.StopBreakpoint)
	if first.ID == second.ID {
		t.Fatal("both requests have one id")
	}
	for range 2 {
		if err := r.s.Next(second.ID); err != nil {
			t.Fatal(err)
		}
		r.stopped(t, second.ID, session.StopStep)
	}
	r.at(t, first.ID, "order-loaded")
	r.at(t, second.ID, "order-price")
	for id, want := range map[session.RequestID]string{first.ID: "7", second.ID: "8"} {
		if got := r.eval(t, id, "order.ID"); got != want {
			t.Errorf("request %d has order %s, want %s", id, got, want)
		}
	}
	if list := r.s.Requests(); len(list) != 2 || list[0].ID != first.ID || list[1].ID != second.ID {
		t.Errorf("Requests = %+v, want both, oldest first", list)
	}
	for id, re := range map[session.RequestID]*reply{first.ID: re1, second.ID: re2} {
		if err := r.s.Continue(id); err != nil {
			t.Fatal(err)
		}
		r.exited(t, id)
		re.ok(t)
	}
}

func breakpoints(t *testing.T, r *rig) {
	r.newIDE(t)
	handlers, store := marked(t, "order-loaded").file, marked(t, "repo-find").file
	line := func(name string) session.SourceBreakpoint {
		return session.SourceBreakpoint{Line: marked(t, name).line}
	}
	set := func(file string, want ...session.SourceBreakpoint) []session.Breakpoint {
		t.Helper()
		got, err := r.s.SetBreakpoints(file, want)
		if err != nil || len(got) != len(want) {
			t.Fatalf("SetBreakpoints = %+v, %v, want %d", got, err, len(want))
		}
		return got
	}

	got := set(handlers, session.SourceBreakpoint{Line: 1}, line("order-loaded"), session.SourceBreakpoint{Line: 100_000})
	if got[0].Verified || got[2].Verified || got[0].Message == "" || got[2].Message == "" || !got[1].Verified {
		t.Errorf("breakpoints on lines with and without code: %+v", got)
	}
	missing := set("/nowhere/main.go", session.SourceBreakpoint{Line: 3})
	if missing[0].Verified || !strings.Contains(missing[0].Message, "substitutePath") {
		t.Errorf("a breakpoint in an unknown file: %+v", missing[0])
	}

	// More than the hardware holds.
	four := set(handlers, line("order-entry"), line("order-loaded"), line("order-price"), line("order-priced"))
	if four[1].ID != got[1].ID {
		t.Errorf("the breakpoint that stayed has id %d now, it had %d", four[1].ID, got[1].ID)
	}
	fifth := set(store, line("repo-find"))[0]
	if !fifth.Verified {
		t.Errorf("the fifth breakpoint: %+v", fifth)
	}
	set(handlers, line("order-loaded"))

	// Set and removed while a request stands.
	req, re := r.request(t, "/orders/7")
	ev := r.stopped(t, req.ID, session.StopBreakpoint)
	if !slices.Equal(ev.BreakpointIDs, []int{fifth.ID}) {
		t.Errorf("stopped at %v, want %d", ev.BreakpointIDs, fifth.ID)
	}
	set(store)
	priced := set(handlers, line("order-priced"))[0]
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	ev = r.stopped(t, req.ID, session.StopBreakpoint)
	if !slices.Equal(ev.BreakpointIDs, []int{priced.ID}) {
		t.Errorf("stopped at %v, want %d", ev.BreakpointIDs, priced.ID)
	}
	r.at(t, req.ID, "order-priced")
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
	if !slices.Contains(r.s.Sources(), handlers) {
		t.Errorf("%s is not among the sources", handlers)
	}
}

// oneAfterTheOther: the next IDE starts from nothing.
func oneAfterTheOther(t *testing.T, r *rig) {
	r.newIDE(t, "order-loaded")
	req, re := r.request(t, "/orders/7")
	r.stopped(t, req.ID, session.StopBreakpoint)
	old := r.s
	if err := old.Close(); err != nil { // while frozen
		t.Fatal(err)
	}
	re.ok(t)
	for range old.Events() { // closed, with or without the rest
	}
	if err := old.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if err := old.Continue(req.ID); !errors.Is(err, session.ErrEnded) {
		t.Errorf("Continue after Close: %v", err)
	}
	if _, err := old.SetBreakpoints("a.go", nil); !errors.Is(err, session.ErrEnded) {
		t.Errorf("SetBreakpoints after Close: %v", err)
	}

	r.ide(t)
	old.Start() // too late
	req2, re := r.request(t, "/orders/7")
	if req2.ID == req.ID {
		t.Error("an id was used twice")
	}
	r.exited(t, req2.ID)
	re.ok(t)
}

// forgotten: an agent that many IDEs visit keeps nothing of those that have left.
func forgotten(t *testing.T, r *rig) {
	left := make([]weak.Pointer[session.Session], 3)
	for i := range left {
		r.newIDE(t, "order-loaded")
		req, re := r.request(t, "/orders/7")
		r.stopped(t, req.ID, session.StopBreakpoint)
		left[i] = weak.Make(r.s)
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
		re.ok(t)
	}
	r.newIDE(t, "order-loaded")
	left = left[:2] // the last one may still be held by what the next stop replaces
	kept := func(p weak.Pointer[session.Session]) bool { return p.Value() != nil }
	for deadline := time.Now().Add(patience); slices.ContainsFunc(left, kept); runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("sessions of IDEs that have left are kept")
		}
	}
}

// nobodyWants: without an IDE, or before it is ready, requests run on.
func nobodyWants(t *testing.T, r *rig) {
	if r.s != nil {
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ask(allowed, r.url+"/orders/7").ok(t)
	s, err := r.NewSession(access.Identity{Role: access.Mutate})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	r.setBreakpoints(t, "order-loaded")
	ask(allowed, r.url+"/orders/7").ok(t)
	s.Start()
	ask(others, r.url+"/orders/7").ok(t)
	req, re := r.request(t, "/orders/7")
	r.stopped(t, req.ID, session.StopBreakpoint)
	if err := s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
}
