//go:build linux && amd64

package dap_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/session"
	"github.com/remotedbg/remotedbg/internal/stall"
)

// setStatus changes what the fake tells of itself.
func (f *fakeSession) setStatus(change func(st *session.Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.status)
}

func TestStatus(t *testing.T) {
	fake := newFake()
	until := time.Now().Add(5*time.Minute + 1500*time.Millisecond)
	fake.status = session.Status{
		PID: 4711, Armed: true, Until: until, Rules: []string{"203.0.113.7/32 GET /orders"},
		Taken: 3, Stopped: 2, Passed: 1, Matched: 9, MaxHold: 5 * time.Minute, MaxFrozen: 2, Slots: 8, StallGuard: -1,
	}
	b := attached(t, fake)
	var armed struct {
		Until       time.Time
		ExpiresInMs int64
		Rules       []string
	}
	must(t, b.WaitCustom("remotedbg/armed", &armed))
	if !armed.Until.Equal(until) || armed.ExpiresInMs < 290_000 || len(armed.Rules) != 1 {
		t.Errorf("armed: %+v", armed)
	}

	var status struct {
		Version, PID int
		Armed        bool
		ExpiresInMs  int64
		Requests     map[string]int
		Budgets      map[string]int
		Versions     map[string]string
	}
	must(t, b.Custom("remotedbg/status", nil, &status))
	if status.Version != 1 || status.PID != 4711 || !status.Armed || status.ExpiresInMs <= 0 ||
		status.Requests["taken"] != 3 || status.Requests["stopped"] != 2 || status.Requests["matched"] != 9 ||
		status.Budgets["maxHoldMs"] != 300_000 || status.Budgets["stallGuard"] != 0 || status.Versions["go"] == "" {
		t.Errorf("status: %+v", status)
	}

	// The five minutes come by themselves; the last one when the end moves.
	var expiring struct{ ExpiresInMs int64 }
	must(t, b.WaitCustom("remotedbg/expiring", &expiring))
	if expiring.ExpiresInMs > 300_000 || expiring.ExpiresInMs < 200_000 {
		t.Errorf("the first warning: %+v", expiring)
	}
	fake.setStatus(func(st *session.Status) { st.Until = time.Now().Add(30 * time.Second); st.Full = 4 })
	must(t, b.WaitCustom("remotedbg/expiring", &expiring))
	if expiring.ExpiresInMs > 30_000 {
		t.Errorf("the second warning: %+v", expiring)
	}
	var passed struct {
		More     int
		Requests map[string]int
	}
	must(t, b.WaitCustom("remotedbg/passed", &passed))
	if passed.More != 4 || passed.Requests["full"] != 4 || passed.Requests["passed"] != 1 {
		t.Errorf("passed: %+v", passed)
	}

	fake.events <- session.Event{Kind: session.EventContinued, Request: aRequest(1), Text: "it held up others", Guard: true}
	var guard struct {
		ThreadID int
		Reason   string
	}
	must(t, b.WaitCustom("remotedbg/stallGuard", &guard))
	if guard.ThreadID != 1 || guard.Reason != "it held up others" {
		t.Errorf("stallGuard: %+v", guard)
	}
}

// TestRequestScope: the second scope tells of the request, and survives what it
// cannot find out.
func TestRequestScope(t *testing.T) {
	b, _ := frozenAt(t, "shown", "-gcflags=all=-N -l")
	b.fake.details = session.Details{
		Request: aRequest(1), Rule: "203.0.113.7/32 /orders", FrozenFor: 2 * time.Second, ReleasedIn: time.Minute,
		Goroutines: []stall.Goroutine{{ID: 9, Parent: 1, State: "waiting", Reason: "chan receive", Addr: 0x1000}},
	}
	frames, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	scopes, err := b.Scopes(frames[0].Id)
	must(t, err)
	rows, err := b.Children(scopes[1].VariablesReference)
	must(t, err)
	for name, want := range map[string]string{
		"method": "GET", "path": "/orders/7", "client": "203.0.113.7", "rule": "203.0.113.7/32 /orders",
		"frozen for": "2s", "goes on by itself in": "1m0s",
		"http.Request":     "POST http://shop.example/orders HTTP/1.1",
		"client chosen":    "it is the remote end of the connection",
		"other goroutines": "1, read while they run",
	} {
		if v := b.row(t, rows, name); !strings.HasPrefix(v.Value, want) {
			t.Errorf("%s = %s, want %s", name, v.Value, want)
		}
	}
	others := b.open(t, rows["other goroutines"])
	if v := b.row(t, others, "goroutine 9"); v.Value != "waiting (chan receive), started by goroutine 1" {
		t.Errorf("a goroutine that cannot be read: %+v", v)
	}
	b.fake.details.GoroutinesErr = errors.New("no list")
	rows, err = b.Children(scopes[1].VariablesReference)
	must(t, err)
	if v := rows["other goroutines"]; v.Value != "(unknown: no list)" {
		t.Errorf("goroutines: %+v", v)
	}
}
