//go:build linux

package live

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A Call is made by the thread of a frozen request, which stays frozen: its
// goroutine is parked all the time, and the goroutine that the debug-call
// protocol has started makes the call (gate/call_linux_amd64.go). Breakpoints
// are not armed meanwhile.
type Call struct {
	// Fresh: what earlier calls returned need not be kept alive if there is no
	// room for it.
	Fresh bool
	Steps []Step
}

// Step is one function called with the internal ABI (cmd/compile/abi-internal.md).
type Step struct {
	Writes  []Write // memory to fill first
	PC      uint64  // entry of the function
	Context Word    // closure
	Ints    [IntRegisters]Word
	Floats  [FloatRegisters]uint64 // the low halves of X0 to X14
	Stack   []StackWord
	Keep    []Source // pointers among its results that must stay alive
	Saves   []Save   // results to note down
}

// Limits of the ABI on amd64 and of the gate's call frame.
const (
	IntRegisters   = 9
	FloatRegisters = 15
	CallStack      = 2048 // bytes of arguments and results on the stack
	KeptPointers   = 64   // between two fresh calls
)

// Word is a register's value: Value, and added to it, if From is not 0, what
// step number From of the same Call has returned in its first register.
type Word struct {
	Value uint64
	From  int
}

// Write is memory to be filled: with Data, or if that is nil with Value.
type Write struct {
	To    Word
	Data  []byte
	Value Word
}

// StackWord is up to 8 bytes of stack arguments.
type StackWord struct {
	Offset uint64
	Size   int
	Word
}

// Source is a part of a function's results.
type Source struct {
	Where Place
	Index uint64 // of the register, or the offset on the stack
}

// Place is where a result is.
type Place int

// The places.
const (
	InInt Place = iota
	InFloat
	OnStack
)

// Save notes down a result of at most 8 bytes, or of any size on the stack.
type Save struct {
	To   Word
	From Source
	Size int
}

// Called says how a Call ended; the request is frozen as before.
type Called struct {
	// First is what each step returned in its first register.
	First []uint64
	// Panic is the interface value that the last step panicked with: its type
	// and its data, kept alive. nil: it returned.
	Panic *[2]uint64
	// Exited: the last step ended its goroutine (runtime.Goexit).
	Exited bool
	// Err says why it was not made.
	Err error
}

// Errors of Called.
var (
	ErrNoCalls  = errors.New("the gate in this service is older than function calls: build the service with the agent's version of it")
	ErrTooMuch  = errors.New("too many pointers to keep alive")
	errNotFound = errors.New("gate.callFrame: unexpected stop")
)

// Call has the frozen request's thread make c. To be called once for a Frozen or
// a Called event; an event with Called follows, however long the functions take.
// Resume must wait for it. Release need not: the thread is let go of in the
// middle of the call, and the service finishes it by itself.
func (t *Thread) Call(c Call) { t.post(func(m *mail) { m.call = &c }) }

// Values of R12 at the gate's trap (gate/call_linux_amd64.go).
const (
	gateBegin    = 32
	gateReturned = 33
	gatePanicked = 34
)

// maxPanics is how many panics may leave their frames on the stack.
const maxPanics = 4

// calling is where the thread of a frozen request stands.
type calling struct {
	frame  uint64 // debugCall32's address behind its first INT3, where calls return to
	on     bool   // the request's thread is in gate.calls, below it
	depth  uint64 // of the return address of gate.calls, from the upper end of the stack
	panics int    // after which gate.calls serves on
	kept   uint64 // entries of its table in use
}

// makeCall takes a thread that is in the gate's wait function through c and back
// into it.
func (t *Thread) makeCall(c Call) (*Called, error) {
	if t.proc.Trap == 0 || t.proc.Calls == 0 {
		return &Called{Err: ErrNoCalls}, nil
	}
	need := uint64(0)
	for _, s := range c.Steps {
		need += uint64(len(s.Keep))
	}
	if need > KeptPointers || !c.Fresh && t.calls.kept+need > KeptPointers {
		return &Called{Err: ErrTooMuch}, nil
	}
	fresh := c.Fresh && (t.calls.kept+need > KeptPointers || t.calls.panics > maxPanics)
	at, err := t.leavePark(fresh)
	if err != nil {
		return nil, err
	}
	done := &Called{}
	for i := range c.Steps {
		if t.peek().release {
			// Its signal may have been taken on the way here. One that is
			// sent from now on is seen by awaitReturn.
			done.Err = errRelease
			break
		}
		s := &c.Steps[i]
		if at, err = t.runStep(s, at, done); err != nil {
			return nil, err
		}
		if done.Panic != nil {
			break
		}
	}
	if done.Panic != nil && done.Panic[0] == 0 {
		done.Panic, done.Exited = nil, true
		return done, t.rescue(at)
	}
	return done, t.parkInCalls(at)
}

