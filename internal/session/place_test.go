//go:build linux && amd64

package session_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/session"
)

// TestPlaces: breakpoints that are set one by one, trace points among them, and
// what can be read of the service with nothing stopped.
func TestPlaces(t *testing.T) {
	r := attach(t)
	loaded := marked(t, "order-loaded")
	line, err := r.s.SetPlace("line", &session.Place{File: loaded.file, Line: loaded.line})
	if err != nil || !line.Verified || line.Line != loaded.line {
		t.Fatalf("by line: %+v, %v", line, err)
	}
	var captured atomic.Int32
	fn, err := r.s.SetPlace("function", &session.Place{
		Function: "main.(*service).Price",
		Capture:  func(_ session.RequestID, t *proc.Target) { captured.Add(1) },
	})
	if err != nil || !fn.Verified {
		t.Fatalf("by function: %+v, %v", fn, err)
	}
	for name, p := range map[string]*session.Place{
		"no such file":     {File: "/nowhere.go", Line: 1},
		"no such function": {Function: "main.nothing"},
		"no address":       {},
		"not in a text":    {Addrs: []uint64{1}},
	} {
		if b, err := r.s.SetPlace("bad", p); err != nil || b.Verified || b.Message == "" {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	if _, err := r.s.SetPlace("bad", nil); err != nil {
		t.Error(err)
	}

	req, re := r.request(t, "/orders/7")
	r.stopped(t, req.ID, session.StopBreakpoint)
	if p, ok := r.s.Placed(line.ID); !ok || p.Hits != 1 || len(p.ByGoroutine) != 1 || p.Function != "main.(*api).order" || len(p.Addrs) == 0 {
		t.Errorf("placed: %+v, %v", p, ok)
	}
	if _, err := r.s.SetPlace("line", nil); err != nil {
		t.Error(err)
	}
	if _, ok := r.s.Placed(line.ID); ok {
		t.Error("it is still placed")
	}
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	re.ok(t) // past the trace point
	if p, _ := r.s.Placed(fn.ID); captured.Load() != 1 || p.Hits != 1 {
		t.Errorf("captured %d, %+v", captured.Load(), p)
	}

	reader := r.s.Reader()
	err = reader.Goroutine(1, func(target *proc.Target, g *proc.G) error {
		if frames, err := proc.GoroutineStacktrace(target, g, 20, 0); err != nil || len(frames) < 3 {
			t.Errorf("goroutine 1: %v, %v", frames, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := reader.Goroutine(1<<40, func(*proc.Target, *proc.G) error { return nil }); err == nil || errors.Is(err, session.ErrEnded) {
		t.Errorf("a goroutine that is not there: %v", err)
	}
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reader.Look(func(*proc.Target) error { return nil }); !errors.Is(err, session.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}
