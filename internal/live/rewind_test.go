//go:build linux && amd64

package live

import (
	"testing"
)

// TestUndone: which instructions are taken back, given where they led.
func TestUndone(t *testing.T) {
	const pc, sp = 0x1000, 0xc000
	for _, c := range []struct {
		name string
		code []byte
		rip  uint64 // afterwards
		rsp  uint64
		want bool
	}{
		{"mov rax, rbx", []byte{0x48, 0x89, 0xd8}, pc + 3, sp, true},
		{"mov rax, [rbx]", []byte{0x48, 0x8b, 0x03}, pc + 3, sp, true},
		{"mov [rbx], rax: others may have seen it", []byte{0x48, 0x89, 0x03}, pc + 3, sp, false},
		{"mov [rsp+8], rax", []byte{0x48, 0x89, 0x44, 0x24, 0x08}, pc + 5, sp, false},
		{"add [rbx], rax", []byte{0x48, 0x01, 0x03}, pc + 3, sp, false},
		{"cmp [rbx], 1", []byte{0x83, 0x3b, 0x01}, pc + 3, sp, true},
		{"inc rax", []byte{0x48, 0xff, 0xc0}, pc + 3, sp, true},
		{"lea rax, [rsp+8]", []byte{0x48, 0x8d, 0x44, 0x24, 0x08}, pc + 5, sp, true},
		{"jmp +16", []byte{0xeb, 0x10}, pc + 18, sp, true},
		{"je +16, taken", []byte{0x74, 0x10}, pc + 18, sp, true},
		{"je +16, not taken", []byte{0x74, 0x10}, pc + 2, sp, true},
		{"je +16, elsewhere", []byte{0x74, 0x10}, pc + 7, sp, false},
		{"call +256", []byte{0xe8, 0, 1, 0, 0}, pc + 261, sp - 8, true},
		{"call that pushed nothing", []byte{0xe8, 0, 1, 0, 0}, pc + 261, sp, false},
		{"ret", []byte{0xc3}, 0x2000, sp + 8, true},
		{"push rbp", []byte{0x55}, pc + 1, sp - 8, true},
		{"pop rbp", []byte{0x5d}, pc + 1, sp + 8, true},
		{"push [rbx]", []byte{0xff, 0x33}, pc + 2, sp - 8, false},
		{"nop", []byte{0x90}, pc + 1, sp, true},
		{"nop, and a signal's handler", []byte{0x90}, 0x3000, sp, false},
		{"movsd xmm0, [rbx]", []byte{0xf2, 0x0f, 0x10, 0x03}, pc + 4, sp, true},
		{"addsd xmm0, xmm1: not put back", []byte{0xf2, 0x0f, 0x58, 0xc1}, pc + 4, sp, false},
		{"movups [rsp], xmm15", []byte{0x44, 0x0f, 0x11, 0x3c, 0x24}, pc + 5, sp, false},
		{"rep stosq", []byte{0xf3, 0x48, 0xab}, pc + 3, sp, false},
		{"lock xadd [rbx], rax", []byte{0xf0, 0x48, 0x0f, 0xc1, 0x03}, pc + 5, sp, false},
		{"xchg [rbx], rax", []byte{0x48, 0x87, 0x03}, pc + 3, sp, false},
		{"xchg rax, [rbx] is the same", []byte{0x48, 0x87, 0x03}, pc + 3, sp, false},
		{"vmovdqu ymm0, [rbx]: not known", []byte{0xc5, 0xfe, 0x6f, 0x03}, pc + 4, sp, false},
	} {
		th := &Thread{proc: &Process{Code: func(uint64, int) []byte { return c.code }}}
		if got := th.undone(Regs{Rip: pc, Rsp: sp}, Regs{Rip: c.rip, Rsp: c.rsp}); got != c.want {
			t.Errorf("%s: undone = %t", c.name, got)
		}
	}
}

// TestPossible: a lock prefix would have the kernel refuse all uprobes.
func TestPossible(t *testing.T) {
	for _, c := range []struct {
		code []byte
		want bool
	}{
		{[]byte{0xf0, 0x48, 0x0f, 0xc1, 0x03}, false}, // lock xadd
		{[]byte{0x48, 0x89, 0x03}, true},
		{[]byte{0xf2, 0x0f, 0x10, 0x03}, true}, // its prefix is a part of the opcode
		{[]byte{0xc5, 0xfe, 0x6f, 0x03}, true}, // the kernel knows it
	} {
		p := &prober{proc: &Process{Code: func(uint64, int) []byte { return c.code }}}
		if got := p.possible(0x1000); got != c.want {
			t.Errorf("% x: possible = %t", c.code, got)
		}
	}
}

// TestFlow: where instructions lead.
func TestFlow(t *testing.T) {
	const pc = 0x1000
	fn := [2]uint64{pc, pc + 0x100}
	pad := func(code ...byte) []byte { return append(code, make([]byte, 16)...) }
	for _, c := range []struct {
		name    string
		code    []byte
		to      []uint64
		returns bool
		unknown bool
	}{
		{"nop", pad(0x90), []uint64{pc + 1}, false, false},
		{"call", pad(0xe8, 0, 1, 0, 0), []uint64{pc + 5}, false, false},
		{"jmp", pad(0xeb, 0x10), []uint64{pc + 18}, false, false},
		{"je", pad(0x74, 0x10), []uint64{pc + 2, pc + 18}, false, false},
		{"jmp out of the function", pad(0xe9, 0, 1, 0, 0), nil, false, true},
		{"jmp rax", pad(0xff, 0xe0), nil, false, true},
		{"ret", pad(0xc3), nil, true, false},
		{"ud2", pad(0x0f, 0x0b), nil, false, false},
	} {
		f := flow(c.code, fn, pc)
		if (f == nil) != c.unknown {
			t.Errorf("%s: %+v", c.name, f)
			continue
		}
		if f != nil && (f.returns != c.returns || len(f.to) != len(c.to)) {
			t.Errorf("%s: %+v", c.name, f)
			continue
		}
		for i := range c.to {
			if f.to[i] != c.to[i] {
				t.Errorf("%s: %#x", c.name, f.to)
			}
		}
	}
}
