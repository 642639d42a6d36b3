//go:build linux && amd64

package dap_test

import (
	"context"
	"net"
	"testing"
	"time"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/dap/daptest"

	"github.com/remotedbg/remotedbg/internal/access"
)

// TestCancel: a request that waits for its turn is withdrawn; the running one
// and all others are answered.
func TestCancel(t *testing.T) {
	fake := newFake()
	fake.slow, fake.waiting = make(chan struct{}), make(chan struct{}, 1)
	srv, err := dap.NewServer(dap.Config{NewSession: func(access.Identity) (dap.Session, error) { return fake, nil }})
	must(t, err)
	// A pipe without a buffer: once a write is done, the server has taken up
	// everything that was written before it.
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- srv.ServeConn(context.Background(), theirs, access.Identity{Role: access.Mutate}) }()
	c := daptest.New(ours)
	t.Cleanup(func() {
		c.Close()
		must(t, <-served)
	})
	c.Timeout = 20 * time.Second
	must(t, c.Session("")) // requests 1 to 3

	start := func(command string, args any) func() (godap.ResponseMessage, error) {
		t.Helper()
		wait, err := c.Start(command, args)
		must(t, err)
		return wait
	}
	running := start("modules", nil) // 4
	<-fake.waiting
	before := start("threads", nil)                                       // 5
	withdrawn := start("threads", nil)                                    // 6
	cancelSixth := start("cancel", godap.CancelArguments{RequestId: 6})   // 7
	cancelRunning := start("cancel", godap.CancelArguments{RequestId: 4}) // 8
	cancelLater := start("cancel", godap.CancelArguments{RequestId: 10})  // 9
	after := start("threads", nil)                                        // 10: not there yet when it was cancelled
	cancelItself := start("cancel", godap.CancelArguments{RequestId: 11}) // 11
	start("threads", nil)                                                 // 12
	close(fake.slow)

	for name, wait := range map[string]func() (godap.ResponseMessage, error){
		"one before": before, "one behind": after, "a cancel": cancelSixth,
		"a cancel of the running one": cancelRunning, "a cancel of one to come": cancelLater, "a cancel of itself": cancelItself,
	} {
		if _, err := wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = running()
	if e := failure(t, err); e.ID == 1007 {
		t.Errorf("the running one: %+v", e) // it fails because the fake has no executable
	}
	_, err = withdrawn()
	if e := failure(t, err); e.ID != 1007 || e.Show {
		t.Errorf("the withdrawn one: %+v", e)
	}
	_, err = c.Do("cancel", godap.CancelArguments{RequestId: 6}) // long answered
	must(t, err)
}

// TestDisconnectDuringCall: who wants to leave does not wait for a function that
// does not return.
func TestDisconnectDuringCall(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	b.fake.calling = make(chan struct{})
	call, err := b.Start("evaluate", godap.EvaluateArguments{Expression: "inner(1)", FrameId: top[0].Id, Context: "repl"})
	must(t, err)
	<-b.fake.calling
	_, err = b.Do("disconnect", godap.DisconnectArguments{})
	must(t, err)
	if _, err := call(); err == nil {
		t.Error("a call that did not return has a value")
	}
}
