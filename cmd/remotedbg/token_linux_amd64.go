package main

import (
	"fmt"
	"io"
	"time"

	"github.com/remotedbg/remotedbg/internal/session"
)

const (
	// tokenLife is how long a token is good for: long enough to send some
	// requests, short enough to be worthless in tomorrow's shell history.
	tokenLife = 15 * time.Minute
	// tokenAgain is how long before its end the next one is printed.
	tokenAgain = time.Minute
)

// tellToken prints a new token on stdout, and nowhere else: progress on stderr
// may end in a log.
func tellToken(engine *session.Engine, stdout io.Writer) error {
	_, err := fmt.Fprintf(stdout, "Remotedbg-Token: %s (for %s at most)\n", engine.Token(tokenLife), formatDuration(tokenLife))
	if err != nil {
		return fmt.Errorf("tell the token on stdout: %w", err)
	}
	return nil
}

// keepTelling prints the next token before the last one expires, until the
// engine ends. Should stdout not take it any more, requests stop matching: that
// is the safe end of it.
func keepTelling(engine *session.Engine, stdout io.Writer) {
	tick := time.NewTicker(tokenLife - tokenAgain)
	defer tick.Stop()
	for {
		select {
		case <-engine.Done():
			return
		case <-tick.C:
			if tellToken(engine, stdout) != nil {
				return
			}
		}
	}
}
