package gate

import "sync/atomic"

// adopt is Follow for the agent. At a go statement of a trapped request it makes
// the request's thread call this with the function that the statement is about to
// start, in the way it makes it call park, and puts the result in its place.
// Nothing in the service calls it; the agent knows it by its symbol.
//
// For the instructions between the agent's reading the result and the goroutine's
// start nothing that the garbage collector looks at refers to it: births does.
//
//go:noinline
func adopt(f func()) func() {
	b := &birth{Follow(f)}
	births[nextBirth.Add(1)%uint32(len(births))].Store(b)
	return b.run
}

type birth struct{ run func() }

var (
	births    [2 * numSlots]atomic.Pointer[birth] // the last ones, for adopt
	nextBirth atomic.Uint32
)

func init() { keep(func() { adopt(nil) }) }
