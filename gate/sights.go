package gate

import (
	"sync/atomic"
	"unicode/utf8"
)

// A person who is to name an allowlist wants to know what addresses the gate
// sees. While the agent looks, each request's client is written to a ring on
// the board, over the oldest. Requests that come at the same time take different
// places, and the agent knows from the numbers which ones it has missed.

// sightBusy is the number of a sight that is being written.
const sightBusy = 1<<32 - 1

// looked reports whether the agent wants to see the clients.
func looked() bool { return atomic.LoadUint32(&theBoard.looking) != 0 }

// show writes a request's client on the board, while the agent that looks lives.
func show(peer string, client Client, method, path string) {
	if monotonic() >= atomic.LoadInt64(&theBoard.lease) {
		return
	}
	n := atomic.AddUint32(&theBoard.sighted, 1)
	s := &theBoard.sights[n%numSights]
	if old := atomic.LoadUint32(&s.n); old == sightBusy || !atomic.CompareAndSwapUint32(&s.n, old, sightBusy) {
		return // another request is at this place: one of the two is missed
	}
	s.peer.n = setText(s.peer.b[:], peer)
	s.client.n = 0
	if client.Addr.IsValid() {
		s.client.n = uint16(len(client.Addr.AppendTo(s.client.b[:0]))) // at most 45 bytes
	}
	s.reason.n = setText(s.reason.b[:], client.Reason)
	s.method.n = setText(s.method.b[:], method)
	s.path.n = setText(s.path.b[:], path)
	atomic.StoreUint32(&s.n, n)
}

// setText copies as much of text as fits into b, without cutting a character
// in two.
func setText(b []byte, text string) uint16 {
	n := copy(b, text)
	if n < len(text) {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
	}
	return uint16(n)
}
