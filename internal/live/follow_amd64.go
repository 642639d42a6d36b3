//go:build linux

package live

import (
	"errors"
	"fmt"
)

// Births is what a Thread needs to take along the goroutines that its request
// starts. The zero Births takes none.
//
// A go statement is a call of runtime.newproc with the function to start. Where
// one is reached that Follow wants, the thread makes another call first, of
// gate.adopt, by the debug-call protocol; what that returns is started instead.
// For the time of the call it stands at gate.again, which goes on to newproc. The
// goroutine then comes to the gate by itself and offers its own thread, like a
// request. No other thread is concerned.
type Births struct {
	NewProc uint64 // entry of runtime.newproc
	Adopt   uint64 // entry of gate.adopt
	Again   uint64 // entry of gate.again, which jumps to where R13 says
	// Follow says whether the go statement that returns to ret is one whose
	// goroutine belongs to the request, and Room whether the gate could take one
	// now. Safe to call from any goroutine.
	Follow func(ret uint64) bool
	Room   func() bool
	// Born is called when one was taken along; it must not block.
	Born func()
}

// MaxBirths is how many goroutines of one goroutine are taken along. Each costs its
// starter about a millisecond, and a loop that starts 10,000 is not debugged one by
// one.
const MaxBirths = 500

// Untouched says why goroutines that a thread's request has started were not taken
// along, though Births.Follow wants them: some of the reasons below, or 0.
type Untouched uint32

// The reasons. With the first one it is not known whether any were started: nothing
// was there to notice them.
const (
	NoHardware Untouched = 1 << iota // during some part of the way no hardware breakpoint was left
	TooMany                          // there were more than MaxBirths
	NoRoom                           // Births.Room said so
)

// Untouched says what has happened so far.
func (t *Thread) Untouched() Untouched { return Untouched(t.untouched.Load()) }

// Births is how many goroutines were taken along so far.
func (t *Thread) Births() int { return int(t.births.Load()) }

func (t *Thread) noteUntouched(why Untouched) { t.untouched.Or(uint32(why)) }

// awaitsBirths says whether go statements are to be noticed. One more than
// MaxBirths is, to know that there are more.
func (t *Thread) awaitsBirths() bool {
	return t.proc.Births.NewProc != 0 && t.Untouched()&TooMany == 0
}

// adopt is called in a ptrace-stop at the entry of runtime.newproc. If the
// goroutine is to be followed the thread stands there with another function to
// start afterwards, with no breakpoint armed; otherwise nothing was done.
func (t *Thread) adopt(regs Regs) (bool, error) {
	b := &t.proc.Births
	if !t.awaitsBirths() {
		return false, nil
	}
	if regs.Rax == t.adopted {
		// It was here, if a signal took the resume flag. No other function can be
		// at that address: gate.adopt keeps it.
		return false, nil
	}
	ret, err := t.proc.Mem.Uint64(regs.Rsp)
	if err != nil || !b.Follow(ret) {
		return false, err
	}
	switch {
	case t.Births() >= MaxBirths:
		t.noteUntouched(TooMany)
		return false, nil
	case !b.Room():
		t.noteUntouched(NoRoom)
		return false, nil
	}
	// Should we die, the thread comes back to gate.again with these registers, and
	// starts what it was to start. R13 is nobody's at the entry of a function
	// (cmd/compile/abi-internal.md).
	at := regs
	at.R13 = b.NewProc
	jump(&at, b.Again)
	t.bps.clear() // the runtime's own code must not stop while it makes the call
	if err := setRegs(t.tid, at); err != nil {
		return false, t.lost(err)
	}
	child, err := t.callAdopt(at, regs.Rax)
	if err != nil {
		return false, err
	}
	now, err := getRegs(t.tid)
	if err != nil {
		return false, t.lost(err)
	}
	now.Rax = child
	jump(&now, b.NewProc)
	if child != regs.Rax {
		t.adopted = child
		t.births.Add(1)
	}
	return true, t.lost(setRegs(t.tid, now))
}

// callAdopt has the thread, in a ptrace-stop in user code with registers regs,
// call gate.adopt with the function fn, and gives what it returned: fn itself if
// the runtime refuses.
func (t *Thread) callAdopt(regs Regs, fn uint64) (uint64, error) {
	st, at, _, err := t.openCall(regs)
	if err != nil || st == nil {
		return fn, err
	}
	// Through the trap's RET, for the sake of the landing pad: see enterCalls.
	// The frame above has room for the argument, should it be spilled.
	in := at
	in.Rsp -= 16
	in.Rax = fn
	if err := errors.Join(t.proc.Mem.PutUint64(in.Rsp, t.proc.Births.Adopt), t.proc.Mem.PutUint64(in.Rsp+8, at.Rip)); err != nil {
		return fn, err
	}
	jump(&in, t.proc.Trap+1)
	if err := setRegs(t.tid, in); err != nil {
		return fn, t.lost(err)
	}
	if at, err = t.callStop(); err != nil {
		return fn, err
	}
	if at.R12 != callReturned {
		return fn, fmt.Errorf("debug call protocol: R12 is %d when gate.adopt should have returned", at.R12)
	}
	child := at.Rax
	if at, err = t.callStop(); err != nil {
		return fn, err
	}
	t.proc.Births.Born()
	return child, t.home(st, at)
}

// birth is adopt for a thread that runs at full speed, and lets it go on. It
// answers whether a pause was asked for; the thread stands still then.
func (t *Thread) birth(regs Regs, rearm func()) (pause bool, err error) {
	again, err := t.adopt(regs)
	if err != nil {
		return false, err
	}
	if !again {
		if !t.awaitsBirths() {
			rearm() // without newproc
		}
		return false, t.contPast()
	}
	rearm()
	// Its signal may have been delivered within the call.
	if pause, err = t.readMail(rearm); pause || err != nil {
		return pause, err
	}
	return false, t.contPast()
}
