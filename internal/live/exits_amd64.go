//go:build linux

package live

import (
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// maxScan bounds the instructions of a function that are looked at for exits.
const maxScan = 20_000

// exits finds the stops in the function being stepped that the thread can come
// to first from pc, whatever it computes on the way, and whether the function
// may return before. A line that runs a long loop has one or two of them: armed,
// they let it run at full speed. ok is false if the way cannot be told: a jump
// through a register (a switch), no code to look at.
func (t *Thread) exits(pc uint64) (stops []uint64, ok bool) {
	fn := t.plan.Within
	if t.proc.Code == nil || !within(fn, pc) {
		return nil, false
	}
	code := t.proc.Code(fn[0], int(fn[1]-fn[0]))
	inFrame := func(a uint64) bool { return slices.Contains(t.plan.Frame, a) || slices.Contains(t.plan.Stops, a) }
	seen := make(map[uint64]bool)
	returns := false
	next := flow(code, fn, pc)
	if next == nil {
		return nil, false
	}
	for todo := next.to; len(todo) > 0 && len(seen) < maxScan; {
		a := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[a] {
			continue
		}
		seen[a] = true
		if inFrame(a) {
			stops = append(stops, a)
			continue
		}
		f := flow(code, fn, a)
		if f == nil {
			return nil, false
		}
		returns = returns || f.returns
		todo = append(todo, f.to...)
	}
	if returns || next.returns {
		for _, a := range t.plan.Frame {
			if !within(fn, a) {
				stops = append(stops, a)
			}
		}
	}
	slices.Sort(stops)
	return slices.Compact(stops), len(seen) < maxScan
}

// flowOf is where an instruction leads to inside its function.
type flowOf struct {
	to      []uint64
	returns bool
}

// flow looks at the instruction at pc; nil if it cannot be told. Calls are taken
// to return.
func flow(code []byte, fn [2]uint64, pc uint64) *flowOf {
	if pc < fn[0] || pc-fn[0] >= uint64(len(code)) {
		return nil
	}
	inst, err := x86asm.Decode(code[pc-fn[0]:], 64)
	if err != nil {
		return nil // AVX, which the disassembler does not know
	}
	next := pc + uint64(inst.Len)
	switch inst.Op {
	case x86asm.RET:
		return &flowOf{returns: true}
	case x86asm.UD2, x86asm.INT, x86asm.HLT:
		return &flowOf{}
	case x86asm.CALL:
		return &flowOf{to: []uint64{next}}
	}
	rel, jumps := inst.Args[0].(x86asm.Rel)
	if !jumps {
		if inst.Op == x86asm.JMP {
			return nil
		}
		return &flowOf{to: []uint64{next}}
	}
	target := next + uint64(int64(rel))
	if !within(fn, target) {
		return nil
	}
	if inst.Op == x86asm.JMP {
		return &flowOf{to: []uint64{target}}
	}
	return &flowOf{to: []uint64{next, target}}
}

// runToExits lets the function being stepped run at full speed to the first of
// its exits, if these and all stops outside of it fit the hardware, or whatever
// fits of the stops if must is set. done: it did, and the rest is its result.
func (t *Thread) runToExits(pc uint64, must bool) (done bool, cause Cause, addr uint64, err error) {
	exits, ok := t.exits(pc)
	if !ok {
		return false, 0, 0, nil
	}
	arm := exits
	for _, a := range t.plan.Stops {
		if !within(t.plan.Within, a) && !slices.Contains(arm, a) {
			arm = append(arm, a)
		}
	}
	room := HardwareSlots - len(t.watches)
	if len(exits) > room || len(arm) > room && !must {
		return false, 0, 0, nil
	}
	regs, err := getRegs(t.tid)
	if err != nil {
		return true, 0, 0, t.lost(err)
	}
	g, err := t.current(regs)
	if err != nil {
		return true, 0, 0, err
	}
	_, hi, err := t.stackOf(g)
	if err != nil {
		return true, 0, 0, err
	}
	// The frame keeps its size, and the runtime keeps its distance from the
	// stack's upper end: deeper calls of the function have another one.
	depth := hi - regs.Rsp
	cause, addr, err = t.runFrom(func() { t.arm(arm) }, func(now Regs) verdict {
		if slices.Contains(t.plan.Stops, now.Rip) {
			return noVerdict
		}
		_, hi, err := t.stackOf(g)
		used := hi - now.Rsp
		if err == nil && (within(t.plan.Within, now.Rip) && used != depth || !within(t.plan.Within, now.Rip) && used >= depth) {
			return passed
		}
		return noVerdict
	})
	t.bps.clear()
	return true, cause, addr, err
}
