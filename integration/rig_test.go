//go:build linux && amd64

package integration_test

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

// endTimeout bounds what an agent may take to let go of everything and exit.
const endTimeout = 10 * time.Second

// rig is one service, and the agents and IDEs that a test attaches to it. Its
// cleanup holds the service against everything that a debugger must leave as
// it was.
type rig struct {
	t       *testing.T
	service *harness.Service
	others  *harness.Client // comes from an address that is not allowlisted
	allowed *harness.Client // comes from the allowlisted one
	agents  []*harness.Agent
	pending sync.WaitGroup
}

// newRig starts a service, built as v says.
func newRig(t *testing.T, v harness.Variant, args ...string) *rig {
	t.Helper()
	binary, err := builder.Shop(v)
	must(t, err)
	return rigOf(t, binary, args...)
}

// rigOf starts a service that was built already.
func rigOf(t *testing.T, binary string, args ...string) *rig {
	t.Helper()
	service, err := harness.StartService(binary, args...)
	must(t, err)
	r := &rig{
		t: t, service: service,
		others:  harness.NewClient(service.URL, harness.Others, 64),
		allowed: harness.NewClient(service.URL, harness.Allowed, 64),
	}
	t.Cleanup(r.cleanup)
	return r
}

// must ends the test if err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attach starts an agent; later flags win over the usual ones.
func (r *rig) attach(args ...string) *harness.Agent {
	r.t.Helper()
	binary, err := builder.Agent()
	must(r.t, err)
	a, err := harness.StartAgent(binary, r.service.PID, args...)
	must(r.t, err)
	r.agents = append(r.agents, a)
	return a
}

// dial connects an IDE that has not said anything yet.
func (r *rig) dial(a *harness.Agent) *daptest.Client {
	r.t.Helper()
	c, err := a.Dial()
	must(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return c
}

// debug starts an agent and an IDE with breakpoints at the marks.
func (r *rig) debug(names ...string) *ide {
	r.t.Helper()
	return r.ide(r.attach(), nil, names...)
}

// request sends an allowlisted request and does not wait for its response.
func (r *rig) request(path string) *pending { return r.send(http.MethodGet, path, nil) }

func (r *rig) send(method, path string, header http.Header) *pending {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	p := &pending{reply: make(chan harness.Reply, 1), hangUp: cancel}
	r.pending.Go(func() {
		defer cancel()
		p.reply <- r.allowed.Send(ctx, method, path, header)
	})
	return p
}

// pending is a request whose response is awaited.
type pending struct {
	reply  chan harness.Reply // one comes
	hangUp context.CancelFunc // the client goes away
}

// wait returns the response.
func (p *pending) wait(t *testing.T) harness.Reply {
	t.Helper()
	select {
	case reply := <-p.reply:
		return reply
	case <-time.After(30 * time.Second):
		t.Fatal("no response to the allowlisted request")
		panic("unreachable")
	}
}

// ok waits for a response with 200.
func (p *pending) ok(t *testing.T) harness.Reply {
	t.Helper()
	reply := p.wait(t)
	if reply.Err != nil || reply.Status != http.StatusOK {
		t.Fatalf("the allowlisted request: status %d, error %v, body %q", reply.Status, reply.Err, reply.Body)
	}
	return reply
}

// held fails if the response has come.
func (p *pending) held(t *testing.T) {
	t.Helper()
	select {
	case reply := <-p.reply:
		t.Fatalf("the request is not held: status %d, error %v", reply.Status, reply.Err)
	default:
	}
}

// cleanup ends what the test left running and checks the service.
func (r *rig) cleanup() {
	for _, a := range r.agents {
		if code, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
			r.t.Error(err)
		} else if code != 0 && r.service.Running() {
			r.t.Errorf("the agent ended with %d", code)
		}
	}
	if r.service.Running() {
		if err := errors.Join(r.answered(), r.check()); err != nil {
			r.t.Errorf("after the test: %v", err)
		}
		if err := r.service.Shutdown(); err != nil {
			r.t.Error(err)
			r.service.Kill()
		}
	}
	r.others.Close()
	r.allowed.Close()
	if r.t.Failed() {
		r.dump()
	}
}

// answered waits until no request of the test is in flight.
func (r *rig) answered() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.pending.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("a request of the test has not been answered")
	}
}

// check holds a service that nobody debugs any more against what it must be:
// no thread traced or stopped, no slot taken, its text untouched, the next
// 1,000 requests served.
func (r *rig) check() error {
	pid := r.service.PID
	return errors.Join(
		harness.Untraced(pid),
		// The client has the response before the handler's slot is free.
		harness.Until(2*time.Second, "every slot is free", func() error { return harness.SlotsFree(pid) }),
		harness.Until(2*time.Second, "no uprobe is left", func() error { return harness.TextIntact(pid) }),
		r.others.All(500, "/orders/3", time.Minute),
		r.allowed.All(500, "/orders/7", time.Minute),
	)
}

func (r *rig) dump() {
	r.t.Logf("service (pid %d) wrote:\n%s%s", r.service.PID, r.service.Stdout, r.service.Stderr)
	for _, a := range r.agents {
		r.t.Logf("agent (pid %d) wrote:\n%s%s", a.PID, a.Stdout, a.Stderr)
	}
}

// serving fails unless the others are served, all with 200, while something is
// frozen.
func (r *rig) serving(n int) {
	r.t.Helper()
	load := harness.StartLoad(r.service.URL, "/orders/3", 4)
	err := load.WaitServed(n, 20*time.Second)
	result := load.Stop()
	if err != nil || result.Failed > 0 {
		r.t.Fatalf("while a request is frozen: %v; %d others failed, first: %v", err, result.Failed, result.FirstBad)
	}
}

// mark is a marked line of the service.
func mark(t *testing.T, name string) harness.Mark {
	t.Helper()
	m, found := marks[name]
	if !found {
		t.Fatalf("the service has no line marked //bp:%s", name)
	}
	return m
}
