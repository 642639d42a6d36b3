//go:build linux && amd64

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// state is what the debugger is doing when the fault happens.
type state string

const (
	idle      state = "armed and idle"
	passing   state = "requests taken and let go"
	following state = "goroutines taken along and let go"
	fanned    state = "three goroutines of a request frozen"
	frozen    state = "frozen"
	nexting   state = "continuous next"
	steppingI state = "continuous stepIn"
	steppingO state = "continuous stepOut"
	calling   state = "continuous function calls"
	attaching state = "during attach"
	detaching state = "during detach"
)

// allStates are the states, spread evenly over the trials of a row.
var allStates = []state{idle, frozen, nexting, steppingI, steppingO, attaching, detaching, passing, following, fanned}

// steppingStates are those in which an agent has a request in its hands.
var steppingStates = []state{idle, frozen, nexting, steppingI, steppingO}

// enter starts an agent and brings it into a state; it returns at a random
// moment in it. The trial goes on in that state until the IDE is closed.
func (t *trial) enter(s state, args ...string) (*harness.Agent, error) {
	t.label = string(s)
	t.counted(string(s))
	switch s {
	case attaching:
		return t.enterAttach(args)
	case detaching:
		return t.enterDetach(args)
	}
	a, err := t.attach(args...)
	if err != nil {
		return nil, err
	}
	_, err = t.bring(a, s)
	return a, err
}

// bring brings an agent that is ready into a state, with an IDE of its own.
func (t *trial) bring(a *harness.Agent, s state) (*daptest.Client, error) {
	c, err := t.dial(a)
	if err != nil {
		return nil, err
	}
	switch s {
	case idle:
		err = t.open(c, "order-loaded")
	case passing:
		if err = t.open(c, "spin-done"); err == nil {
			t.keepSending("/orders/7")
		}
	case following:
		if err = t.open(c, "spin-done"); err == nil {
			t.keepSending(fan)
		}
	case fanned:
		err = t.fanOut(c)
	case frozen:
		_, err = t.freeze(c)
	case calling:
		err = t.keepCalling(c)
	default:
		err = t.keepStepping(c, s)
	}
	if err != nil {
		return nil, err
	}
	pause(t.between(0, 400*time.Millisecond))
	return c, nil
}

// freeze makes a session and freezes one request.
func (t *trial) freeze(c *daptest.Client) (stop dap.StoppedEventBody, err error) {
	if err := t.open(c, "order-loaded"); err != nil {
		return stop, err
	}
	return t.firstStop(c, "/orders/7")
}

// fan is a request that starts 20 goroutines, three of which meet fan-part.
const fan = "/fan?n=20&how=go"

// fanOut makes a session and freezes three goroutines of a request.
func (t *trial) fanOut(c *daptest.Client) error {
	if err := t.open(c, "fan-part"); err != nil {
		return err
	}
	if _, err := t.firstStop(c, fan); err != nil {
		return err
	}
	defer func(d time.Duration) { c.Timeout = d }(c.Timeout)
	c.Timeout = fanTimeout
	for range 2 {
		if _, err := c.WaitStopped(daptest.AnyThread); err != nil {
			// As in firstStop; it says so then.
			if !said(c, "ran untouched") {
				return err
			}
			t.counted("goroutines that the agent was too late for")
		}
	}
	return nil
}

// fanTimeout is how long the goroutines of a request may take to stop when the first
// of them has: they are started within milliseconds.
const fanTimeout = 5 * time.Second

// said tells whether the console of an IDE shows text.
func said(c *daptest.Client, text string) bool {
	return slices.ContainsFunc(c.Events(), func(ev dap.EventMessage) bool {
		out, ok := ev.(*dap.OutputEvent)
		return ok && strings.Contains(out.Body.Output, text)
	})
}

// firstStop sends allowlisted requests, one after the other, until one stops.
// That is nearly always the first; but the gate waits for the agent's answer for
// 100 ms only, and on a machine this busy an agent is late now and then: the
// request runs untouched then, as it should. Late for several in a row is an agent
// whose uprobes the kernel is slow to set.
func (t *trial) firstStop(c *daptest.Client, path string) (stop dap.StoppedEventBody, err error) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop, err = c.WaitStopped(daptest.AnyThread) // bounded by the client's timeout
	}()
	for began := time.Now(); time.Since(began) < c.Timeout/2; {
		h, failed := t.request(path)
		if failed != nil {
			return stop, failed
		}
		select {
		case <-stopped:
			return stop, err
		case <-h.over:
			select {
			case <-stopped: // the agent has died meanwhile
				return stop, err
			default:
			}
			t.counted("requests that the agent was too late for")
			if t.verbose && len(t.agents) > 0 {
				fmt.Fprintf(t.out, "%s: trial %d: not stopped, agent:\n%s\n", t.row.name, t.number, tail(t.agents[len(t.agents)-1].Stderr.String()))
			}
		}
	}
	<-stopped
	return stop, err
}

