package daptest_test

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// server is the other end: it answers requests as a test scripts it.
func server(t *testing.T, answer func(r dap.RequestMessage) []dap.Message) *daptest.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		r := bufio.NewReader(theirs)
		for {
			m, err := dap.ReadProtocolMessage(r)
			if err != nil {
				return
			}
			replies := answer(m.(dap.RequestMessage))
			if replies == nil {
				return
			}
			for _, reply := range replies {
				if dap.WriteProtocolMessage(theirs, reply) != nil {
					return
				}
			}
		}
	}()
	c := daptest.New(ours)
	t.Cleanup(func() { c.Close() })
	return c
}

func ok(r dap.RequestMessage) dap.Response {
	q := r.GetRequest()
	return dap.Response{
		ProtocolMessage: dap.ProtocolMessage{Type: "response"},
		RequestSeq:      q.Seq, Command: q.Command, Success: true,
	}
}

func stopped(thread int) dap.Message {
	return &dap.StoppedEvent{
		Event: dap.Event{ProtocolMessage: dap.ProtocolMessage{Type: "event"}, Event: "stopped"},
		Body:  dap.StoppedEventBody{Reason: "step", ThreadId: thread},
	}
}

// Events that come before the response, between others, or before anybody
// waits are all there, each once.
func TestEventsAreNeverLost(t *testing.T) {
	c := server(t, func(r dap.RequestMessage) []dap.Message {
		return []dap.Message{stopped(1), stopped(2), &dap.NextResponse{Response: ok(r)}, stopped(1)}
	})
	c.Timeout = 5 * time.Second
	if err := c.Next(1); err != nil {
		t.Fatal(err)
	}
	for _, thread := range []int{2, 1, 1} {
		s, err := c.WaitStopped(thread)
		if err != nil || s.ThreadId != thread {
			t.Fatalf("thread %d: %+v, %v", thread, s, err)
		}
	}
	c.Timeout = 10 * time.Millisecond
	if s, err := c.WaitStopped(daptest.AnyThread); !errors.Is(err, daptest.ErrTimeout) {
		t.Errorf("a fourth stop: %+v, %v", s, err)
	}
}

func TestErrors(t *testing.T) {
	c := server(t, func(r dap.RequestMessage) []dap.Message {
		switch r.GetRequest().Command {
		case "pause":
			resp := ok(r)
			resp.Success, resp.Message = false, "no"
			return []dap.Message{&dap.ErrorResponse{Response: resp,
				Body: dap.ErrorResponseBody{Error: &dap.ErrorMessage{Id: 42, Format: "cannot pause", ShowUser: true}}}}
		case "stepIn":
			return []dap.Message{stopped(9)} // no response
		case "continue":
			return []dap.Message{&dap.ContinueResponse{Response: ok(r), Body: dap.ContinueResponseBody{AllThreadsContinued: true}}}
		}
		return nil // hang up
	})
	c.Timeout = 50 * time.Millisecond

	var re *daptest.ResponseError
	if err := c.Pause(1); !errors.As(err, &re) || re.ID != 42 || re.Message != "cannot pause" || !re.Show {
		t.Errorf("error response: %v", err)
	}
	if err := c.StepIn(1); !errors.Is(err, daptest.ErrTimeout) {
		t.Errorf("no response: %v", err)
	}
	if err := c.Continue(1); err == nil {
		t.Error("a server that continues all threads goes unnoticed")
	}
	c.Timeout = 5 * time.Second
	if err := c.StepOut(1); !errors.Is(err, daptest.ErrClosed) {
		t.Errorf("hang-up: %v", err)
	}
	<-c.Done()
	if _, err := c.WaitEvent("terminated"); !errors.Is(err, daptest.ErrClosed) || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("waiting on a closed connection: %v (it should name the events at hand)", err)
	}
	if s, err := c.WaitStopped(9); err != nil || s.ThreadId != 9 {
		t.Errorf("an event that came before the end: %+v, %v", s, err)
	}
}

func TestSessionFailsOnAnUnverifiedBreakpoint(t *testing.T) {
	c := server(t, func(r dap.RequestMessage) []dap.Message {
		switch r.(type) {
		case *dap.InitializeRequest:
			return []dap.Message{&dap.InitializeResponse{Response: ok(r)}}
		case *dap.AttachRequest:
			return []dap.Message{&dap.AttachResponse{Response: ok(r)}, &dap.InitializedEvent{
				Event: dap.Event{ProtocolMessage: dap.ProtocolMessage{Type: "event"}, Event: "initialized"}}}
		case *dap.SetBreakpointsRequest:
			return []dap.Message{&dap.SetBreakpointsResponse{Response: ok(r), Body: dap.SetBreakpointsResponseBody{
				Breakpoints: []dap.Breakpoint{{Message: "no code there"}}}}}
		}
		return nil
	})
	if err := c.Session("/x/a.go", 3); err == nil || !strings.Contains(err.Error(), "no code there") {
		t.Errorf("got %v", err)
	}
}
