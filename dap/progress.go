//go:build linux && amd64

package dap

import (
	"fmt"
	"runtime/debug"
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
	done := make(chan func() error, 1)
	go func() { done <- caught(f) }()
	first := time.NewTimer(progressAfter)
	defer first.Stop()
	select {
	case result := <-done:
		return result()
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
		case result := <-done:
			c.event("progressEnd", dap.ProgressEndEventBody{ProgressId: id})
			return result()
		case <-tick.C:
			c.event("progressUpdate", dap.ProgressUpdateEventBody{
				ProgressId: id, Message: fmt.Sprintf("%v so far", time.Since(began).Round(time.Second)),
			})
		}
	}
}

// caught runs f and returns what its caller gets: the error, or the panic, which
// is the dispatcher's to report.
func caught(f func() error) (result func() error) {
	defer func() {
		if p := recover(); p != nil {
			at := debug.Stack()
			result = func() error { panic(fmt.Sprintf("%v\n%s", p, at)) }
		}
	}()
	err := f()
	return func() error { return err }
}
