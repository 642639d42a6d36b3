//go:build linux && amd64

package adaptertest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware"
)

// testDeadlines has handlers that take longer than the server's write timeout,
// as one does that is frozen: trapped it is answered, untouched it is not.
func testDeadlines(t *testing.T, f Framework) {
	const timeout = 100 * time.Millisecond
	slow := func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(3 * timeout)
		io.WriteString(w, "late")
	}
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			agent := gatetest.Arm(t, loopback)
			c := tr.serve(t, f.Build(Setup{Handler: slow, Gate: new(gate.Gate)}), timeout)
			got := ""
			inTime(t, agent, func() { got = record(c.srv.Client().Get(c.url())) })
			if !strings.Contains(got, "200 OK") || !strings.Contains(got, "late") {
				t.Errorf("trapped: the client saw:\n%s", got)
			}
			agent.SetAnswer(gatetest.Decline)
			if got := record(c.srv.Client().Get(c.url())); strings.Contains(got, "late") {
				t.Errorf("untouched, after the write timeout, the client saw:\n%s", got)
			}
		})
	}
}

// testTimeoutHandler shows what http.TimeoutHandler, which runs its handler in a
// goroutine of its own, does to both orders.
func testTimeoutHandler(t *testing.T, f Framework) {
	answer := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "done") }
	for _, order := range []struct {
		name   string
		build  func(http.HandlerFunc) http.Handler
		offers int
		// handler tells that the last thread offered is the handler's; if not,
		// no breakpoint in it is ever reached.
		handler bool
	}{
		{"gate inside", func(h http.HandlerFunc) http.Handler {
			return http.TimeoutHandler(f.Build(Setup{Handler: h, Gate: new(gate.Gate)}), time.Minute, "")
		}, 1, true},
		{"gate outside", func(h http.HandlerFunc) http.Handler {
			return middleware.New(new(gate.Gate))(http.TimeoutHandler(f.Build(Setup{Handler: h, Bare: true}), time.Minute, ""))
		}, 1, false},
		{"gates on both sides", func(h http.HandlerFunc) http.Handler {
			inner := f.Build(Setup{Handler: h, Gate: new(gate.Gate)})
			return middleware.New(new(gate.Gate))(http.TimeoutHandler(inner, time.Minute, ""))
		}, 2, true},
	} {
		t.Run(order.name, func(t *testing.T) {
			agent := gatetest.Arm(t, loopback)
			seen := new(threads)
			c := transports[0].serve(t, order.build(seen.note(answer)), 0)
			var offers []gatetest.Request
			inTime(t, agent, func() {
				before := len(agent.Offers())
				if got := record(c.srv.Client().Get(c.url())); !strings.Contains(got, "done") {
					t.Errorf("the client saw:\n%s", got)
				}
				offers = agent.Offers()[before:]
			})
			if len(offers) != order.offers {
				t.Fatalf("offered to the agent: %+v, want %d", offers, order.offers)
			}
			last := int64(offers[len(offers)-1].TID)
			if (last == seen.last.Load()) != order.handler {
				t.Errorf("the agent was offered thread %d last, the handler ran on %d", last, seen.last.Load())
			}
		})
	}
	t.Run("its time runs on", func(t *testing.T) { testTimeRunsOut(t, f) })
}

// testTimeRunsOut has a trapped handler take longer than http.TimeoutHandler
// allows: the client is answered without it, and the request is still released,
// or else the end of the test would object.
func testTimeRunsOut(t *testing.T, f Framework) {
	agent := gatetest.Arm(t, loopback)
	inTime(t, agent, func() {
		answered, returned := make(chan struct{}), make(chan error, 1)
		h := func(w http.ResponseWriter, _ *http.Request) {
			<-answered
			_, err := io.WriteString(w, "late")
			returned <- err
		}
		server := http.TimeoutHandler(f.Build(Setup{Handler: h, Gate: new(gate.Gate)}), 50*time.Millisecond, "too late")
		c := transports[0].serve(t, server, 0)
		if got := record(c.srv.Client().Get(c.url())); !strings.Contains(got, "503 Service Unavailable") || !strings.Contains(got, "too late") {
			t.Errorf("the client saw:\n%s", got)
		}
		close(answered)
		select {
		case err := <-returned:
			if !errors.Is(err, http.ErrHandlerTimeout) {
				t.Errorf("the late handler's answer: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the handler did not return")
		}
	})
	if len(agent.Offers()) == 0 {
		t.Error("the request was not offered to the agent")
	}
}
