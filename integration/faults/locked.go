//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// freezeLocked freezes a request that holds a lock which others need: the stall
// guard lets it go, says why, and the others get their turn.
func freezeLocked(t *trial) error {
	const others, soon = 60, 5 * time.Second
	a, err := t.attach()
	if err != nil {
		return err
	}
	c, err := t.dial(a)
	if err != nil {
		return err
	}
	if err := t.open(c, "locked-held"); err != nil {
		return err
	}
	h, err := t.request("/locked")
	if err != nil {
		return err
	}
	if _, err := c.WaitStopped(daptest.AnyThread); err != nil {
		return err
	}
	pause(t.between(0, time.Second))
	if !h.frozen() {
		return errors.New("the request was let go before anybody waited for it")
	}
	t.strike()
	client := harness.NewClient(t.service.URL, harness.Others, others)
	defer client.Close()
	var waiting sync.WaitGroup
	failed := make(chan error, others)
	for range others {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if r := client.Get(ctx, "/locked"); r.Err != nil || r.Status != http.StatusOK {
				failed <- fmt.Errorf("one behind the lock: status %d: %w", r.Status, r.Err)
			}
		})
	}
	waiting.Wait()
	took := time.Since(t.fault)
	t.measured("all behind the lock were answered after", took)
	select {
	case err := <-failed:
		return err
	default:
	}
	if took > soon {
		return fmt.Errorf("those behind the lock waited for %v", took)
	}
	said, err := c.WaitOutput("goroutines wait for sync.Mutex.Lock")
	if err != nil {
		return fmt.Errorf("the IDE was not told: %w", err)
	}
	t.label = said
	if _, err := c.WaitThread("exited", daptest.AnyThread); err != nil {
		return err
	}
	return t.released(a, h)
}
