//go:build linux

package live

import (
	"golang.org/x/arch/x86/x86asm"
)

// A uprobe's stop comes when the instruction has been executed: out of line, or
// emulated (kernel/events/uprobes.c). What the person is to see is the thread in
// front of it. The registers from there are known, so most instructions can be
// taken back: what they wrote is in the registers, or below the stack pointer
// again, where nothing is kept (there is no red zone in Go code).

// atProbe deals with the stop s of a thread that has hit the probe at before's
// instruction pointer. With a cause it stands at addr now, as at a breakpoint.
// Otherwise the hit is none of the request's, and s is still to be answered.
func (t *Thread) atProbe(s stop, before [ptRegs]uint64) (cause Cause, addr uint64, err error) {
	regs, err := getRegs(t.tid)
	if err != nil {
		return 0, 0, t.lost(err)
	}
	was := rewound(regs, before)
	if cause, err = t.causeOf(was); err != nil || cause == 0 {
		return 0, 0, err
	}
	if ours, err := t.requests(regs); err != nil || !ours {
		return 0, 0, err
	}
	switch {
	case regs.Rip == was.Rip:
		// A fault, which comes again when the instruction is executed, or one
		// round of a repeated string instruction.
	case t.undone(was, regs):
		if err := setRegs(t.tid, was); err != nil {
			return 0, 0, t.lost(err)
		}
	case regs.Rip > was.Rip && regs.Rip <= was.Rip+longestInst:
		// It has written memory that others may have seen. The thread is shown
		// in front of it, and stays behind it.
		t.late = &late{from: was.Rip, at: regs.Rip}
	default:
		return 0, 0, nil
	}
	if !s.fault() {
		t.sendAgain(s.sig) // for when the thread has been frozen or goes on
	}
	return cause, was.Rip, nil
}

// causeOf says what a thread stops for that has hit a probe with registers was; 0
// if for nothing any more: it has been taken off the plan.
func (t *Thread) causeOf(was Regs) (Cause, error) {
	if t.wanted(was.Rip) {
		return CauseStop, nil
	}
	site, ok := t.plan.Returns.at(was.Rip)
	if !ok {
		return 0, nil
	}
	r, ok, err := t.returned(site, was)
	if err != nil || !ok {
		return 0, err
	}
	t.returning = r
	return CauseReturn, nil
}

// stepProbe is stepOver for an instruction with a probe, which is pinned: it stops
// the thread behind the instruction by itself. Single-stepped the kernel would
// raise a SIGTRAP that looks as if a program had sent it (arch/x86/kernel/
// uprobes.c, send_sig): should we be killed then, the service's landing pad would
// not take it for ours, and the service would die of it.
func (t *Thread) stepProbe() (fault bool, err error) {
	for {
		if err := t.cont(0); err != nil {
			return false, err
		}
		s, err := t.wait()
		if err != nil {
			return false, err
		}
		_, hit := t.probes.hit()
		switch {
		case hit && s.fault():
			return true, nil
		case hit:
			if _, err := t.noteHits(); err != nil {
				return false, err
			}
			// SIGURG may be the runtime's as well: they do not queue.
			return false, t.deliver(s.sig)
		case s.fault():
			return true, nil
		case s.breakpoint():
			// A hit that was under way when the breakpoint was removed.
		default:
			if err := t.deliver(s.sig); err != nil {
				return false, err
			}
		}
	}
}

// late is a place that a thread is shown at though it stands behind it.
type late struct{ from, at uint64 }

// shown is the state to show of a thread that was frozen in st.
func (t *Thread) shown(st State) State {
	if l := t.late; l != nil && st.Regs.Rip == l.at {
		st.Regs.Rip = l.from
	}
	t.late = nil
	return st
}

// rewound gives regs with the values that before, a struct pt_regs, has.
func rewound(regs Regs, before [ptRegs]uint64) Regs {
	for i, to := range []*uint64{
		&regs.R15, &regs.R14, &regs.R13, &regs.R12, &regs.Rbp, &regs.Rbx, &regs.R11, &regs.R10, &regs.R9, &regs.R8,
		&regs.Rax, &regs.Rcx, &regs.Rdx, &regs.Rsi, &regs.Rdi, nil, &regs.Rip, nil, &regs.Eflags, &regs.Rsp,
	} {
		if to != nil {
			*to = before[i]
		}
	}
	regs.Eflags &^= flagTF | flagRF
	regs.Orig_rax = ^uint64(0)
	return regs
}

