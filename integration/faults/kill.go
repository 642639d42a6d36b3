//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

const termination = syscall.SIGTERM

// endTimeout bounds what an agent may take to be gone, watchdog included: the
// harness waits for everyone who has the agent's stderr.
const endTimeout = 15 * time.Second

// killAgent kills the agent alone.
func killAgent(t *trial) error {
	a, err := t.enter(allStates[t.number%len(allStates)])
	if err != nil {
		return err
	}
	t.strike()
	if err := a.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	return t.gone(a, -int(syscall.SIGKILL))
}

// killBoth kills the agent and its watchdog, in either order.
func killBoth(t *trial) error {
	a, err := t.enter(allStates[t.number%len(allStates)])
	if err != nil {
		return err
	}
	pids := append(children(a.PID), a.PID)
	if len(pids) > 1 {
		t.counted("watchdogs killed")
	}
	t.strike()
	t.rng.Shuffle(len(pids), func(i, j int) { pids[i], pids[j] = pids[j], pids[i] })
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already, in a detach
	}
	return t.gone(a, -int(syscall.SIGKILL))
}

// gone waits until the agent and its watchdog are gone. An agent that was just
// detaching, or whose watchdog was killed first, may have ended by itself.
func (t *trial) gone(a *harness.Agent, want int) error {
	code, err := a.Wait(endTimeout)
	if err != nil {
		return fmt.Errorf("the agent and its watchdog: %w", err)
	}
	t.measured("agent and watchdog gone after", time.Since(t.fault))
	if strings.Contains(a.Stderr.String(), "uprobes were left and are removed") {
		t.counted("times that the watchdog removed uprobes")
	}
	switch {
	case code == want:
		return nil
	case strings.HasPrefix(t.label, string(detaching)) && code == 0:
		t.counted("detached in time")
		return nil
	case code == 1 && strings.Contains(a.Stderr.String(), "the watchdog has died"):
		t.counted("ended itself as its watchdog had died")
		return nil
	}
	return fmt.Errorf("the agent ended with %d, not %d", code, want)
}

// children are the processes whose parent is pid.
func children(pid int) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): the name may contain anything, so the fields are
		// counted from its closing parenthesis.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}
