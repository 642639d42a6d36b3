//go:build linux

package live

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// runStep makes one call from the trap at which the thread stands with registers
// at, and notes its results in done. The thread stands at the trap afterwards.
func (t *Thread) runStep(s *Step, at Regs, done *Called) (Regs, error) {
	word := func(w Word) uint64 {
		if w.From > 0 {
			return w.Value + done.First[w.From-1]
		}
		return w.Value
	}
	mem := t.proc.Mem
	for _, w := range s.Writes {
		data := w.Data
		if data == nil {
			data = binary.LittleEndian.AppendUint64(nil, word(w.Value))
		}
		if _, err := mem.WriteMemory(word(w.To), data); err != nil {
			return at, err
		}
	}
	frame := at.Rsp + 8 // above the return address from the trap
	for _, w := range s.Stack {
		data := binary.LittleEndian.AppendUint64(nil, word(w.Word))[:w.Size]
		if _, err := mem.WriteMemory(frame+w.Offset, data); err != nil {
			return at, err
		}
	}
	g, err := t.current(at)
	if err != nil {
		return at, err
	}
	in := at
	for i, reg := range intRegisters(&in) {
		*reg = word(s.Ints[i])
	}
	in.Rdx, in.R13, in.R14 = word(s.Context), s.PC, g
	if err := t.setFloats(s.Floats); err != nil {
		return at, err
	}
	jump(&in, at.Rip)
	if err := setRegs(t.tid, in); err != nil {
		return at, t.lost(err)
	}
	if err := t.cont(0); err != nil {
		return at, err
	}
	if at, err = t.awaitReturn(); err != nil {
		return at, err
	}
	switch at.R12 {
	case gatePanicked:
		t.calls.panics++
		done.Panic = &[2]uint64{at.Rax, at.Rbx}
		return at, nil
	case gateReturned:
		done.First = append(done.First, at.Rax)
		return at, t.takeResults(s, at, word)
	}
	return at, fmt.Errorf("%w: R12 is %d", errNotFound, at.R12)
}

// takeResults reads what a function has returned, while the thread holds still.
func (t *Thread) takeResults(s *Step, at Regs, word func(Word) uint64) error {
	var floats [FloatRegisters]uint64
	for _, save := range s.Saves {
		if save.From.Where == InFloat {
			xs, err := getXState(t.tid)
			if err != nil {
				return t.lost(err)
			}
			floats = readFloats(xs)
			break
		}
	}
	frame := at.Rsp + 8
	ints := intRegisters(&at)
	read := func(from Source, size int) ([]byte, error) {
		if from.Where == OnStack {
			buf := make([]byte, size)
			_, err := t.proc.Mem.ReadMemory(buf, frame+from.Index)
			return buf, err
		}
		value := floats[min(from.Index, FloatRegisters-1)]
		if from.Where == InInt {
			value = *ints[from.Index]
		}
		return binary.LittleEndian.AppendUint64(nil, value)[:size], nil
	}
	for _, k := range s.Keep {
		ptr, err := read(k, 8)
		if err != nil {
			return err
		}
		if _, err := t.proc.Mem.WriteMemory(at.Rdx+8*t.calls.kept, ptr); err != nil {
			return err
		}
		t.calls.kept++
	}
	for _, save := range s.Saves {
		data, err := read(save.From, save.Size)
		if err != nil {
			return err
		}
		if _, err := t.proc.Mem.WriteMemory(word(save.To), data); err != nil {
			return err
		}
	}
	return nil
}

// awaitReturn waits for the gate's trap behind a call. Every signal is delivered
// meanwhile: the goroutine runs as any other. If the thread is to be let go of
// it is in a ptrace-stop then, in the middle of the call: the landing pad takes
// it from there.
func (t *Thread) awaitReturn() (Regs, error) {
	for {
		s, err := t.wait()
		if err != nil {
			return Regs{}, err
		}
		if s.int3() {
			regs, err := getRegs(t.tid)
			if err != nil {
				return regs, t.lost(err)
			}
			if regs.Rip == t.proc.Trap+1 {
				return regs, nil
			}
		}
		if s.sig == unix.SIGURG && (t.peek().release || !t.slot.Running()) {
			t.sendAgain(s.sig)
			return Regs{}, errRelease
		}
		if s.breakpoint() {
			s.sig = 0 // a hit that was under way when the breakpoint was removed
		}
		if err := t.cont(s.sig); err != nil {
			return Regs{}, err
		}
	}
}

// intRegisters are those for integers and pointers, in the ABI's order.
func intRegisters(r *Regs) [IntRegisters]*uint64 {
	return [...]*uint64{&r.Rax, &r.Rbx, &r.Rcx, &r.Rdi, &r.Rsi, &r.R8, &r.R9, &r.R10, &r.R11}
}

// The XSAVE area (Intel SDM vol. 1, 13.4): the XMM registers in the legacy
// region, and the header's word that says which components are not in their
// initial state.
const (
	xsaveXMM    = 160
	xsaveStates = 512
	xsaveSSE    = 1 << 1
)

// setFloats sets X0 to X14, and X15 to the zero that the ABI keeps there.
func (t *Thread) setFloats(floats [FloatRegisters]uint64) error {
	xs, err := getXState(t.tid)
	if err != nil {
		return t.lost(err)
	}
	if len(xs) < xsaveStates+8 {
		return fmt.Errorf("an XSAVE area of %d bytes", len(xs))
	}
	clear(xs[xsaveXMM : xsaveXMM+16*(FloatRegisters+1)])
	for i, f := range floats {
		binary.LittleEndian.PutUint64(xs[xsaveXMM+16*i:], f)
	}
	xs[xsaveStates] |= xsaveSSE
	if err := setXState(t.tid, xs); err != nil {
		return t.lost(err)
	}
	return nil
}

// readFloats reads the low halves of X0 to X14.
func readFloats(xs []byte) (floats [FloatRegisters]uint64) {
	if len(xs) < xsaveStates+8 || xs[xsaveStates]&xsaveSSE == 0 {
		return floats // all zero
	}
	for i := range floats {
		floats[i] = binary.LittleEndian.Uint64(xs[xsaveXMM+16*i:])
	}
	return floats
}
