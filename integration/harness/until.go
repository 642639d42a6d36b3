//go:build linux

package harness

import (
	"fmt"
	"time"
)

// Until asks for a condition of another process, which cannot tell when it has
// come true, until it holds or time is up.
func Until(timeout time.Duration, what string, holds func() error) error {
	deadline := time.Now().Add(timeout)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("harness: not within %v: %s: %w", timeout, what, err)
		}
		<-tick.C
	}
}
