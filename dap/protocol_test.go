//go:build linux && amd64

package dap_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// wire reads messages as they are, to see order and keys that a client that

// decodes them hides.

// read returns the next message; nil at the end of the connection.

// serveWire is serve without a client of daptest on the other end.

// Every message that is no good request has exactly one error response, and the

// connection goes on.

func TestStates(t *testing.T) {
	b := serve(t, newFake(), dap.Config{})
	if e := failure(t, b.Attach(nil)); e.ID != 1005 {
		t.Errorf("attach before initialize: %v", e)
	}
	if _, err := b.Threads(); failure(t, err).ID != 1005 {
		t.Errorf("threads before attach: %v", err)
	}
	_, err := b.Initialize()
	must(t, err)
	_, err = b.Do("launch", map[string]any{"mode": "debug", "program": "/x"})
	if e := failure(t, err); e.ID != 1101 || !e.Show || !strings.Contains(e.Message, "attach") {
		t.Errorf("launch: %+v", e)
	}
	if e := failure(t, b.Attach(map[string]any{"mode": "replay"})); e.ID != 1102 {
		t.Errorf("mode replay: %+v", e)
	}
	must(t, b.Attach(map[string]any{"mode": "local", "processId": 1}))
	must(t, b.ConfigurationDone())
	if e := failure(t, b.ConfigurationDone()); e.ID != 1005 {
		t.Errorf("second configurationDone: %+v", e)
	}
	threads, err := b.Threads()
	if err != nil || len(threads) != 0 {
		t.Errorf("threads: %v, %v", threads, err)
	}
}

func TestBusyAndOtherAttachErrors(t *testing.T) {
	for _, tt := range []struct {
		err error
		id  int
	}{{session.ErrBusy, 1104}, {session.ErrEnded, 1105}, {errors.New("remotedbg: board: gone"), 1103}} {
		b := serve(t, newFake(), dap.Config{NewSession: func(access.Identity) (dap.Session, error) { return nil, tt.err }})
		_, err := b.Initialize()
		must(t, err)
		if e := failure(t, b.Attach(nil)); e.ID != tt.id || strings.Contains(e.Message, "remotedbg: board") {
			t.Errorf("%v: %+v", tt.err, e)
		}
		must(t, b.Disconnect())
	}
}

func TestThreadsAndEvents(t *testing.T) {
	fake := newFake()
	fake.requests = []session.Request{aRequest(3), aRequest(8)}
	b := attached(t, fake)
	threads, err := b.Threads()
	must(t, err)
	if len(threads) != 2 || threads[0].Id != 3 || threads[0].Name != "GET /orders/7 from 203.0.113.7" {
		t.Errorf("threads: %+v", threads)
	}
	fake.events <- session.Event{Kind: session.EventStarted, Request: aRequest(3)}
	fake.events <- session.Event{Kind: session.EventStopped, Request: aRequest(3), Reason: session.StopBreakpoint, BreakpointIDs: []int{2}}
	fake.events <- session.Event{Kind: session.EventContinued, Request: aRequest(3), Text: "hold budget used up"}
	fake.events <- session.Event{Kind: session.EventExited, Request: aRequest(3)}
	fake.events <- session.Event{Kind: session.EventOutput, Text: "hello"}
	fake.events <- session.Event{Kind: session.EventBreakpoint, Breakpoint: session.Breakpoint{ID: 2, File: "/src/a.go", Line: 4, Message: "no slot"}}

	_, err = b.WaitThread("started", 3)
	must(t, err)
	stop, err := b.WaitStopped(daptest.AnyThread)
	must(t, err)
	if stop.ThreadId != 3 || stop.AllThreadsStopped || stop.Reason != "breakpoint" ||
		len(stop.HitBreakpointIds) != 1 || stop.HitBreakpointIds[0] != 2 || stop.Description == "" || stop.Text == "" {
		t.Errorf("stopped: %+v", stop)
	}
	_, err = b.WaitOutput("hold budget used up")
	must(t, err)
	ev, err := b.WaitEvent("continued")
	must(t, err)
	if c := ev.(*godap.ContinuedEvent).Body; c.ThreadId != 3 || c.AllThreadsContinued {
		t.Errorf("continued: %+v", c)
	}
	_, err = b.WaitThread("exited", 3)
	must(t, err)
	line, err := b.WaitOutput("hello")
	must(t, err)
	if line != "hello\n" {
		t.Errorf("output %q", line)
	}
	ev, err = b.WaitEvent("breakpoint")
	must(t, err)
	if bp := ev.(*godap.BreakpointEvent).Body; bp.Reason != "changed" || bp.Breakpoint.Id != 2 || bp.Breakpoint.Verified ||
		bp.Breakpoint.Source.Path != "/src/a.go" || bp.Breakpoint.Message != "no slot" {
		t.Errorf("breakpoint: %+v", bp)
	}
}

func TestStepping(t *testing.T) {
	fake := newFake()
	b := attached(t, fake)
	for _, tt := range []struct {
		method string
		do     func(int) error
	}{
		{"Continue", b.Continue}, {"Next", b.Next}, {"StepIn", b.StepIn}, {"StepOut", b.StepOut}, {"Pause", b.Pause},
	} {
		must(t, tt.do(4))
		if tt.method != "Pause" && !fake.called(tt.method+" 4") {
			t.Errorf("%s did not reach the session: %v", tt.method, fake.calls)
		}
		for err, id := range map[error]int{
			session.ErrNoRequest: 1201, session.ErrRunning: 1202, session.ErrFrozen: 1203, session.ErrEnded: 1105,
		} {
			fake.fail[tt.method] = fmt.Errorf("engine: %w", err)
			if e := failure(t, tt.do(4)); e.ID != id {
				t.Errorf("%s, %v: %+v", tt.method, err, e)
			}
		}
		delete(fake.fail, tt.method)
	}
}

func TestPanicIsOneErrorAndAnOutputLine(t *testing.T) {
	fake := newFake()
	fake.requests = []session.Request{aRequest(1)}
	fake.panicIn = "Next"
	b := attached(t, fake)
	e := failure(t, b.Next(1))
	if e.ID != 1006 || !strings.Contains(e.Message, "scripted panic") {
		t.Errorf("%+v", e)
	}
	_, err := b.WaitOutput("internal error in next")
	must(t, err)
	must(t, b.Continue(1))
	must(t, b.Disconnect())
}
