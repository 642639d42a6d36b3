//go:build linux && amd64

package session_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/session"
)

// watchable asks about an expression in the innermost frame of a frozen request.
func (r *rig) watchable(t *testing.T, id session.RequestID, expr string) (d session.Data, err error) {
	t.Helper()
	insp := r.s.Inspect(id, func(target *proc.Target) error {
		scope, e := proc.ThreadScope(target, target.CurrentThread())
		if e != nil {
			return e
		}
		d, err = r.s.Watchable(id, target, scope, expr)
		return nil
	})
	if insp != nil {
		t.Fatal(insp)
	}
	return d, err
}

// watch sets data breakpoints on expressions, which must be possible.
func (r *rig) watch(t *testing.T, id session.RequestID, want ...session.DataBreakpoint) []session.Breakpoint {
	t.Helper()
	for i := range want {
		d, err := r.watchable(t, id, want[i].Expr)
		if err != nil {
			t.Fatalf("%s: %v", want[i].Expr, err)
		}
		want[i].Data = d
	}
	got, err := r.s.SetDataBreakpoints(want)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range got {
		if !b.Verified {
			t.Fatalf("%s: %s", want[i].Expr, b.Message)
		}
	}
	return got
}

func on(expr string) session.DataBreakpoint {
	return session.DataBreakpoint{Data: session.Data{Expr: expr}}
}

// hit takes the next event, which must be a stop behind an access.
func (r *rig) hit(t *testing.T, id session.RequestID, bp int, says string) {
	t.Helper()
	ev := r.stopped(t, id, session.StopData)
	if len(ev.BreakpointIDs) != 1 || ev.BreakpointIDs[0] != bp || ev.Hit == nil || !strings.HasPrefix(ev.Hit.String(), says) {
		t.Fatalf("breakpoints %d, hit %v, want %d, %q", ev.BreakpointIDs, ev.Hit, bp, says)
	}
}

func (r *rig) goOn(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDataBreakpoints follows a handler's writes: at full speed, in functions
// that it calls, in what the runtime does for it, and while it is stepped.
func TestDataBreakpoints(t *testing.T) {
	r := attach(t, "account-open")
	req, re := r.request(t, "/account?owner=me")
	id := req.ID
	r.stopped(t, id, session.StopBreakpoint)

	t.Run("refusals", func(t *testing.T) {
		for expr, why := range map[string]string{
			"local":            "stack",
			"acc.Owner":        "its pointer, *(*uintptr)(0x",
			"*acc":             "one of its fields: acc.",
			"acc.Notes[\"a\"]": "map",
			"1 + 1":            "no variable",
			"nothing":          "could not find symbol",
		} {
			if d, err := r.watchable(t, id, expr); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %+v, %v, want an error with %q", expr, d, err, why)
			}
		}
	})
	var err error
	got := r.watch(t, id, on("acc.Balance"), on("acc.Closed"), on("main.payments"))
	balance, closed, payments := got[0].ID, got[1].ID, got[2].ID
	inHeap := on("acc.Balance")
	if inHeap.Data, err = r.watchable(t, id, "acc.Balance"); err != nil {
		t.Fatal(err)
	}
	more, err := r.s.SetFunctionBreakpoints([]session.FunctionBreakpoint{{Name: "main.deposit"}})
	if err != nil || !more[0].Verified {
		t.Errorf("with all registers taken: %+v, %v", more, err)
	}
	if _, err := r.s.SetFunctionBreakpoints(nil); err != nil {
		t.Fatal(err)
	}

	r.goOn(t, r.s.Continue(id))
	r.hit(t, id, balance, "acc.Balance changed from 100 to 120 in main.deposit memory.go:")
	r.goOn(t, r.s.StepOut(id))
	r.stopped(t, id, session.StopStep)
	r.goOn(t, r.s.Continue(id))
	r.hit(t, id, balance, "acc.Balance was written as it was, 120, in main.deposit memory.go:")
	r.goOn(t, r.s.Continue(id))
	r.hit(t, id, payments, "main.payments changed from ")
	r.goOn(t, r.s.Continue(id))
	r.hit(t, id, closed, "acc.Closed changed from false to true in main.accountPage memory.go:")
	r.goOn(t, r.s.Continue(id))
	r.exited(t, id)
	re.ok(t)

	// What was in the request's memory is over, the package variable is not.
	after, err := r.s.SetDataBreakpoints([]session.DataBreakpoint{inHeap})
	if err != nil || after[0].Verified || !strings.Contains(after[0].Message, "has ended") {
		t.Errorf("in memory of a request that is over: %+v, %v", after, err)
	}
}

