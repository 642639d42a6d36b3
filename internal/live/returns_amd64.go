//go:build linux

package live

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// Returns are places where functions return whose last result is an error. They
// are watched by uprobes, like Plan.Probes, but the program in the kernel looks at
// the result first: a nil one stops nobody. Read only; a set is known by its
// address.
type Returns struct {
	Sites []ReturnSite // in the order of their addresses, at most MaxReturns
}

// ReturnSite is an instruction in front of a return at which the frame of the
// function is whole still, and its results are where its caller will find them.
type ReturnSite struct {
	Addr uint64
	// Reg is the register, in the order of Go's internal ABI, that holds the first
	// word of the error; the next one has the second. -1: they are on the stack,
	// Stack bytes above the stack pointer.
	Reg   int
	Stack uint64
	// Frame is how far above the stack pointer the caller's frame begins: behind
	// the return address.
	Frame uint64
}

// at finds the site at addr.
func (r *Returns) at(addr uint64) (ReturnSite, bool) {
	i := r.index(addr)
	if i < 0 {
		return ReturnSite{}, false
	}
	return r.Sites[i], true
}

// Has says whether one of them is at addr; nil has none.
func (r *Returns) Has(addr uint64) bool { return r.index(addr) >= 0 }

// index is the place of addr in Sites, or -1.
func (r *Returns) index(addr uint64) int {
	if r == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(r.Sites, addr, func(s ReturnSite, a uint64) int {
		switch {
		case s.Addr < a:
			return -1
		case s.Addr > a:
			return 1
		}
		return 0
	})
	if !ok {
		return -1
	}
	return i
}

// MaxReturns is how many ReturnSites can be watched. Setting that many takes some
// 20 ms, and a request waits for 100 ms to be taken (BenchmarkArm).
const MaxReturns = 4000

// Returned is an error that a function is about to return.
type Returned struct {
	Words [2]uint64 // the interface value: the itab, and the data
	Depth uint64    // of the caller's frame, in bytes below the stack's upper end
}

// errNotDecoded means that a function has an instruction of unknown length: where
// those behind it begin is not known, and a probe inside of one would be fatal.
var errNotDecoded = errors.New("an instruction is not known")

// FindReturns finds the returns of a function with that code at entry. reg and
// stack say where the error is, as in ReturnSite, stack being the offset from
// where the caller's frame begins. Returns that set it to nil right before are
// left out: a success costs nothing then.
func FindReturns(code []byte, entry uint64, reg int, stack uint64) ([]ReturnSite, error) {
	list, err := decodeAll(code, entry)
	if err != nil {
		return nil, err
	}
	targets := make(map[uint64]bool)
	for _, d := range list {
		if rel, ok := d.Args[0].(x86asm.Rel); ok && d.Op != x86asm.CALL {
			targets[d.at+uint64(d.Len)+uint64(int64(rel))] = true
		}
	}
	// Where a switch jumps to is not in the code: no instruction is known then to be
	// reached from the one before it alone.
	switches := slices.ContainsFunc(list, func(d decoded) bool {
		_, isRel := d.Args[0].(x86asm.Rel)
		return d.Op == x86asm.JMP && !isRel
	})
	frame := frameSize(list)
	var sites []ReturnSite
	for i := range list {
		if list[i].Op != x86asm.RET || list[i].Args[0] != nil {
			continue
		}
		first, size := epilogue(list, i)
		if size != frame || slices.ContainsFunc(list[first+1:i+1], func(d decoded) bool { return targets[d.at] }) {
			continue // not as the compiler makes them
		}
		if reg >= 0 && !switches && setsNil(list[:first], list[first].at, targets, reg) {
			continue
		}
		s := ReturnSite{Addr: list[first].at, Reg: reg, Frame: size + 8}
		if reg < 0 {
			s.Stack = s.Frame + stack
		}
		sites = append(sites, s)
	}
	return sites, nil
}

// decoded is an instruction and where it is.
type decoded struct {
	x86asm.Inst
	at uint64
}

// escapes begin instructions of AVX and AVX-512 (Intel SDM vol. 2, 2.3 and 2.7), for
// which the disassembler may have a meaning of old.
var escapes = [...]byte{0xc4, 0xc5, 0x62}

// decodeAll takes a function apart.
func decodeAll(code []byte, entry uint64) ([]decoded, error) {
	var list []decoded
	for at := 0; at < len(code); {
		inst := x86asm.Inst{Len: vexLen(code[at:])}
		if inst.Len == 0 {
			var err error
			if inst, err = x86asm.Decode(code[at:], 64); err != nil || slices.Contains(escapes[:], code[at]) {
				return nil, errNotDecoded
			}
		}
		if at+inst.Len > len(code) {
			return nil, errNotDecoded
		}
		list = append(list, decoded{inst, entry + uint64(at)})
		at += inst.Len
	}
	return list, nil
}

// vexLen is the length of an instruction with a VEX prefix (Intel SDM vol. 2,
// 2.3), which the disassembler does not know; 0 if it is none.
func vexLen(code []byte) int {
	const immediateMap = 3
	var n int // up to the ModRM byte
	immediate := 0
	switch {
	case len(code) >= 4 && code[0] == 0xc5:
		n = 3
		switch code[2] {
		case 0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6:
			immediate = 1
		case 0x77: // VZEROUPPER has no ModRM
			return 3
		}
	case len(code) >= 5 && code[0] == 0xc4:
		n = 4
		switch m := code[1] & 0x1f; {
		case m == immediateMap:
			immediate = 1
		case m != 1 && m != 2:
			return 0
		case m == 1:
			switch code[3] {
			case 0x70, 0x71, 0x72, 0x73, 0xc2, 0xc4, 0xc5, 0xc6:
				immediate = 1
			case 0x77:
				return 4
			}
		}
	default:
		return 0
	}
	modrm := code[n]
	n++
	mod, rm := modrm>>6, modrm&7
	if mod != 3 && rm == 4 {
		if n >= len(code) {
			return 0
		}
		if mod == 0 && code[n]&7 == 5 {
			n += 4
		}
		n++
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && rm == 5:
		n += 4
	}
	return n + immediate
}

