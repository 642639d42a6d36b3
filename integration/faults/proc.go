//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// usage is what a process has, as /proc tells it.
type usage struct {
	threads, fds, goroutines int // goroutines: -1 if they cannot be known
	rss                      int64
}

func (u usage) String() string {
	text := fmt.Sprintf("%d threads, %d fds, %.1f MB", u.threads, u.fds, float64(u.rss)/1e6)
	if u.goroutines >= 0 {
		text = fmt.Sprintf("%d goroutines, %s", u.goroutines, text)
	}
	return text
}

func usageOf(pid int) (usage, error) {
	u := usage{goroutines: -1}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return u, err
	}
	u.fds, u.threads = len(fds), len(threads)
	u.rss, err = statusBytes(pid, "VmRSS")
	return u, err
}

// statusBytes is a field in kB of proc_pid_status(5), in bytes.
func statusBytes(pid int, field string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", field, pid)
}

// resetPeak makes VmHWM start again from what is resident now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}
