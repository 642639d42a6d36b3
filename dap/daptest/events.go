package daptest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-dap"
)

// AnyThread stands for every thread id.
const AnyThread = 0

// Wait takes the first event not yet taken that match accepts, and waits for
// it if need be. The events before it stay for others. match must not call
// methods of c.
func (c *Client) Wait(what string, match func(dap.EventMessage) bool) (dap.EventMessage, error) {
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	for {
		c.mu.Lock()
		ev := c.pick(match)
		changed, err, have := c.changed, c.err, names(c.events)
		c.mu.Unlock()
		switch {
		case ev != nil:
			return ev, nil
		case err != nil:
			return nil, fmt.Errorf("daptest: waiting for %s (events at hand: %s): %w (%v)", what, have, ErrClosed, err)
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, fmt.Errorf("daptest: waiting for %s (events at hand: %s): %w after %v", what, have, ErrTimeout, c.Timeout)
		}
	}
}

// pick takes the first matching event out of the list. c.mu is held.
func (c *Client) pick(match func(dap.EventMessage) bool) dap.EventMessage {
	for i, ev := range c.events {
		if match(ev) {
			c.events = append(c.events[:i:i], c.events[i+1:]...)
			return ev
		}
	}
	return nil
}

func names(events []dap.EventMessage) string {
	if len(events) == 0 {
		return "none"
	}
	list := make([]string, len(events))
	for i, ev := range events {
		list[i] = ev.GetEvent().Event
	}
	return strings.Join(list, ", ")
}

// WaitEvent takes the next event of that name ("initialized", "terminated").
func (c *Client) WaitEvent(name string) (dap.EventMessage, error) {
	return c.Wait(name, func(ev dap.EventMessage) bool { return ev.GetEvent().Event == name })
}

// WaitStopped takes the next stopped event of a thread, or of AnyThread.
func (c *Client) WaitStopped(threadID int) (dap.StoppedEventBody, error) {
	ev, err := c.Wait(fmt.Sprintf("stopped of thread %d", threadID), func(ev dap.EventMessage) bool {
		s, ok := ev.(*dap.StoppedEvent)
		return ok && (threadID == AnyThread || s.Body.ThreadId == threadID)
	})
	if err != nil {
		return dap.StoppedEventBody{}, err
	}
	return ev.(*dap.StoppedEvent).Body, nil
}

// WaitThread takes the next thread event with that reason ("started",
// "exited") of a thread, or of AnyThread, and returns the thread's id.
func (c *Client) WaitThread(reason string, threadID int) (int, error) {
	ev, err := c.Wait(fmt.Sprintf("thread %d %s", threadID, reason), func(ev dap.EventMessage) bool {
		t, ok := ev.(*dap.ThreadEvent)
		return ok && t.Body.Reason == reason && (threadID == AnyThread || t.Body.ThreadId == threadID)
	})
	if err != nil {
		return 0, err
	}
	return ev.(*dap.ThreadEvent).Body.ThreadId, nil
}

// WaitOutput takes the next output event that contains text, and returns all
// of it.
func (c *Client) WaitOutput(text string) (string, error) {
	ev, err := c.Wait(fmt.Sprintf("output with %q", text), func(ev dap.EventMessage) bool {
		o, ok := ev.(*dap.OutputEvent)
		return ok && strings.Contains(o.Body.Output, text)
	})
	if err != nil {
		return "", err
	}
	return ev.(*dap.OutputEvent).Body.Output, nil
}

// Events returns the events not yet taken, and takes none.
func (c *Client) Events() []dap.EventMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]dap.EventMessage(nil), c.events...)
}
