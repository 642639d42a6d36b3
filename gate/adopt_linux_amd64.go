package gate

import "sync/atomic"

// adopt is Follow for the agent. At a go statement of a trapped request it makes
// the request's thread call this with the function that the statement is about to
// start, in the way it makes it call park, and puts the result in its place.
// Nothing in the service calls it; the agent knows it by its symbol.
//
// For the instructions between the agent's reading the result and the goroutine's
// start nothing that the garbage collector looks at refers to it: births does, in
// the place of the calling request, which has one go statement under way at most.
//
//go:noinline
func adopt(f func()) func() {
	run := Follow(f)
	if from, ok := current(); ok {
		births[from.parent-1].Store(&birth{run})
	}
	return run
}

type birth struct{ run func() }

// births has what the request in a slot has started last, until it ends: what a
// function has captured may be large.
var births [numSlots]atomic.Pointer[birth]

// forgetBirth lets the collector have what the request in s has started last.
func forgetBirth(s *slot) {
	for i := range theBoard.slots {
		if s == &theBoard.slots[i] {
			births[i].Store(nil)
		}
	}
}

// again is where the agent has the thread make the call of adopt: it stands for
// the first instruction of runtime.newproc, where the runtime refuses, being in
// itself; and at the go statement's own call it refuses behind a write barrier.
// The agent sets R13 to newproc. If it dies, the thread goes on to that from here.
func again()

func init() { keep(func() { adopt(nil); again() }) }
