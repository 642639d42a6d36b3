//go:build linux && amd64

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// cycles has one agent serve IDE after IDE: each attaches, freezes a request,
// steps it and leaves, under load. Neither the service nor the agent may have
// more of anything afterwards. 500 in the full form.
func cycles(t *trial) error {
	n := t.scaled(500, 10)
	a, err := t.attach()
	if err != nil {
		return err
	}
	for i := range n {
		if err := t.cycle(a); err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
		if i == n/10 { // caches are full, pools have their size
			if err := t.note(a); err != nil {
				return err
			}
		}
	}
	return t.compare(a)
}

// reattach has agent after agent attach, freeze, step and detach. 100 in the
// full form.
func reattach(t *trial) error {
	n := t.scaled(100, 2)
	for i := range n {
		a, err := t.attach()
		if err != nil {
			return fmt.Errorf("agent %d: %w", i, err)
		}
		if err := t.cycle(a); err != nil {
			return fmt.Errorf("agent %d: %w", i, err)
		}
		if code, err := a.Stop(termination, endTimeout); err != nil || code != 0 {
			return fmt.Errorf("agent %d ended with %d: %w", i, code, err)
		}
		t.agents = nil
		if i == n/10 {
			if err := t.note(nil); err != nil {
				return err
			}
		}
	}
	return t.compare(nil)
}

// scaled is how much of it a trial of the full form does, or of the short one.
func (t *trial) scaled(full, short int) int {
	if t.short {
		return short
	}
	return full
}

// cycle is one IDE's visit. It leaves while the request is frozen.
func (t *trial) cycle(a *harness.Agent) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	stop, err := t.freeze(c)
	if err != nil {
		return err
	}
	for range 2 {
		if err := c.Next(stop.ThreadId); err != nil {
			return err
		}
		if _, err := c.WaitStopped(stop.ThreadId); err != nil {
			return err
		}
	}
	if err := c.Disconnect(); err != nil {
		return err
	}
	return t.answered()
}

// note remembers what the service and the agent, if there is one, use.
func (t *trial) note(a *harness.Agent) (err error) {
	t.service0, t.agent0, err = t.usages(a)
	return err
}

func (t *trial) usages(a *harness.Agent) (service, agent usage, err error) {
	pause(500 * time.Millisecond) // connections that are just closing
	if service, err = usageOf(t.service.PID); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var stats struct{ Goroutines int }
	r := t.others.Get(ctx, "/stats")
	if err = errors.Join(r.Err, json.Unmarshal([]byte(r.Body), &stats)); err != nil {
		return
	}
	service.goroutines = stats.Goroutines
	if a != nil {
		if agent, err = usageOf(a.PID); err == nil {
			agent.goroutines, err = harness.Goroutines(a.PID)
		}
	}
	return
}

// compare fails if anything has grown since note.
func (t *trial) compare(a *harness.Agent) error {
	service, agent, err := t.usages(a)
	if err != nil {
		return err
	}
	t.figure(fmt.Sprintf("service: %v, at the end %v", t.service0, service))
	err = grown("service", t.service0, service)
	if a != nil {
		t.figure(fmt.Sprintf("agent: %v, at the end %v", t.agent0, agent))
		err = errors.Join(err, grown("agent", t.agent0, agent))
	}
	return err
}

// grown allows for a thread or connection that comes and goes with the load,
// and for a heap that breathes: it may double between two collections, and what
// is resident is more than the heap. A descriptor or a goroutine a cycle is far beyond,
// of memory only some 75 KB a cycle are.
func grown(who string, from, to usage) error {
	const few = 4
	memory := max(12<<20, from.rss/2)
	var errs []error
	for _, n := range []struct {
		what     string
		from, to int
	}{{"threads", from.threads, to.threads}, {"descriptors", from.fds, to.fds}, {"goroutines", from.goroutines, to.goroutines}} {
		if n.to > n.from+few {
			errs = append(errs, fmt.Errorf("the %s has %d %s, and had %d", who, n.to, n.what, n.from))
		}
	}
	if to.rss > from.rss+memory {
		errs = append(errs, fmt.Errorf("the %s has %d MB resident, and had %d", who, to.rss>>20, from.rss>>20))
	}
	return errors.Join(errs...)
}
