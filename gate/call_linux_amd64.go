package gate

import "unsafe"

// Calls: how a person at a frozen request has a function of the service called.
//
// While a request is frozen its goroutine is parked inside the runtime's
// debug-call protocol and another goroutine, locked to the same thread, is in
// park. That goroutine makes the calls: the agent has it return from park and
// enter calls, which comes to a trap again and again; each time the agent says
// what to call, with which registers, and at last park again. The request's
// goroutine does not move meanwhile.
//
// Nothing here depends on an agent that lives: at a trap that no agent takes the
// landing pad goes on, and calls returns, to where park would have returned to.

//lint:file-ignore U1000 callFrame uses callReturned, in assembly

// Why callFrame stops, in R12 at its trap.
const (
	callsBegin   = 32 // nothing was called yet
	callReturned = 33 // what was called has returned, its results are in registers and on the stack
	callPanicked = 34 // what was called has panicked with the interface value in AX and BX; nil: it has ended its goroutine
)

// numKept is how many pointers the agent can have kept alive.
const numKept = 64

// calls is entered by the agent alone. It calls serveCalls(back, callsBegin, nil).
func calls()

// serveCalls makes calls until the agent wants no more, and again after each
// that panics. value is what the last one panicked with; back leads to where
// calls returns to: how far the return address on its stack is from the upper
// end of that, which stays when the stack is moved.
func serveCalls(back, why uintptr, value any) {
	// Results, for as long as the agent looks at them: without a reference
	// from a stack the garbage collector would take them.
	var kept [numKept]unsafe.Pointer
	over := false
	defer func() {
		if !over {
			v := recover()
			serveCalls(back, callPanicked, v)
			if v == nil {
				// runtime.Goexit cannot be recovered from, and if it ended
				// this goroutine the runtime would end the thread and never
				// go on with the request's. A living agent has taken the
				// thread away before it gets here, in the same way.
				escape(back)
			}
		}
	}()
	callFrame(why, &kept, value)
	over = true
}

// callFrame stops at trap, with why in R12, the address of kept in DX and value
// in AX and BX. While the agent has put the address of a function into R13 it
// calls that, with the other registers and the bottom of the frame as the agent
// has filled them, and stops again.
//
//go:noescape
func callFrame(why uintptr, kept *[numKept]unsafe.Pointer, value any)

// escape returns from calls, whatever is under way above it on the stack.
func escape(back uintptr)

// The reference that keeps calls in the binary; see park.
func init() { keep(calls) }