// undone says whether putting the registers back to was, from now, is as if the
// instruction had not been executed.
func (t *Thread) undone(was, now Regs) bool {
	code := t.code(was.Rip)
	inst, err := x86asm.Decode(code, 64)
	if err != nil {
		return false
	}
	for _, p := range inst.Prefix {
		if p&x86asm.PrefixImplicit != 0 { // a part of the opcode
			continue
		}
		if p&0xff == x86asm.PrefixLOCK || p&0xff == x86asm.PrefixREP || p&0xff == x86asm.PrefixREPN {
			return false
		}
	}
	next := was.Rip + uint64(inst.Len)
	if to, ok := inst.Args[0].(x86asm.Rel); ok && inst.Op != x86asm.CALL {
		return now.Rip == next || now.Rip == next+uint64(int64(to)) // a jump
	}
	switch inst.Op {
	case x86asm.CALL:
		return now.Rsp == was.Rsp-8
	case x86asm.RET:
		return now.Rsp > was.Rsp
	case x86asm.JMP:
		return true
	case x86asm.PUSH, x86asm.POP:
		reg, ok := inst.Args[0].(x86asm.Reg)
		return ok && general(reg) && now.Rip == next
	case x86asm.NOP, x86asm.CMP, x86asm.TEST, x86asm.UCOMISD, x86asm.UCOMISS, x86asm.BT:
		return now.Rip == next
	}
	reg, ok := inst.Args[0].(x86asm.Reg)
	return ok && now.Rip == next && (general(reg) && registerOnly[inst.Op] || repeatable[inst.Op])
}

// general says whether reg is among those that are put back.
func general(reg x86asm.Reg) bool { return x86asm.AL <= reg && reg <= x86asm.R15 }

// registerOnly are instructions that change their first operand and the flags,
// and nothing else.
var registerOnly = set(
	x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD, x86asm.LEA, x86asm.MOVQ, x86asm.MOVD,
	x86asm.ADD, x86asm.SUB, x86asm.ADC, x86asm.SBB, x86asm.XOR, x86asm.AND, x86asm.OR, x86asm.INC, x86asm.DEC, x86asm.NEG, x86asm.NOT,
	x86asm.SHL, x86asm.SHR, x86asm.SAR, x86asm.ROL, x86asm.ROR, x86asm.BSF, x86asm.BSR, x86asm.BSWAP, x86asm.IMUL,
	x86asm.CMOVA, x86asm.CMOVAE, x86asm.CMOVB, x86asm.CMOVBE, x86asm.CMOVE, x86asm.CMOVG, x86asm.CMOVGE, x86asm.CMOVL, x86asm.CMOVLE, x86asm.CMOVNE, x86asm.CMOVNS, x86asm.CMOVS,
	x86asm.SETA, x86asm.SETAE, x86asm.SETB, x86asm.SETBE, x86asm.SETE, x86asm.SETG, x86asm.SETGE, x86asm.SETL, x86asm.SETLE, x86asm.SETNE,
	x86asm.CVTTSD2SI, x86asm.CVTTSS2SI, x86asm.POPCNT,
)

// repeatable are instructions that load a vector register, which is not put
// back: doing it again comes to the same.
var repeatable = set(
	x86asm.MOVUPS, x86asm.MOVAPS, x86asm.MOVSD_XMM, x86asm.MOVSS, x86asm.MOVDQU, x86asm.MOVQ, x86asm.MOVD,
	x86asm.CVTSI2SD, x86asm.CVTSI2SS,
)

func set(ops ...x86asm.Op) map[x86asm.Op]bool {
	m := make(map[x86asm.Op]bool, len(ops))
	for _, op := range ops {
		m[op] = true
	}
	return m
}

// longestInst is the length of the longest instruction in bytes.
const longestInst = 15

// code reads the instruction at pc, with the probe taken out of it.
func (t *Thread) code(pc uint64) []byte {
	if t.proc.Code != nil {
		return t.proc.Code(pc, longestInst)
	}
	return nil
}
