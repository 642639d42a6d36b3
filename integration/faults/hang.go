//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// hang is a function of the agent that never returns, in a state in which it is
// soon called.
type hang struct {
	who      string
	function string
	state    state
}

const (
	// The thread is in a ptrace-stop that the tracer has taken.
	inStop = "the tracer, in a stop"
	// The thread runs, and comes to a stop that nobody takes.
	beforeStop = "the tracer, before a stop"
	// Nobody looks at the board, or gives a sign of life.
	atBoard = "the look at the board"
)

// hangs are gone through by turns.
var hangs = []hang{
	{inStop, "live.(*Thread).freeze", nexting},
	{atBoard, "session.(*watcher).look", frozen},
	{beforeStop, "live.waitStop", steppingI},
	{inStop, "live.getRegs", steppingI},
	{atBoard, "session.(*watcher).beat", nexting},
	{beforeStop, "live.(*Thread).thaw", steppingO},
	{inStop, "live.(*Thread).inject", steppingO},
	{atBoard, "session.(*watcher).look", idle},
	{beforeStop, "live.(*Thread).runTo", steppingO},
	{inStop, "live.setRegs", nexting},
	{atBoard, "session.(*watcher).beat", frozen},
	{beforeStop, "live.(*Thread).wait", nexting},
	{inStop, "live.(*Thread).stepFrom", nexting},
	{atBoard, "session.(*watcher).look", steppingI},
	{beforeStop, "live.(*Thread).nextCallStop", steppingI},
	{inStop, "live.(*Thread).cont", steppingI},
	{inStop, "live.getSiginfo", steppingO},
	{inStop, "live.(*Thread).home", nexting},
	{inStop, "live.(*Thread).callStop", steppingO},
	{atBoard, "session.(*watcher).beat", idle},
}

// hangAgent makes a function of the agent an endless loop. The sign of life to
// the watchdog stops, which kills the agent, and nothing of the service waits
// for longer than stallLimit.
func hangAgent(t *trial) error {
	h := hangs[t.number%len(hangs)]
	a, err := t.enter(h.state)
	if err != nil {
		return err
	}
	t.label += ", hangs in " + h.function
	t.counted(h.who)
	at, err := harness.Symbol(a.PID, "github.com/remotedbg/remotedbg/internal/"+h.function)
	if err != nil {
		return err
	}
	p := t.probe("/healthz", 10*time.Millisecond)
	machine := startPulse() // of the fault alone, not of the whole trial
	t.strike()
	// JMP to itself. As in row panic, the kernel lets root write to text pages.
	err = overwrite(a.PID, at, []byte{0xeb, 0xfe})
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
		// On a machine this busy an agent may not run for half a second, and
		// is killed like one that hangs.
		t.counted("agents killed before the fault")
		err = fmt.Errorf("%w: the agent had gone before: %w", errNotProvoked, err)
	case err == nil:
		err = t.killedAsSilent(a, h.who)
	}
	machine.stop()
	worst, failed := p.stop()
	t.measured(h.who+": longest answer to another", worst)
	t.measured("the machine held up other processes for", machine.late())
	// It takes several processes, one after the other, to end this stall: less
	// what a machine busy with other things held up one of them.
	if worst-machine.late() > stallLimit {
		failed = errors.Join(failed, fmt.Errorf("a request of another took %v", worst))
	}
	return errors.Join(err, failed)
}

// killedAsSilent waits until the watchdog has killed an agent that hangs.
func (t *trial) killedAsSilent(a *harness.Agent, who string) error {
	code, err := a.Wait(endTimeout)
	if err != nil {
		_ = a.Signal(syscall.SIGKILL)
		return fmt.Errorf("the watchdog did not kill the agent that hangs: %w", err)
	}
	t.measured(who+": agent killed and gone after", time.Since(t.fault))
	if code != -int(syscall.SIGKILL) || !strings.Contains(a.Stderr.String(), "gave no sign of life") {
		return fmt.Errorf("the agent that hangs ended with %d, and not by its watchdog", code)
	}
	return nil
}

// overwrite writes into a process whatever the protection of its pages.
func overwrite(pid int, addr uint64, code []byte) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	_, err = mem.WriteAt(code, int64(addr))
	return err
}
