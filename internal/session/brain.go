//go:build linux && amd64

package session

import (
	"sync"
	"sync/atomic"
)

// brainLock serialises the use of Delve, whose tables are not safe for concurrent
// use. Who waits gets it before the one who has it can have it again, which a
// sync.Mutex does not promise within its first millisecond; and who has it can ask
// whether it is wanted. The zero value is ready.
type brainLock struct {
	next    sync.Mutex // held by the one that waits for held
	held    sync.Mutex
	waiting atomic.Int32
}

func (l *brainLock) Lock() {
	l.waiting.Add(1)
	l.next.Lock()
	l.held.Lock()
	l.next.Unlock()
	l.waiting.Add(-1)
}

func (l *brainLock) Unlock() { l.held.Unlock() }

// wanted tells whether somebody waits.
func (l *brainLock) wanted() bool { return l.waiting.Load() > 0 }