// TestDataBreakpointInNextRequest: a package variable is watched in every
// request, with its condition and its count; memory of the heap in its own.
func TestDataBreakpointInNextRequest(t *testing.T) {
	r := attach(t, "account-open")
	req, _ := r.request(t, "/account")
	r.stopped(t, req.ID, session.StopBreakpoint)
	global := on("main.payments")
	global.When = session.When{HitCondition: "> 1"}
	got := r.watch(t, req.ID, on("acc.Balance"), global)
	r.setBreakpoints(t)
	if _, err := r.s.SetBreakpoints(marked(t, "account-open").file, nil); err != nil {
		t.Fatal(err)
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.hit(t, req.ID, got[0].ID, "acc.Balance changed from 100 to 120")
	for ended := false; !ended; {
		r.goOn(t, r.s.Continue(req.ID))
		switch ev := r.next(t); ev.Kind {
		case session.EventExited:
			ended = true
		case session.EventStopped:
			if ev.Hit == nil || ev.Hit.Expr != "acc.Balance" {
				t.Fatalf("stopped: %+v", ev)
			}
		default:
			t.Fatalf("event %+v", ev)
		}
	}
	ev := r.expect(t, session.EventBreakpoint)
	if b := ev.Breakpoint; b.ID != got[0].ID || b.Verified || !strings.Contains(b.Message, "has ended") {
		t.Fatalf("breakpoint %+v", b)
	}
	next, re := r.request(t, "/account")
	r.hit(t, next.ID, got[1].ID, "main.payments changed from ")
	r.goOn(t, r.s.Continue(next.ID))
	r.exited(t, next.ID)
	re.ok(t)
}

// TestDataBreakpointWhileStepping: writes on the way of a step, in functions
// that it runs over, in a copy that the runtime makes, and in front of a
// breakpoint.
func TestDataBreakpointWhileStepping(t *testing.T) {
	r := attach(t, "account-local")
	req, re := r.request(t, "/account")
	id := req.ID
	r.stopped(t, id, session.StopBreakpoint)
	got := r.watch(t, id, on("acc.Balance"), on("acc.Closed"), on("acc.Code"))
	r.goOn(t, r.s.Next(id))
	r.stopped(t, id, session.StopStep)
	r.at(t, id, "account-deposit")
	r.goOn(t, r.s.Next(id))
	r.hit(t, id, got[0].ID, "acc.Balance changed from 100 to 120 in main.deposit")

	ids := r.setBreakpoints(t, "account-code")
	for {
		r.goOn(t, r.s.Continue(id))
		if ev := r.next(t); ev.Reason == session.StopBreakpoint {
			if len(ev.BreakpointIDs) != 1 || ev.BreakpointIDs[0] != ids[0] {
				t.Fatalf("stopped: %+v", ev)
			}
			break
		}
	}
	r.goOn(t, r.s.Next(id))
	r.hit(t, id, got[2].ID, "acc.Code changed from 00 00 00 00 00 00 00 00 to 63 6f 64 65 2d 38 2d 2d in ")
	if fn, line := r.where(t, id); !strings.HasPrefix(fn, "main.") {
		t.Errorf("stopped in %s, line %d", fn, line)
	}
	r.goOn(t, r.s.StepOut(id))
	r.hit(t, id, got[1].ID, "acc.Closed changed from false to true in main.accountPage")
	r.goOn(t, r.s.Continue(id))
	r.exited(t, id)
	re.ok(t)
}

// TestWatchableAt: by address, as debuggers' memory views ask.
func TestWatchableAt(t *testing.T) {
	r := attach(t, "account-local")
	req, _ := r.request(t, "/account")
	r.stopped(t, req.ID, session.StopBreakpoint)
	d, err := r.watchable(t, req.ID, "acc.Balance")
	if err != nil || d.Request != req.ID || d.Size != 8 {
		t.Fatalf("%+v, %v", d, err)
	}
	err = r.s.Inspect(req.ID, func(target *proc.Target) error {
		for _, c := range []struct {
			addr uint64
			size int
			says string
		}{
			{d.Addr, 4, ""},
			{d.Addr + 1, 1, ""},
			{d.Addr + 1, 4, "no multiple"},
			{d.Addr, 3, "1, 2, 4 or 8"},
			{d.Addr, 16, "1, 2, 4 or 8"},
			{0x1000, 8, "not mapped"},
		} {
			_, err := r.s.WatchableAt(req.ID, target, session.Data{Addr: c.addr, Size: c.size})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%d bytes at %#x: %v, want %q", c.size, c.addr, err, c.says)
			}
		}
		_, err := r.s.WatchableAt(req.ID+100, target, session.Data{Addr: d.Addr, Size: 8})
		if !errors.Is(err, session.ErrNoRequest) {
			t.Errorf("of no request: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
}
