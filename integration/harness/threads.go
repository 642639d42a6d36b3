//go:build linux

package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Untraced fails if a thread of the process has a tracer or is stopped.
func Untraced(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("harness: process %d has no threads", pid)
	}
	var errs []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
			continue // it ended just now
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, untraced(file, string(text)))
	}
	return errors.Join(errs...)
}

// WaitBlocked waits until the one thread of the process that has a tracer is
// asleep and has not run for a while: longer than the 100 ms for which a
// request waits for the agent's answer.
func WaitBlocked(pid int, timeout time.Duration) error {
	const while = 250 * time.Millisecond
	var before []string
	var since time.Time
	return Until(timeout, "the traced thread is blocked", func() error {
		status, err := tracedStatus(pid)
		if err != nil {
			return err
		}
		// The counts of context switches and the state.
		now := switches.FindAllString(status, -1)
		if !slices.Equal(now, before) {
			before, since = now, time.Now()
		}
		if !strings.Contains(status, "\nState:\tS") {
			return errors.New("it runs")
		}
		if time.Since(since) < while {
			return errors.New("it ran just now")
		}
		return nil
	})
}

var switches = regexp.MustCompile(`(?m)^(State|(non)?voluntary_ctxt_switches):.*$`)

// tracedStatus is the status of the one thread that has a tracer.
func tracedStatus(pid int) (string, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return "", fmt.Errorf("harness: %w", err)
	}
	var found []string
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && untraced(file, string(text)) != nil {
			found = append(found, string(text))
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("harness: %d threads of process %d are traced", len(found), pid)
	}
	return found[0], nil
}

func untraced(file, status string) error {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case name == "TracerPid" && value != "0":
			return fmt.Errorf("harness: %s: traced by %s", filepath.Dir(file), value)
		// proc_pid_status(5): T is stopped, t is stopped by a tracer.
		case name == "State" && (strings.HasPrefix(value, "T") || strings.HasPrefix(value, "t")):
			return fmt.Errorf("harness: %s: state %s", filepath.Dir(file), value)
		}
	}
	return nil
}
