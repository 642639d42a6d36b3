//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

const (
	// disarmLimit is how long an agent may stay armed without its watchdog.
	disarmLimit = time.Second
	// suspendLimit is the same for a watchdog that is stopped: the agent waits
	// for two seconds of heartbeats to be answered.
	suspendLimit = 4 * time.Second
)

// loseWatchdog kills or stops the watchdog alone. An agent without one ends in
// good order.
func loseWatchdog(t *trial) error {
	a, err := t.enter(steppingStates[t.number%len(steppingStates)])
	if err != nil {
		return err
	}
	watchdog, err := watchdogOf(a)
	if err != nil {
		return err
	}
	board, err := harness.OpenBoard(t.service.PID)
	if err != nil {
		return err
	}
	defer board.Close()
	t.strike()
	if t.number/len(steppingStates)%2 == 1 {
		return t.suspend(a, watchdog, board)
	}
	t.label += ", SIGKILL to the watchdog"
	t.counted("SIGKILL")
	if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
		return err
	}
	took, err := t.untilDisarmed(board, endTimeout)
	if err != nil {
		return err
	}
	t.measured("disarmed after SIGKILL to the watchdog after", took)
	if took > disarmLimit {
		err = fmt.Errorf("the agent disarmed %v after its watchdog was killed", took)
	}
	code, failed := a.Wait(endTimeout)
	if failed != nil || code != 1 || !strings.Contains(a.Stderr.String(), "the watchdog has died") {
		err = errors.Join(err, fmt.Errorf("the agent ended with %d and did not say that its watchdog has died: %w", code, failed))
	}
	return err
}

// suspend stops the watchdog: its agent has to notice that it has none.
func (t *trial) suspend(a *harness.Agent, watchdog int, board *harness.Board) error {
	t.label += ", SIGSTOP to the watchdog"
	t.counted("SIGSTOP")
	if err := syscall.Kill(watchdog, syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { _ = syscall.Kill(watchdog, syscall.SIGCONT) }() // it may be dead by now
	took, err := t.untilDisarmed(board, suspendLimit)
	if err != nil {
		return err
	}
	t.measured("disarmed after SIGSTOP to the watchdog after", took)
	code, err := a.Wait(endTimeout)
	if err != nil || code != 1 || !strings.Contains(a.Stderr.String(), "the watchdog has died") {
		err = errors.Join(err, fmt.Errorf("the agent ended with %d and did not say that its watchdog has died", code))
	}
	return err
}

// watchdogOf is the one child that an agent has.
func watchdogOf(a *harness.Agent) (int, error) {
	pids := children(a.PID)
	if len(pids) != 1 {
		return 0, fmt.Errorf("the agent has the children %v, and not one watchdog", pids)
	}
	return pids[0], nil
}
