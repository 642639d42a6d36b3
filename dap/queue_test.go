//go:build linux && amd64

package dap_test

import (
	"testing"
	"time"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/internal/session"
)

// TestQueueStops: a second stop is shown when the first request continues or
// goes, not when it steps, and one that goes on by itself is never shown.
func TestQueueStops(t *testing.T) {
	for name, how := range map[string]struct {
		cfg    dap.Config
		attach map[string]any
	}{
		"asked by the client": {dap.Config{}, map[string]any{"queueStops": true}},
		"asked by the agent":  {dap.Config{QueueStops: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			b := serve(t, fake, how.cfg)
			_, err := b.Initialize()
			must(t, err)
			must(t, b.Attach(how.attach))
			stop := func(id int) {
				fake.events <- session.Event{Kind: session.EventStopped, Request: aRequest(id), Reason: session.StopBreakpoint}
			}
			shown := func(id int) {
				t.Helper()
				got, err := b.WaitStopped(daptest.AnyThread)
				must(t, err)
				if got.ThreadId != id {
					t.Fatalf("shown %d, want %d", got.ThreadId, id)
				}
			}
			waits := func() {
				t.Helper()
				_, err := b.WaitOutput("is stopped as well")
				must(t, err)
			}
			stop(1)
			shown(1)
			for _, id := range []int{2, 3, 4, 5} {
				stop(id)
				waits()
			}
			must(t, b.Next(1)) // a step of the one that is looked at
			stop(1)
			shown(1)
			must(t, b.Continue(1))
			shown(2)
			fake.events <- session.Event{Kind: session.EventContinued, Request: aRequest(3), Text: "too long"} // waiting
			fake.events <- session.Event{Kind: session.EventContinued, Request: aRequest(2), Text: "too long"} // shown
			shown(4)
			fake.events <- session.Event{Kind: session.EventExited, Request: aRequest(4)}
			shown(5)
			must(t, b.Continue(5))
			stop(6)
			shown(6)
			select {
			case <-time.After(50 * time.Millisecond): // no other comes
			case <-b.Done():
				t.Fatal("the connection ended")
			}
			if left := b.Events(); len(stops(left)) > 0 {
				t.Errorf("also shown: %v", stops(left))
			}
		})
	}
}

// stops are the stopped events in a list.
func stops(events []godap.EventMessage) (threads []int) {
	for _, ev := range events {
		if stop, ok := ev.(*godap.StoppedEvent); ok {
			threads = append(threads, stop.Body.ThreadId)
		}
	}
	return threads
}