// leavePark wakes the thread in the wait function and leads it to the trap in
// gate.calls.
func (t *Thread) leavePark(fresh bool) (at Regs, err error) {
	if err := t.slot.SetHeld(false); err != nil {
		return at, err
	}
	if err := unix.Tgkill(t.proc.PID, t.tid, unix.SIGURG); err != nil {
		return at, t.lost(err)
	}
	if at, err = t.nextCallStop(); err != nil {
		return at, err
	}
	if t.calls.on {
		if at.R12 != gateReturned {
			return at, fmt.Errorf("%w: R12 is %d", errNotFound, at.R12)
		}
		if fresh {
			t.calls.kept = 0
		}
		if !fresh || t.calls.panics == 0 {
			return at, nil
		}
		// Each panic leaves its frames on the stack: begin anew.
		if at, err = t.leaveCalls(); err != nil {
			return at, err
		}
	}
	if at.R12 != callReturned {
		return at, fmt.Errorf("debug call protocol: R12 is %d when the wait should have returned", at.R12)
	}
	return t.enterCalls(at)
}

// enterCalls makes the call of gate.calls at the protocol's last stop but one.
// RIP is set to the trap's RET, by which the landing pad knows the signal of
// this stop if we die here; it returns to the entry of gate.calls.
func (t *Thread) enterCalls(at Regs) (Regs, error) {
	g, err := t.current(at)
	if err != nil {
		return at, err
	}
	_, hi, err := t.stackOf(g)
	if err != nil {
		return at, err
	}
	at.Rsp -= 16
	err = errors.Join(t.proc.Mem.PutUint64(at.Rsp, t.proc.Calls), t.proc.Mem.PutUint64(at.Rsp+8, t.calls.frame))
	if err != nil {
		return at, err
	}
	t.calls.on, t.calls.panics, t.calls.kept = true, 0, 0
	t.calls.depth = hi - (at.Rsp + 8)
	jump(&at, t.proc.Trap+1)
	if err := setRegs(t.tid, at); err != nil {
		return at, t.lost(err)
	}
	if at, err = t.callStop(); err != nil {
		return at, err
	}
	if at.R12 != gateBegin {
		return at, fmt.Errorf("%w: R12 is %d at the first", errNotFound, at.R12)
	}
	return at, nil
}

// leaveCalls lets gate.calls return, from its trap to the debug call protocol's
// stop.
func (t *Thread) leaveCalls() (Regs, error) {
	t.calls.on = false
	return t.callStop() // R13 is 0 unless we set it
}

// parkInCalls has the thread call the wait function from gate.calls' trap.
func (t *Thread) parkInCalls(at Regs) error {
	if err := t.slot.SetHeld(true); err != nil {
		return err
	}
	at.R13 = t.proc.Park
	jump(&at, at.Rip)
	if err := setRegs(t.tid, at); err != nil {
		return t.lost(err)
	}
	return t.cont(0)
}

// gPanic is the offset of runtime.g's field _panic: the assembler and the linker
// know it, so it does not move (runtime/runtime2.go).
const gPanic = 32

// rescue takes the thread out of a goroutine that is being ended by
// runtime.Goexit, back into the debug call protocol, as if gate.calls had
// returned: the runtime would otherwise end the thread, and never go on with the
// request's goroutine. What Goexit has left in the goroutine is never looked at:
// debugCallWrap1 hands over to the request's, and then it ends.
func (t *Thread) rescue(at Regs) error {
	g, err := t.current(at)
	if err != nil {
		return err
	}
	_, hi, err := t.stackOf(g)
	if err != nil {
		return err
	}
	// The records of panics that are left lie below the stack pointer now, and
	// the collector would look for them.
	if err := t.proc.Mem.PutUint64(g+gPanic, 0); err != nil {
		return err
	}
	at.Rsp = hi - t.calls.depth // where the return address is
	jump(&at, t.proc.Trap+1)
	if err := setRegs(t.tid, at); err != nil {
		return t.lost(err)
	}
	if at, err = t.leaveCalls(); err != nil {
		return err
	}
	if at.R12 != callReturned {
		return fmt.Errorf("debug call protocol: R12 is %d behind the rescue", at.R12)
	}
	at.Rip = t.calls.frame
	return t.enterPark(at)
}
