package echogate_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	echogate "github.com/remotedbg/remotedbg/middleware/echo"
)

// TestTimeout has echo's own middleware for timeouts, which runs the rest in a
// goroutine of its own, on both sides of the gate: only behind it does the agent
// get the thread of the handler.
func TestTimeout(t *testing.T) {
	//lint:ignore SA1019 it is deprecated for its data races, but still in use
	timeout := middleware.TimeoutWithConfig(middleware.TimeoutConfig{Timeout: time.Minute})
	for _, order := range []struct {
		name    string
		before  bool // the timeout comes before the gate
		handler bool // the agent is offered the thread of the handler
	}{
		{"timeout, gate", true, true},
		{"gate, timeout", false, false},
	} {
		t.Run(order.name, func(t *testing.T) {
			agent := gatetest.Arm(t, gatetest.Rule{Prefix: netip.MustParsePrefix("192.0.2.1/32")})
			e := echo.New()
			if order.before {
				e.Use(timeout)
			}
			e.Use(echogate.New(new(gate.Gate)))
			if !order.before {
				e.Use(timeout)
			}
			var thread atomic.Int64
			e.GET("/orders/:id", func(c echo.Context) error {
				thread.Store(int64(syscall.Gettid()))
				return c.String(http.StatusOK, "done")
			})
			// Until the stand-in for the agent has answered in time.
			for agent.Counts().Silent == agent.Counts().Matched {
				w := httptest.NewRecorder()
				e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/orders/7", nil))
				if w.Code != http.StatusOK || w.Body.String() != "done" {
					t.Fatalf("status %d, body %q", w.Code, w.Body)
				}
				if agent.Counts().Matched == 0 {
					t.Fatal("the request did not get to the gate")
				}
			}
			offers := agent.Offers()
			last := offers[len(offers)-1]
			if (int64(last.TID) == thread.Load()) != order.handler {
				t.Errorf("the agent was offered thread %d, the handler ran on %d", last.TID, thread.Load())
			}
		})
	}
}