// stackMove says by how much an instruction moves the stack pointer up or down.
func stackMove(d decoded) (up int64, ok bool) {
	reg, _ := d.Args[0].(x86asm.Reg)
	switch d.Op {
	case x86asm.PUSH:
		return -8, reg == x86asm.RBP
	case x86asm.POP:
		return 8, reg == x86asm.RBP
	case x86asm.ADD, x86asm.SUB:
		n, isImm := d.Args[1].(x86asm.Imm)
		if reg != x86asm.RSP || !isImm {
			return 0, false
		}
		if d.Op == x86asm.SUB {
			n = -n
		}
		return int64(n), true
	}
	return 0, false
}

// frameSize is how far the prologue moves the stack pointer down
// (cmd/internal/obj/x86/obj6.go, preprocess).
func frameSize(list []decoded) uint64 {
	const prologue = 12 // instructions at most, with the check for stack space
	var size uint64
	for i, d := range list[:min(len(list), prologue)] {
		if up, ok := stackMove(d); ok && up < 0 {
			size += uint64(-up)
			// PUSHQ BP; MOVQ SP, BP; SUBQ $n, SP
			if d.Op != x86asm.PUSH || i+2 >= len(list) {
				return size
			}
			if up, ok := stackMove(list[i+2]); ok && up < 0 {
				size += uint64(-up)
			}
			return size
		}
	}
	return 0
}

// epilogue finds what takes the frame down in front of the RET at list[i], and
// how large it is: ADDQ $n, SP; POPQ BP, or a part of it. There may be a NOP
// between: jumps, and RET is one, do not end at a multiple of 32 bytes
// (cmd/internal/obj/x86/asm6.go, padJumpsCtx).
func epilogue(list []decoded, i int) (first int, size uint64) {
	first = i
	popped := false
	for j := i - 1; j >= 0; j-- {
		if list[j].Op == x86asm.NOP {
			continue
		}
		up, ok := stackMove(list[j])
		if !ok || up <= 0 || popped && list[j].Op == x86asm.POP {
			break
		}
		first, size = j, size+uint64(up)
		if popped = list[j].Op == x86asm.POP; !popped {
			break
		}
	}
	return first, size
}

// abiRegs are the registers of the internal ABI with their 32-bit halves.
var abiRegs = [IntRegisters][2]x86asm.Reg{
	{x86asm.RAX, x86asm.EAX}, {x86asm.RBX, x86asm.EBX}, {x86asm.RCX, x86asm.ECX}, {x86asm.RDI, x86asm.EDI}, {x86asm.RSI, x86asm.ESI},
	{x86asm.R8, x86asm.R8L}, {x86asm.R9, x86asm.R9L}, {x86asm.R10, x86asm.R10L}, {x86asm.R11, x86asm.R11L},
}

// setsNil says whether the instructions at the end of list, which lead to next
// and nowhere else, set a register to zero for certain.
func setsNil(list []decoded, next uint64, targets map[uint64]bool, reg int) bool {
	for i := len(list) - 1; i >= 0 && !targets[next]; i-- {
		d := list[i]
		to, isReg := d.Args[0].(x86asm.Reg)
		switch d.Op {
		case x86asm.XOR:
			if isReg && to == abiRegs[reg][1] && d.Args[1] == d.Args[0] {
				return true
			}
		case x86asm.MOV, x86asm.LEA, x86asm.MOVZX, x86asm.MOVUPS, x86asm.XORPS, x86asm.MOVSD_XMM, x86asm.MOVSS, x86asm.NOP:
		default:
			return false
		}
		if isReg && (to == abiRegs[reg][0] || to == abiRegs[reg][1] || x86asm.AL <= to && to <= x86asm.R15W) {
			return false
		}
		next = d.at
	}
	return false
}

// returned reads the error that a thread with these registers is about to return;
// not ok if it is nil. To be called in a ptrace-stop.
func (t *Thread) returned(s ReturnSite, regs Regs) (r Returned, ok bool, err error) {
	if s.Reg >= 0 {
		all := [...]uint64{regs.Rax, regs.Rbx, regs.Rcx, regs.Rdi, regs.Rsi, regs.R8, regs.R9, regs.R10, regs.R11}
		r.Words = [2]uint64{all[s.Reg], all[s.Reg+1]}
	} else {
		var buf [16]byte
		if _, err := t.proc.Mem.ReadMemory(buf[:], regs.Rsp+s.Stack); err != nil {
			return r, false, err
		}
		r.Words = [2]uint64{binary.LittleEndian.Uint64(buf[:]), binary.LittleEndian.Uint64(buf[8:])}
	}
	if r.Words[0] == 0 {
		return r, false, nil
	}
	g, err := t.current(regs)
	if err != nil {
		return r, false, err
	}
	_, hi, err := t.stackOf(g)
	r.Depth = hi - (regs.Rsp + s.Frame)
	return r, err == nil, err
}
