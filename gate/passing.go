package gate

import (
	"math/rand/v2"
	"sync/atomic"
)

// The agent's stall guard wants to know whether everybody else's requests take
// longer since one is frozen, also where they wait for a database and not for a
// lock. So the agent writes the number of the present epoch, some hundred
// milliseconds long, on the board, and each request is counted in the epoch it
// began in, when it begins and when it ends. Those that are missing after a
// second have taken that long. That is two additions for a request, and none
// while no agent asks.

// pass counts a request that runs untouched, if the agent asks for it. The
// Ticket's Leave counts its end.
func pass() Ticket {
	word := atomic.LoadUint32(&theBoard.epoch)
	if word == 0 {
		return Ticket{}
	}
	return begin(word)
}

// begin is the part of pass that is seldom needed. The mask thins out the
// requests of a busy service, where every processor would write to the same
// cache line.
func begin(word uint32) Ticket {
	if mask := word & 0xff; mask != 0 && rand.Uint32()&mask != 0 {
		return Ticket{}
	}
	atomic.AddUint32(&theBoard.epochs[word>>8%numEpochs].begun, 1)
	return Ticket{epoch: word>>8 | counted}
}

// counted marks the epoch of a Ticket, which may be number 0.
const counted = 1 << 31

// end counts the end of a request of epoch e. One that has outlived all epochs
// on the board counts as never ended: its place belongs to another epoch.
func end(e uint32) {
	const numbers = 1<<24 - 1 // what is left of a word beside the mask
	now := atomic.LoadUint32(&theBoard.epoch)
	if now == 0 || (now>>8-e)&numbers >= numEpochs {
		return
	}
	atomic.AddUint32(&theBoard.epochs[e%numEpochs].ended, 1)
}
