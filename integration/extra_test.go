//go:build linux && amd64

package integration_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// extraMarks are more than a thread has hardware breakpoints, most of them where
// the others' requests pass, and none where /slow does.
var extraMarks = []string{
	"order-entry", "order-loaded", "order-price", "order-priced", "service-load", "service-loaded", "service-price", "service-priced",
	"repo-find", "repo-found", "values", "values-inner", "values-signed", "account-open", "account-local", "account-deposit", "deposit",
}

// probed says whether uprobes are in a process's text.
func probed(pid int) error {
	if harness.TextIntact(pid) == nil {
		return errors.New("the text is that of the executable")
	}
	return nil
}

// TestExtraBreakpoints: all are verified, and are in the service's text while the
// request runs and at no other time.
func TestExtraBreakpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug(extraMarks...)
	p := r.request("/orders/7")
	for _, name := range []string{"order-entry", "service-load", "repo-find", "repo-found", "service-loaded", "order-loaded", "order-price"} {
		stop, err := c.WaitStopped(daptest.AnyThread)
		must(t, err)
		th := &thread{c, stop.ThreadId}
		th.at(name)
		must(t, harness.Until(2*time.Second, "frozen, it has no uprobe", func() error { return harness.TextIntact(r.service.PID) }))
		if !strings.HasPrefix(name, "repo") { // there it holds a lock
			r.serving(20)
		}
		must(t, c.Continue(th.id))
	}
	_, err := c.WaitStopped(daptest.AnyThread) // in the price's loop
	must(t, err)
	must(t, c.Disconnect())
	p.ok(t)

	c = r.ide(r.agents[0], nil, extraMarks...)
	p = r.probing(t)
	r.serving(200)
	p.ok(t)
	must(t, harness.Until(2*time.Second, "they are gone", func() error { return harness.TextIntact(r.service.PID) }))
	for _, ev := range c.Events() {
		if stop, ok := ev.(*dap.StoppedEvent); ok {
			t.Errorf("stopped for another one's request: %+v", stop.Body)
		}
	}
}

// probing sends a request for which uprobes are set. One that the agent is too late
// for, on a busy machine, runs untouched: the next is taken.
func (r *rig) probing(t *testing.T) *pending {
	t.Helper()
	var err error
	for range 5 {
		p := r.request("/slow?ms=1500")
		if err = harness.Until(time.Second, "uprobes are set", func() error { return probed(r.service.PID) }); err == nil {
			return p
		}
		p.ok(t)
	}
	t.Fatal(err)
	return nil
}

// TestKilledWithUprobes kills the agent at random moments while uprobes are set
// that everybody runs into.
func TestKilledWithUprobes(t *testing.T) {
	t.Parallel()
	trials := 5
	if *full {
		trials = 40
	}
	r := newRig(t, harness.Variant{})
	load := harness.StartLoad(r.service.URL, "/orders/3", 4)
	for i := range trials {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := r.attach()
			r.ide(a, nil, extraMarks...)
			p := r.probing(t)
			<-time.After(rand.N(100 * time.Millisecond))
			must(t, a.Signal(syscall.SIGKILL))
			must(t, harness.Until(5*time.Second, "they are gone", func() error { return harness.TextIntact(r.service.PID) }))
			p.ok(t)
			if _, err := a.Wait(endTimeout); err != nil {
				t.Error(err)
			}
			r.agents = nil // of this one nothing is to be ended
		})
	}
	r.attach() // heals what the last one has left on the board
	if result := load.Stop(); result.Failed > 0 {
		t.Errorf("%d of the others' requests failed, first: %v", result.Failed, result.FirstBad)
	}
}
