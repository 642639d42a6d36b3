//go:build linux && amd64

package frameworks_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// rig is one example server with an agent attached to it and an IDE attached to
// the agent. Its cleanup holds the server against everything that a debugger
// must leave as it was.
type rig struct {
	*daptest.Client
	t       *testing.T
	marks   map[string]harness.Mark
	service *harness.Service
	agent   *harness.Agent
	// probe sends n requests from a loopback address and fails unless all are
	// served. Replace it for a server that does not serve HTTP at /orders/3.
	probe   func(from string, n int) error
	pending sync.WaitGroup
}

// newRig builds and starts the server in a folder of this module, and attaches
// to it with breakpoints at the marks.
func newRig(t *testing.T, folder string, names ...string) *rig {
	t.Helper()
	s := buildServer(t, folder)
	binary, err := builder.Agent()
	must(t, err)
	service, err := harness.StartService(s.binary)
	must(t, err)
	r := &rig{t: t, marks: s.marks, service: service, probe: func(from string, n int) error {
		c := harness.NewClient(service.URL, from, 4)
		defer c.Close()
		return c.All(n, "/orders/3", time.Minute)
	}}
	t.Cleanup(r.cleanup)
	r.agent, err = harness.StartAgent(binary, service.PID)
	must(t, err)
	r.Client, err = r.agent.Dial()
	must(t, err)
	must(t, r.SessionWith(nil, ""))
	var lines []int
	file := ""
	for _, name := range names {
		file = r.mark(name).File
		lines = append(lines, r.mark(name).Line)
	}
	if len(names) == 0 {
		return r
	}
	bps, err := r.SetBreakpoints(file, lines...)
	must(t, err)
	for i, bp := range bps {
		if !bp.Verified {
			t.Fatalf("the breakpoint at %s is not verified: %s", names[i], bp.Message)
		}
	}
	return r
}

// mark is a marked line of the server.
func (r *rig) mark(name string) harness.Mark {
	r.t.Helper()
	m, found := r.marks[name]
	if !found {
		r.t.Fatalf("the server has no line marked //bp:%s", name)
	}
	return m
}

// request sends an allowlisted request and does not wait for its response,
// which comes on the channel.
func (r *rig) request(method, path string) <-chan harness.Reply {
	reply := make(chan harness.Reply, 1)
	client := harness.NewClient(r.service.URL, harness.Allowed, 1)
	r.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		defer client.Close()
		reply <- client.Send(ctx, method, path, nil)
	})
	return reply
}

// held fails if the response has come.
func held(t *testing.T, reply <-chan harness.Reply) {
	t.Helper()
	select {
	case got := <-reply:
		t.Fatalf("the request is not held: status %d, error %v", got.Status, got.Err)
	default:
	}
}

// ok waits for a response with 200 and returns its body.
func ok(t *testing.T, reply <-chan harness.Reply) string {
	t.Helper()
	select {
	case got := <-reply:
		if got.Err != nil || got.Status != http.StatusOK {
			t.Fatalf("the allowlisted request: status %d, error %v, body %q", got.Status, got.Err, got.Body)
		}
		return got.Body
	case <-time.After(30 * time.Second):
		t.Fatal("no response to the allowlisted request")
		panic("unreachable")
	}
}

// cleanup ends the agent and checks a server that nobody debugs any more: no
// thread traced or stopped, no slot taken, its text untouched, requests served.
func (r *rig) cleanup() {
	if r.Client != nil {
		r.Close()
	}
	if r.agent != nil {
		if code, err := r.agent.Stop(syscall.SIGTERM, 10*time.Second); err != nil || code != 0 {
			r.t.Errorf("the agent ended with %d, %v", code, err)
		}
	}
	r.pending.Wait() // each has a time limit
	pid := r.service.PID
	if err := errors.Join(
		harness.Untraced(pid),
		harness.Until(2*time.Second, "every slot is free", func() error { return harness.SlotsFree(pid) }),
		harness.TextIntact(pid),
		r.probe(harness.Others, 100),
		r.probe(harness.Allowed, 100),
	); err != nil {
		r.t.Errorf("after the test: %v", err)
	}
	if err := r.service.Shutdown(); err != nil {
		r.t.Error(err)
		r.service.Kill()
	}
	if r.t.Failed() {
		r.t.Logf("the server wrote:\n%s%s", r.service.Stdout, r.service.Stderr)
		if r.agent != nil {
			r.t.Logf("the agent wrote:\n%s%s", r.agent.Stdout, r.agent.Stderr)
		}
	}
}
