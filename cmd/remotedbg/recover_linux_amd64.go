package main

import (
	"fmt"
	"io"

	"github.com/remotedbg/remotedbg/internal/session"
)

// recoverProcess heals the process that o names and prints what it found.
func recoverProcess(o attachOptions, stdout io.Writer) error {
	target, err := findProcess(o)
	if err != nil {
		return err
	}
	defer target.close()
	report, err := session.Recover(target.pid)
	lines := report.Lines()
	if err == nil && len(lines) == 0 {
		lines = []string{"nothing to recover: the gate is disarmed and no slot is left behind"}
	}
	for _, line := range lines { // also what was done before an error
		if _, err := fmt.Fprintf(stdout, "%s: %s\n", target, line); err != nil {
			return fmt.Errorf("write to stdout: %w", err)
		}
	}
	return err
}
