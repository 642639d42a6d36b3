package gate

import (
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// trapped runs f in a goroutine whose request is trapped, and waits for it.
func trapped(t *testing.T, f func(Ticket)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticket := new(Gate).EnterHTTP(httpRequest("203.0.113.7:1"), "")
		defer ticket.Leave()
		if !ticket.Trapped() {
			t.Error("the request is not trapped")
			return
		}
		f(ticket)
	}()
	<-done
}

func slotIndex(s *slot) int {
	for i := range theBoard.slots {
		if s == &theBoard.slots[i] {
			return i
		}
	}
	return -1
}

// TestGoBelongsToTheRequest: a goroutine of a trapped request is offered as its
// child, and that one's as the child's; both are on threads of their own.
func TestGoBelongsToTheRequest(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	var parent Ticket
	var childSlot, grandSlot origin
	trapped(t, func(ticket Ticket) {
		parent = ticket
		var wg sync.WaitGroup
		wg.Add(2)
		Go(func() {
			defer wg.Done()
			childSlot, _ = current()
			wantLocked(t, true)
			Go(func() {
				defer wg.Done()
				grandSlot, _ = current()
			})
		})
		wg.Wait()
	})
	offers := agent.Offers()
	if len(offers) != 3 {
		t.Fatalf("%d offers: %+v", len(offers), offers)
	}
	root, child, grand := offers[0], offers[1], offers[2]
	if root.Parent != -1 || root.Slot != slotIndex(parent.slot) || root.Path == "" {
		t.Errorf("the request: %+v", root)
	}
	if child.Parent != root.Slot || child.ParentGen != parent.gen || child.Path != "" || child.Client != "" {
		t.Errorf("its goroutine: %+v", child)
	}
	if grand.Parent != child.Slot || grand.ParentGen != childSlot.gen || int(grandSlot.parent)-1 != grand.Slot {
		t.Errorf("the goroutine's goroutine: %+v, which finds itself in %+v", grand, grandSlot)
	}
	if root.TID == child.TID || child.TID == grand.TID {
		t.Errorf("threads %d, %d, %d", root.TID, child.TID, grand.TID)
	}
	if name := runtime.FuncForPC(child.Entry).Name(); name != "github.com/remotedbg/remotedbg/gate.TestGoBelongsToTheRequest.func1.1" {
		t.Errorf("the child runs %s", name)
	}
	if c := agent.Counts(); c.Matched != 1 {
		t.Errorf("goroutines count as requests: %+v", c)
	}
	waitAllFree(t)
}

// TestFollowOutsideOfARequest returns the function itself.
func TestFollowOutsideOfARequest(t *testing.T) {
	f := func() {}
	same := func() bool { return reflect.ValueOf(Follow(f)).Pointer() == reflect.ValueOf(f).Pointer() }
	if !same() || Follow(nil) != nil {
		t.Error("not armed: another function")
	}
	if n := testing.AllocsPerRun(100, func() { Follow(f) }); n != 0 {
		t.Errorf("not armed: %v allocations", n)
	}
	agent := gatetest.Arm(t, testNet)
	if !same() {
		t.Error("no request: another function")
	}
	trapped(t, func(Ticket) {
		if same() {
			t.Error("in a request: the same function")
		}
		if Follow(nil) != nil {
			t.Error("in a request: a function for nil")
		}
	})
	if n := len(agent.Offers()); n != 1 {
		t.Errorf("%d offers", n)
	}
}

// TestFollowedFunctionRuns whatever the agent answers, as often as it is called,
// also behind the end of its request, and its panics and Goexit are its own.
func TestFollowedFunctionRuns(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	for _, answer := range []gatetest.Answer{gatetest.Accept, gatetest.Decline, gatetest.Silence} {
		var ran int
		var f func()
		agent.SetAnswer(gatetest.Accept)
		trapped(t, func(Ticket) { f = Follow(func() { ran++ }) })
		agent.SetAnswer(answer)
		for range 2 {
			done := make(chan struct{})
			go func() { defer close(done); f() }()
			<-done
		}
		if ran != 2 {
			t.Errorf("answer %d: it ran %d times", answer, ran)
		}
		waitAllFree(t)
	}
	agent.SetAnswer(gatetest.Accept)
	for name, end := range map[string]func(){"panic": func() { panic("mine") }, "Goexit": runtime.Goexit} {
		var f func()
		trapped(t, func(Ticket) { f = Follow(end) })
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			f()
		}()
		if got := <-done; (name == "panic") != (got == "mine") {
			t.Errorf("%s: recovered %v", name, got)
		}
		waitAllFree(t)
	}
}

// TestAdopt: what the agent puts in the place of a goroutine's function survives
// collections while nothing but births refers to it.
func TestAdopt(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	trapped(t, func(Ticket) {
		done := make(chan struct{})
		run := adopt(func() { close(done) })
		runtime.GC()
		go run()
		<-done
	})
	if offers := agent.Offers(); len(offers) != 2 || offers[1].Parent != offers[0].Slot {
		t.Errorf("offers: %+v", offers)
	}
	waitAllFree(t)
}

// waitAllFree waits for goroutines that have done their work to leave.
func waitAllFree(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); states()[slotFree] != numSlots; {
		if time.Now().After(deadline) {
			t.Fatalf("slots by state: %v, want all free", states())
		}
		runtime.Gosched()
	}
}

// TestAdoptedIsForgotten: what the last goroutine of a request has captured, which
// may be large, does not outlive the request.
func TestAdoptedIsForgotten(t *testing.T) {
	gatetest.Arm(t, testNet)
	trapped(t, func(ticket Ticket) {
		adopt(func() {})
		if births[slotIndex(ticket.slot)].Load() == nil {
			t.Error("nothing keeps the function that is about to be started")
		}
	})
	for i := range births {
		if births[i].Load() != nil {
			t.Errorf("slot %d: still kept", i)
		}
	}
}
