//go:build linux && amd64

package session

import (
	"fmt"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/recovery"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// Recover heals process pid after its agent died, as Open does before it arms,
// and does nothing else. It refuses while a live agent has armed the gate. A
// failure is a *Refusal, which has a hint.
func Recover(pid int) (recovery.Report, error) {
	report, err := heal(pid)
	if err != nil {
		err = refuse(pid, fmt.Sprintf("recover process %d", pid), err)
	}
	return report, err
}

func heal(pid int) (recovery.Report, error) {
	_, b, err := openBoard(pid)
	if err != nil {
		return recovery.Report{}, err
	}
	return recovery.Heal(pid, b)
}

// openBoard finds the board of process pid, which no live agent may have armed.
func openBoard(pid int) (*board.Image, *board.Board, error) {
	img, err := board.Locate(pid)
	if err != nil {
		return nil, nil, err
	}
	b, err := board.Open(vmem.Process{PID: pid}, img)
	if err != nil {
		return nil, nil, err
	}
	return img, b, recovery.CheckOwner(b)
}

// healAloud heals what an earlier agent left on b, and logs it.
func healAloud(pid int, b *board.Board, log func(string)) error {
	report, err := recovery.Heal(pid, b)
	if len(report.Lines()) > 0 {
		log("left behind by an earlier agent: " + report.String())
	}
	return err
}