// keepSending sends allowlisted requests, one after the other, until the trial
// ends.
func (t *trial) keepSending(path string) {
	t.working.Go(func() {
		for !t.stopped() {
			h, err := t.request(path)
			if err != nil {
				return // the service is gone: the oracles say so
			}
			select {
			case <-h.over:
			case <-t.stopping:
			}
		}
	})
}

// stopped says whether the trial is over.
func (t *trial) stopped() bool {
	select {
	case <-t.stopping:
		return true
	default:
		return false
	}
}

// walks are requests that are stepped through: where each stops first.
var walks = map[state][]struct{ path, mark string }{
	nexting:   {{"/steps", "steps-entry"}, {"/recursive?n=50", "recursive"}, {"/orders/7", "order-entry"}},
	steppingI: {{"/recursive?n=50", "recursive-call"}, {"/orders/7", "order-entry"}, {"/steps", "steps-entry"}},
	steppingO: {{"/recursive?n=50", "recursive-bottom"}, {"/steps", "steps-level3"}},
}

// keepStepping makes a session that steps all the time, and returns when the
// first request has stopped.
func (t *trial) keepStepping(c *daptest.Client, s state) error {
	walk := walks[s][t.rng.IntN(len(walks[s]))]
	t.label += " of " + walk.path
	if err := t.open(c, walk.mark); err != nil {
		return err
	}
	step := map[state]func(int) error{nexting: c.Next, steppingI: c.StepIn, steppingO: c.StepOut}[s]
	stop, err := t.firstStop(c, walk.path)
	if err != nil {
		return err
	}
	t.working.Go(func() {
		for {
			if t.walk(c, stop.ThreadId, step) != nil {
				return // the agent is gone, as it is meant to be
			}
			if stop, err = t.firstStop(c, walk.path); err != nil {
				return
			}
		}
	})
	return nil
}

// walk steps through a request to its end.
func (t *trial) walk(c *daptest.Client, thread int, step func(int) error) error {
	for {
		if err := step(thread); err != nil {
			return err
		}
		ended := false
		_, err := c.Wait("the end of a step or of the request", func(ev dap.EventMessage) bool {
			switch ev := ev.(type) {
			case *dap.StoppedEvent:
				return ev.Body.ThreadId == thread
			case *dap.ThreadEvent:
				ended = ev.Body.Reason == "exited" && ev.Body.ThreadId == thread
				return ended
			}
			return false
		})
		if err != nil || ended {
			return err
		}
		t.counted("steps")
	}
}

// enterAttach returns while an agent attaches; now and then it is ready.
func (t *trial) enterAttach(args []string) (*harness.Agent, error) {
	t.keepSending("/orders/7")
	p, err := harness.Start(t.agent, harness.AgentArgs(t.service.PID, args...)...)
	if err != nil {
		return nil, err
	}
	a := &harness.Agent{Process: p}
	t.agents = append(t.agents, a)
	moment := t.between(0, t.attachTime+t.attachTime/5)
	pause(moment)
	t.label = fmt.Sprintf("%s, after %v of some %v", attaching, moment.Round(time.Millisecond), t.attachTime.Round(time.Millisecond))
	return a, nil
}

// enterDetach returns while an agent lets go of a frozen request and ends.
func (t *trial) enterDetach(args []string) (*harness.Agent, error) {
	a, err := t.attach(args...)
	if err != nil {
		return nil, err
	}
	c, err := t.dial(a)
	if err != nil {
		return nil, err
	}
	if _, err = t.freeze(c); err != nil {
		return nil, err
	}
	if t.rng.IntN(2) == 0 {
		_ = c.Disconnect()
		t.label += ", IDE gone"
	}
	if err := a.Signal(termination); err != nil {
		return nil, err
	}
	pause(t.between(0, 20*time.Millisecond))
	return a, nil
}
