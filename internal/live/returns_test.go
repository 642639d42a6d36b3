//go:build linux && amd64

package live

import (
	"errors"
	"slices"
	"testing"
)

// Parts of functions.
var (
	prologue = []byte{
		0x55,             // PUSHQ BP
		0x48, 0x89, 0xe5, // MOVQ SP, BP
		0x48, 0x83, 0xec, 0x18, // SUBQ $24, SP
	}
	theEnd = []byte{
		0x48, 0x83, 0xc4, 0x18, // ADDQ $24, SP
		0x5d, // POPQ BP
		0xc3, // RET
	}
	branch = []byte{
		0x48, 0x85, 0xc0, // TESTQ AX, AX
		0x74, 0x06, // JEQ over theEnd
	}
	zeroes = []byte{
		0x31, 0xc0, // XORL AX, AX
		0x31, 0xdb, // XORL BX, BX
	}
)

// TestFindReturns: each return that may have an error is found, in front of what
// takes the frame down.
func TestFindReturns(t *testing.T) {
	const entry = 0x400000
	const frame = 24 + 8 + 8 // and BP, and the return address
	for _, c := range []struct {
		name string
		code [][]byte
		reg  int
		want []uint64 // offsets
	}{
		{"two, one of nil", [][]byte{prologue, branch, theEnd, zeroes, theEnd}, 0, []uint64{13}},
		{"two, neither of nil", [][]byte{prologue, branch, theEnd, zeroes, theEnd}, 2, []uint64{13, 23}},
		{"zero, and set again", [][]byte{prologue, zeroes, {0x48, 0x89, 0xc8}, theEnd}, 0, []uint64{15}},
		{"zero, and a call", [][]byte{prologue, zeroes, {0xe8, 0, 0, 0, 0}, theEnd}, 0, []uint64{17}},
		{"zero on one of two ways", [][]byte{prologue, {0x74, 0x04}, zeroes, theEnd}, 0, []uint64{14}},
		{"zero, in a function with a switch", [][]byte{prologue, {0xff, 0xe1}, zeroes, theEnd}, 0, []uint64{14}},
		{"on the stack", [][]byte{prologue, zeroes, theEnd}, -1, []uint64{12}},
		{"with a NOP", [][]byte{prologue, theEnd[:5], {0x0f, 0x1f, 0x00}, theEnd[5:]}, 0, []uint64{8}},
		{"a part of an end", [][]byte{prologue, theEnd[4:]}, 0, nil},
		{"another frame", [][]byte{prologue[:4], theEnd}, 0, nil},
		{"AVX", [][]byte{prologue, {0xc5, 0xf8, 0x77}, {0xc4, 0xe2, 0xf9, 0xf7, 0xc1}, {0xc5, 0xf9, 0x6f, 0x44, 0x24, 0x08}, theEnd}, 0, []uint64{22}},
	} {
		sites, err := FindReturns(slices.Concat(c.code...), entry, c.reg, 16)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []uint64
		for _, s := range sites {
			got = append(got, s.Addr-entry)
			want := ReturnSite{Addr: s.Addr, Reg: c.reg, Frame: frame}
			if c.reg < 0 {
				want.Stack = frame + 16
			}
			if s != want {
				t.Errorf("%s: %+v, want %+v", c.name, s, want)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: at %v, want %v", c.name, got, c.want)
		}
	}
	// What is behind an instruction of unknown length is left alone.
	if sites, err := FindReturns(slices.Concat(prologue, []byte{0x62, 0xf1, 0x7d, 0x48, 0x6f, 0x00}, theEnd), entry, 0, 0); !errors.Is(err, errNotDecoded) {
		t.Errorf("%v, %v", sites, err)
	}
	// A function without a frame.
	if sites, err := FindReturns([]byte{0x48, 0x89, 0xd8, 0xc3}, entry, 0, 0); err != nil || len(sites) != 1 || sites[0] != (ReturnSite{Addr: entry + 3, Frame: 8}) {
		t.Errorf("%+v, %v", sites, err)
	}
}
