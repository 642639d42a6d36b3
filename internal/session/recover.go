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
	img, err := board.Locate(pid)
	if err != nil {
		return recovery.Report{}, err
	}
	b, err := board.Open(vmem.Process{PID: pid}, img)
	if err != nil {
		return recovery.Report{}, err
	}
	if err := recovery.CheckOwner(b); err != nil {
		return recovery.Report{}, err
	}
	return recovery.Heal(pid, b)
}
