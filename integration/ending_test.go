//go:build linux && amd64

package integration_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// frozen is a rig with one request frozen in it.
type frozen struct {
	*rig
	agent *harness.Agent
	ide   *ide
	th    *thread
	p     *pending
}

func freezeOne(t *testing.T, flags ...string) *frozen {
	t.Helper()
	r := newRig(t, harness.Variant{})
	f := &frozen{rig: r, agent: r.attach(flags...)}
	f.ide = r.ide(f.agent, nil, "order-loaded")
	f.p = r.request("/orders/7")
	f.th = f.ide.stopped("breakpoint", "order-loaded")
	return f
}

// ended waits for the end of the agent with an exit code.
func (f *frozen) ended(want int) {
	f.t.Helper()
	code, err := f.agent.Wait(endTimeout)
	if err != nil || code != want {
		f.t.Errorf("the agent ended with %d, error %v; want %d", code, err, want)
	}
}

// told fails unless the IDE is told that the session is over, and why.
func (f *frozen) told(why string) {
	f.t.Helper()
	_, err := f.ide.WaitEvent("terminated")
	must(f.t, err)
	if _, err := f.ide.WaitOutput(why); err != nil {
		f.t.Errorf("the IDE was not told %q: %v; events %+v", why, err, outputs(f.ide.Events()))
	}
}

func outputs(events []dap.EventMessage) (texts []string) {
	for _, ev := range events {
		if o, ok := ev.(*dap.OutputEvent); ok {
			texts = append(texts, o.Body.Output)
		}
	}
	return texts
}

// TestExpiry lets the time of --for run out while a request is frozen.
func TestExpiry(t *testing.T) {
	t.Parallel()
	began := time.Now()
	f := freezeOne(t, "--for", "3s")
	f.p.ok(t)
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("the request was let go after %v, want 3 s", took)
	}
	f.ended(0)
	f.told("expired")
	f.allowedRuns()
}

// allowedRuns fails if a request from the allowlisted address is still taken.
func (r *rig) allowedRuns() {
	r.t.Helper()
	must(r.t, r.allowed.All(20, "/orders/7", 20*time.Second))
}

// TestAgentSignalled stops the agent in each of the ways an operator, an init
// system and a lost terminal do, while a request is frozen.
func TestAgentSignalled(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			f := freezeOne(t)
			must(t, f.agent.Signal(sig))
			f.p.ok(t)
			f.ended(0)
			f.told("stopped")
			f.allowedRuns()
		})
	}
}

// TestAgentSignalledInStep stops the agent while a request blocks below a step.
func TestAgentSignalledInStep(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	f := &frozen{rig: r, agent: r.attach()}
	f.ide = r.ide(f.agent, nil, "slow")
	f.p = r.request("/slow?ms=1000")
	f.th = f.ide.stopped("breakpoint", "slow")
	f.th.step(f.th.Next)
	f.th.step(f.th.Next)
	must(t, f.th.Next(f.th.id)) // into the select, for a second
	must(t, f.agent.Signal(syscall.SIGTERM))
	f.ended(0)
	f.p.ok(t)
}

// TestDisconnect has the IDE leave while a request is frozen. The agent stays
// and serves the next IDE.
func TestDisconnect(t *testing.T) {
	for _, way := range []struct {
		name  string
		leave func(c *ide) error
	}{
		{"disconnect", func(c *ide) error { return c.Disconnect() }},
		{"terminate", func(c *ide) error { return c.Terminate() }},
		{"disconnect and terminate", func(c *ide) error {
			_, err := c.Do("disconnect", map[string]bool{"terminateDebuggee": true})
			return err
		}},
		{"connection cut", func(c *ide) error { return c.Close() }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			f := freezeOne(t)
			must(t, way.leave(f.ide))
			f.p.ok(t)
			f.allowedRuns() // no IDE: nothing stops
			if !f.agent.Running() {
				t.Fatal("the agent ended with its IDE")
			}
			f.ide.Close()

			c := f.rig.ide(f.agent, nil, "order-priced")
			p := f.request("/orders/7")
			c.stopped("breakpoint", "order-priced").resume()
			p.ok(t)
		})
	}
}

// TestServiceShutdown ends the service in good order while a request is frozen:
// it waits for the request, which is served once it is continued.
func TestServiceShutdown(t *testing.T) {
	t.Parallel()
	f := freezeOne(t)
	must(t, f.service.Signal(syscall.SIGTERM))
	must(t, harness.Until(10*time.Second, "the service stops listening", func() error {
		return refused(f.service.URL)
	}))
	f.p.held(t)
	f.th.resume()
	f.p.ok(t)
	if code, err := f.service.Wait(endTimeout); err != nil || code != 0 {
		t.Errorf("the service ended with %d, error %v", code, err)
	}
	f.ended(3)
	f.told("exited")
}

// TestServiceExits has the service exit and be killed while a request is
// frozen: the agent ends and says so.
func TestServiceExits(t *testing.T) {
	for _, way := range []struct {
		name string
		sig  syscall.Signal
		code int
	}{
		{"shutdown runs out of time", syscall.SIGTERM, 0},
		{"killed", syscall.SIGKILL, -int(syscall.SIGKILL)},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			f := freezeOne(t)
			must(t, f.service.Signal(way.sig))
			if code, err := f.service.Wait(endTimeout); err != nil || code != way.code {
				t.Errorf("the service ended with %d, error %v; want %d", code, err, way.code)
			}
			f.ended(3)
			f.told("exited")
			if text := f.agent.Stderr.String(); !strings.Contains(text, "has exited") || !strings.Contains(text, "hint: ") {
				t.Errorf("the agent did not say what happened and what to do:\n%s", text)
			}
			if reply := f.p.wait(t); reply.Err == nil {
				t.Errorf("the frozen request was answered with %d", reply.Status)
			}
		})
	}
}
