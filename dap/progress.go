//go:build linux && amd64

package dap

import (
	"fmt"
	"time"

	"github.com/google/go-dap"
)

const (
	// progressAfter is how long something may take before the client is told
	// of it: shorter than that, the notice would only flicker.
	progressAfter = 300 * time.Millisecond
	progressEvery = time.Second
)

// slowly runs f, which may take long in a large program, and shows the client
// that it is being worked on. Meanwhile no other message is answered: f may
// use everything of c but what sends.
func (c *conn) slowly(title string, f func() error) error {
	if !c.client.progressEvents {
		return f()
	}
	done := make(chan error, 1)
	go func() { done <- c.guarded(f) }()
	first := time.NewTimer(progressAfter)
	defer first.Stop()
	select {
	case err := <-done:
		return err
	case <-first.C:
	}
	c.lastProgress++
	id := fmt.Sprintf("progress %d", c.lastProgress)
	began := time.Now().Add(-progressAfter)
	c.event("progressStart", dap.ProgressStartEventBody{ProgressId: id, Title: title})
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			c.event("progressEnd", dap.ProgressEndEventBody{ProgressId: id})
			return err
		case <-tick.C:
			c.event("progressUpdate", dap.ProgressUpdateEventBody{
				ProgressId: id, Message: fmt.Sprintf("%v so far", time.Since(began).Round(time.Second)),
			})
		}
	}
}
