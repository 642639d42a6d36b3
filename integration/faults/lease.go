//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// boardWatch looks at the header of the board all the time: armed, with a lease
// and a heartbeat.
type boardWatch struct {
	over     chan struct{}
	watching sync.WaitGroup
	err      error // valid when watching is done
}

// beatLimit is how old a heartbeat may get: the gate takes an agent for dead
// after a second.
const beatLimit = time.Second

// watchBoard starts to look. The board is the caller's to close.
func (t *trial) watchBoard(b *harness.Board) *boardWatch {
	w := &boardWatch{over: make(chan struct{})}
	w.watching.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.over:
				return
			case <-t.stopping:
				return
			case <-tick.C:
			}
			h, err := b.Header()
			if err == nil && h.Armed {
				t.measured("oldest heartbeat", h.Beat)
			}
			if err == nil && (!h.Armed || h.Lease <= 0 || h.Beat > beatLimit) {
				err = fmt.Errorf("the board: armed %t, lease for %v, heartbeat %v ago", h.Armed, h.Lease, h.Beat)
			}
			if err != nil {
				w.err = err
				return
			}
		}
	})
	return w
}

// stop ends it and says what was wrong.
func (w *boardWatch) stop() error {
	close(w.over)
	w.watching.Wait()
	return w.err
}

// untilDisarmed waits until the agent has taken the board out of service, and
// says how long that took since the fault.
func (t *trial) untilDisarmed(b *harness.Board, timeout time.Duration) (time.Duration, error) {
	err := harness.Until(timeout, "the agent disarms", func() error {
		h, err := b.Header()
		if err == nil && h.Armed {
			err = errors.New("the gate is armed")
		}
		return err
	})
	return time.Since(t.fault), err
}
