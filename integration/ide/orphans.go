//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// adopt makes this process the parent of the orphans among its descendants, so
// that whatever VS Code and Chromium leave behind can be found: prctl(2),
// PR_SET_CHILD_SUBREAPER.
func adopt() error {
	const setChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setChildSubreaper, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("remotedbg: ide test: prctl: %w", errno)
	}
	return nil
}

// endOrphans waits for the children that are left to end by themselves, kills
// those that do not, and says which. Nobody else may be waiting for a child.
func endOrphans() error {
	left := harness.Until(10*time.Second, "no process is left", func() error {
		all, err := children()
		if err != nil {
			return err
		}
		var running []string
		for pid, name := range all {
			if gone, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil && gone == 0 {
				running = append(running, fmt.Sprintf("%s (pid %d)", name, pid))
			}
		}
		if len(running) > 0 {
			return fmt.Errorf("still running: %s", strings.Join(running, ", "))
		}
		return nil
	})
	if left == nil {
		return nil
	}
	// The children of one that is killed become children of this process.
	for all, err := children(); len(all) > 0; all, err = children() {
		if err != nil {
			return err
		}
		for pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil)
		}
	}
	return fmt.Errorf("%w (killed)", left)
}

// children are the processes whose parent is this one, by id, with their names.
func children() (map[int]string, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	found := make(map[int]string)
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// "pid (name) state ppid ...", and the name may hold anything: proc_pid_stat(5).
		open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		if open < 0 || end < open {
			continue
		}
		fields := strings.Fields(string(stat[end+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(stat[:open])))
		if err != nil {
			return nil, err
		}
		found[pid] = string(stat[open+1 : end])
	}
	return found, nil
}
