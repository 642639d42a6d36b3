//go:build linux && amd64

package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

var politeSignals = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE}

// signalAgent sends the agent each of the signals that a terminal, a supervisor
// and a closed pipe send. It lets go of everything and ends, but at SIGPIPE,
// which must change nothing.
func signalAgent(t *trial) error {
	s := allStates[t.number/len(politeSignals)%len(allStates)]
	sig := politeSignals[t.number%len(politeSignals)]
	a, err := t.enter(s)
	if err != nil {
		return err
	}
	t.label += ", " + sig.String()
	t.strike()
	if err := a.Signal(sig); err != nil {
		return err
	}
	if sig == syscall.SIGPIPE && s != detaching {
		if s == attaching {
			return t.killed(a) // it may not have got to where it is ready for it
		}
		if _, err := a.Wait(200 * time.Millisecond); err == nil {
			return fmt.Errorf("the agent ended at %v", sig)
		}
		if err := a.Signal(termination); err != nil {
			return err
		}
	}
	code, err := a.Wait(endTimeout)
	if err != nil {
		return fmt.Errorf("%v: %w", sig, err)
	}
	t.measured("agent and watchdog gone after", time.Since(t.fault))
	if code != 0 && s != attaching {
		return fmt.Errorf("the agent ended with %d at %v", code, sig)
	}
	return nil
}

// killed ends an agent whose own end is not what the trial is about.
func (t *trial) killed(a *harness.Agent) error {
	pause(t.between(0, 200*time.Millisecond))
	a.Kill()
	return nil
}

// stallLimit is how long a stopped agent may hold up the service.
const stallLimit = time.Second

// stopAgent stops the agent with SIGSTOP: its watchdog kills it, and no request
// of the others takes longer than stallLimit meanwhile.
func stopAgent(t *trial) error {
	states := append([]state{passing}, steppingStates...)
	a, err := t.enter(states[t.number%len(states)])
	if err != nil {
		return err
	}
	p := t.probe("/healthz", 10*time.Millisecond)
	t.strike()
	if err := a.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	code, err := a.Wait(endTimeout)
	if err != nil {
		_ = a.Signal(syscall.SIGKILL)
		return fmt.Errorf("the watchdog did not kill the stopped agent: %w", err)
	}
	t.measured("agent killed and gone after", time.Since(t.fault))
	if code != -int(syscall.SIGKILL) {
		return fmt.Errorf("the stopped agent ended with %d", code)
	}
	worst, err := p.stop()
	t.measured("longest answer to another", worst)
	if err == nil && worst > stallLimit {
		err = fmt.Errorf("a request of another took %v", worst)
	}
	return err
}
