//go:build linux && amd64

package recovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"golang.org/x/sys/unix"
)

const (
	// silence is how long the agent that has armed a gate gives no sign of
	// life before it is taken for dead. It gives one every 100 ms, and its
	// watchdog allows it 500 ms.
	silence = 700 * time.Millisecond
	// lookEvery is how often its heartbeat is looked at meanwhile.
	lookEvery = 20 * time.Millisecond
)

// CheckOwner fails with board.ErrArmed if a live agent has armed the gate. An
// agent that was killed leaves a lease behind; then CheckOwner succeeds, after
// less than a second, without waiting for its end.
//
// A process id alone proves nothing: an agent in another pid namespace has one
// that does not exist in ours. Its heartbeat tells.
func CheckOwner(b *board.Board) error {
	owner, err := b.Owner()
	if err != nil || owner == 0 {
		return err
	}
	alive, err := running(owner)
	if err != nil {
		return err
	}
	if !alive {
		if alive, err = beats(b); err != nil {
			return err
		}
	}
	if alive {
		return fmt.Errorf("%w: its process id is %d", board.ErrArmed, owner)
	}
	return nil
}

// running says whether process pid of our pid namespace has not ended. One that
// waits for its parent to collect it has: its pidfd is readable, pidfd_open(2).
func running(pid int) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) { // EINVAL: no process, but a thread has the id
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n == 0, err
		}
	}
}

// beats says whether the board's heartbeat goes on.
func beats(b *board.Board) (bool, error) {
	first, err := b.ReadHeader()
	if err != nil {
		return false, err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for board.Now()-first.Beat < silence {
		<-tick.C
		now, err := b.ReadHeader()
		if err != nil {
			return false, err
		}
		if now.Beat != first.Beat {
			return true, nil
		}
	}
	return false, nil
}
