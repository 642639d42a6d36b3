//go:build linux && amd64

package session

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
)

// LookConfig says whose clients to look at, and for how long.
type LookConfig struct {
	PID  int
	For  time.Duration
	Log  func(string)      // progress, may be nil
	Seen func(board.Sight) // called for each request, in order, by the goroutine that called Look
	// Missed is called by it when requests came faster than they could be
	// looked at.
	Missed func(n int)
}

// Look shows which client addresses the gate of a process finds for its
// requests, and why, until For is over or ctx ends. The gate is armed without a
// rule meanwhile: it matches nobody, and no thread is traced. A failure is a
// *Refusal, which has a hint.
func Look(ctx context.Context, cfg LookConfig) error {
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	l := looker{cfg: cfg, end: board.Now() + cfg.For}
	if err := l.open(); err != nil {
		return refuse(cfg.PID, fmt.Sprintf("look at the clients of process %d", cfg.PID), err)
	}
	err := l.watch(ctx)
	if offErr := l.board.DisarmOwn(os.Getpid()); err == nil && offErr != nil {
		err = offErr
	}
	if err != nil {
		return refuse(cfg.PID, fmt.Sprintf("look at the clients of process %d", cfg.PID), err)
	}
	return nil
}

type looker struct {
	cfg   LookConfig
	board *board.Board
	end   time.Duration // on board.Now's clock
	last  uint32        // number of the last sight
}

func (l *looker) open() error {
	var err error
	if _, l.board, err = openBoard(l.cfg.PID); err != nil {
		return err
	}
	if err := healAloud(l.cfg.PID, l.board, l.cfg.Log); err != nil {
		return err
	}
	if _, l.last, err = l.board.ReadSights(0); err != nil {
		return err
	}
	if err := l.board.Arm(os.Getpid(), nil, l.lease()); err != nil {
		return err
	}
	return l.board.SetLooking(true)
}

func (l *looker) lease() time.Duration { return min(board.Now()+leaseLength, l.end) }

func (l *looker) watch(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	renewAt := board.Now() + renewEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		list, last, err := l.board.ReadSights(l.last)
		if err != nil {
			return err
		}
		for _, s := range list {
			l.cfg.Seen(s)
		}
		if missed := int(last-l.last) - len(list); missed > 0 && l.cfg.Missed != nil {
			l.cfg.Missed(missed)
		}
		l.last = last
		now := board.Now()
		if now >= l.end {
			return nil
		}
		if now >= renewAt {
			renewAt = now + renewEvery
			if err := l.renew(); err != nil {
				return err
			}
		}
	}
}

// renew extends the lease while the board is there and still ours.
func (l *looker) renew() error {
	if err := l.board.Check(); err != nil {
		return err
	}
	switch owner, err := l.board.Owner(); {
	case err != nil:
		return err
	case owner != os.Getpid():
		return board.ErrArmed
	}
	return l.board.Renew(l.lease())
}
