//go:build linux && amd64

package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// TestGoroutines debugs a request that fans out over 20 goroutines: three of them
// stop at the same time, each is a thread of its own, is stepped by itself, and
// the other 17 and everybody else's run on. Nothing in the handler knows of it.
func TestGoroutines(t *testing.T) {
	for _, v := range []harness.Variant{
		{},
		{Go: "go1.25.14"},
		{Go: "go1.24.13"},
		{Race: true},
		{Go: "go1.24.13", Race: true},
		{Cgo: true},
		{PIE: true},
	} {
		t.Run(v.String(), func(t *testing.T) {
			// Not in parallel: some have to be built first, which starves the
			// agents of others.
			goroutines(t, v)
		})
	}
}

// goroutines debugs such a request; once more if the agent was too late for one of its
// goroutines.
func goroutines(t *testing.T, v harness.Variant) {
	for range 3 {
		if inTime := fannedOut(t, v); inTime || t.Failed() {
			return
		}
		t.Log("the agent was too late for a goroutine")
	}
	t.Error("the agent was too late for a goroutine each time")
}

func fannedOut(t *testing.T, v harness.Variant) (inTime bool) {
	r := newRig(t, v, "-gc", "50ms")
	c := r.debug("fan-part", "fan-total")
	const path = "/fan?n=20&how=go"
	p := r.request(path)
	var children []*thread
	for range 3 {
		stop, late, err := stoppedOrLate(c.Client, daptest.AnyThread)
		must(t, err)
		if late {
			must(t, c.Disconnect())
			p.ok(t)
			return false
		}
		th := &thread{c, stop.ThreadId}
		th.at("fan-part")
		children = append(children, th)
	}
	must(t, r.others.All(200, path, time.Minute))
	p.held(t)

	names := make(map[int]string)
	list, err := c.Threads()
	must(t, err)
	for _, th := range list {
		names[th.Id] = th.Name
	}
	const whose = " of GET /fan from " + harness.Allowed
	var cents []string
	for _, th := range children {
		if name := names[th.id]; !strings.HasPrefix(name, "go main.fanOut.") || !strings.HasSuffix(name, whose) {
			t.Errorf("thread %d is %q", th.id, name)
		}
		v, err := c.Evaluate("cents", th.top().ID, "watch")
		must(t, err)
		cents = append(cents, v.Result)
	}
	slices.Sort(cents)
	if !slices.Equal(cents, []string{"103", "110", "117"}) {
		t.Errorf("stopped with cents = %v", cents)
	}

	children[0].step(c.Next)
	children[1].step(c.StepIn)
	children[1].in("main.discounted")
	children[2].at("fan-part")
	for _, th := range children {
		p.held(t)
		th.resume()
	}
	th := c.stopped("breakpoint", "fan-total")
	th.resume()
	if reply := p.ok(t); reply.Body != "total 2156\n" {
		t.Errorf("the answer is %q", reply.Body)
	}

	// The audit has each of them, the log a line for all.
	a := r.agents[0]
	told := func() int { return strings.Count(a.Stderr.String(), " released after ") }
	err = harness.Until(endTimeout, "all are in the audit and the log", func() error {
		lines := auditOf(t, a)
		taken := len(lines.find(audit.RequestTaken, "root", th.id))
		released := len(lines.find(audit.RequestReleased, "", nil))
		if taken != 20 || released != 21 || told() == 0 {
			return fmt.Errorf("%d goroutines of request %d were taken, and %d requests and goroutines released, the log has %d lines of it", taken, th.id, released, told())
		}
		return nil
	})
	if err != nil && slices.ContainsFunc(outputs(c.Events()), wasLate) {
		return false
	}
	must(t, err)
	if told() > 2 { // some may outlive the request by a moment
		t.Errorf("%d lines of the log tell of releases:\n%s", told(), a.Stderr)
	}
	return true
}

// TestFollowOff leaves goroutines alone.
func TestFollowOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--follow", "off"), nil, "fan-part", "fan-total")
	p := r.request("/fan?n=20&how=go")
	th := c.stopped("breakpoint", "fan-total")
	if threads, err := c.Threads(); err != nil || len(threads) != 1 {
		t.Errorf("threads %v, %v", threads, err)
	}
	th.resume()
	p.ok(t)
}

// TestStoppedAgentWhileFollowing stops the agent for good at some moment while it takes
// goroutines along: its watchdog kills it, and every request is answered as always.
func TestStoppedAgentWhileFollowing(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{}, "-gc", "50ms")
	for _, after := range []time.Duration{5, 12, 19, 26, 33} {
		t.Run((after * time.Millisecond).String(), func(t *testing.T) {
			a := r.attach()
			r.ide(a, nil, "drawer-open") // they never come there
			p := r.request("/fan?n=90&how=go")
			<-time.After(after * time.Millisecond)
			must(t, a.Signal(syscall.SIGSTOP))
			r.agents = nil // there is nothing to be ended
			must(t, r.others.All(200, "/fan?n=20&how=go", endTimeout))
			if reply := p.ok(t); reply.Body != "total 12811\n" {
				t.Errorf("the answer is %q", reply.Body)
			}
			if code, err := a.Wait(endTimeout); err != nil || code != -int(syscall.SIGKILL) {
				t.Errorf("the agent ended with %d, want to be killed: %v", code, err)
			}
			if reply := r.request("/fan?n=90&how=closure").ok(t); reply.Body != "total 12811\n" {
				t.Errorf("afterwards the answer is %q", reply.Body)
			}
		})
	}
	// The next agent heals what the last one has left on the board, and the first
	// request behind it takes the slots back that were kept.
	_, err := r.attach().Stop(syscall.SIGTERM, endTimeout)
	must(t, err)
	r.agents = nil
	r.request("/orders/7").ok(t)
}
