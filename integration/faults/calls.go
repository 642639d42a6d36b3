//go:build linux && amd64

package main

import (
	"fmt"
	"syscall"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// killCalling kills the agent at a random moment of continuous calls: the service
// takes the one that is under way to its end, and the request with it.
func killCalling(t *trial) error {
	a, err := t.enter(calling)
	if err != nil {
		return err
	}
	t.strike()
	if err := a.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	return t.gone(a, -int(syscall.SIGKILL))
}

// called are expressions with calls, of order-loaded: with memory made for them,
// long ones, one that panics and one that reads what the frozen request has.
var called = []string{
	`fmt.Sprint(order.ID, "x", 1.5)`, `len(strings.Fields("a b"))`, `strconv.Itoa(order.ID)`,
	"main.reply(nil, 200, nil)", "time.Sleep(5000000)",
}

// keepCalling makes a session that freezes a request and calls functions in it
// all the time.
func (t *trial) keepCalling(c *daptest.Client) error {
	stop, err := t.freeze(c)
	if err != nil {
		return err
	}
	frames, _, err := c.StackTrace(stop.ThreadId, 0, 1)
	if err != nil || len(frames) == 0 {
		return fmt.Errorf("the stack: %w", err)
	}
	t.working.Go(func() {
		for i := 0; !t.stopped(); i++ {
			if _, err := c.Evaluate(called[i%len(called)], frames[0].Id, "repl"); err == nil {
				t.counted("calls")
			}
		}
	})
	return nil
}
