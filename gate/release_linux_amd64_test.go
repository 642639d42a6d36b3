package gate

import (
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// TestUnreleasedThreadIsAbandoned: the goroutine must stay alone on its thread,
// and the slot must come back when the agent lets go, or the lease runs out, or
// another agent takes over.
func TestUnreleasedThreadIsAbandoned(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(*gatetest.Agent)
		back  bool
	}{
		{"nothing happens", func(*gatetest.Agent) {}, false},
		{"the agent lets go", func(*gatetest.Agent) {
			for i := range theBoard.slots {
				s := &theBoard.slots[i]
				atomic.StoreUint32(&s.freed, atomic.LoadUint32(&s.gen))
			}
		}, true},
		{"another agent", func(*gatetest.Agent) { atomic.AddUint32(&theBoard.agentPID, 1) }, true},
		{"the lease runs out", func(a *gatetest.Agent) {
			a.SetLease(-1)
			new(Gate).EnterHTTP(httpRequest("203.0.113.7:1"), "") // looks at the lease
			a.SetLease(gatetest.Lease)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			agent := gatetest.Arm(t, testNet)
			agent.SetHoard(true)
			var g Gate
			fill := func() int {
				var wg sync.WaitGroup
				var n atomic.Int32
				for range numSlots {
					wg.Add(1)
					go func() {
						defer wg.Done()
						ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
						if !ticket.Trapped() {
							return
						}
						n.Add(1)
						start := time.Now()
						ticket.Leave()
						if d := time.Since(start); d < releaseTimeout || d > 2*releaseTimeout {
							t.Errorf("Leave took %v, want about a second", d)
						}
						wantLocked(t, true)
						if again := g.EnterHTTP(httpRequest("203.0.113.7:1"), ""); again.Trapped() {
							t.Error("a thread that was not released is offered again")
						}
					}()
				}
				wg.Wait()
				return int(n.Load())
			}
			if n := fill(); n != numSlots || states()[slotAbandoned] != numSlots {
				t.Fatalf("%d requests trapped, slots by state %v, counts %+v, want all abandoned", n, states(), agent.Counts())
			}
			c.after(agent)
			agent.SetHoard(true)
			done := make(chan bool)
			go func() {
				ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
				done <- ticket.Trapped()
				agent.SetHoard(false)
				ticket.Leave()
				done <- true
			}()
			if got := <-done; got != c.back {
				t.Errorf("slots usable again: %v, want %v", got, c.back)
			}
			<-done
		})
	}
}

func TestAbandonedThreadIsUnlockedOnceReleased(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetHoard(true)
	var g Gate
	done := make(chan struct{})
	go func() { // as a connection's goroutine with two requests
		defer close(done)
		g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Leave()
		agent.SetHoard(false)
		slot := agent.Offers()[0].Slot
		for atomic.LoadUint32(&theBoard.slots[slot].freed) != agent.Offers()[0].Gen {
			runtime.Gosched()
		}
		ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
		if !ticket.Trapped() {
			t.Error("the second request is not trapped")
		}
		ticket.Leave()
		wantLocked(t, false)
	}()
	<-done
	wantAllFree(t)
}

func TestPanicsAndGoexitReleaseTheSlot(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		do   func()
		want any
	}{
		{"panic", func() { panic(boom) }, boom},
		{"http.ErrAbortHandler", func() { panic(http.ErrAbortHandler) }, http.ErrAbortHandler},
		{"runtime error", func() { _ = (*http.Request)(nil).Method }, nil},
		{"runtime.Goexit", runtime.Goexit, nil},
		{"return", func() {}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			gatetest.Arm(t, testNet)
			var g Gate
			var recovered any
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() {
					recovered = recover()
					wantLocked(t, false)
				}()
				ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
				defer ticket.Leave()
				if !ticket.Trapped() {
					t.Error("not trapped")
				}
				c.do()
			}()
			<-done
			wantAllFree(t)
			if _, isRuntime := recovered.(runtime.Error); c.name == "runtime error" && !isRuntime {
				t.Errorf("recovered %v, want a runtime error", recovered)
			} else if !isRuntime && recovered != c.want {
				t.Errorf("recovered %v, want %v", recovered, c.want)
			}
		})
	}
}
