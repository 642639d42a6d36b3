//go:build linux && amd64

package dap_test

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	godap "github.com/google/go-dap"
)

// ask sends a request and returns its response, which must be a success.
func ask[R godap.ResponseMessage](t *testing.T, b *bench, command string, args any) R {
	t.Helper()
	m, err := b.Do(command, args)
	must(t, err)
	r, ok := m.(R)
	if !ok {
		t.Fatalf("%s: the response is a %T", command, m)
	}
	return r
}

func (b *bench) readMemory(t *testing.T, ref string, offset, count int) (string, []byte, int) {
	t.Helper()
	got := ask[*godap.ReadMemoryResponse](t, b, "readMemory", godap.ReadMemoryArguments{MemoryReference: ref, Offset: offset, Count: count}).Body
	data, err := base64.StdEncoding.DecodeString(got.Data)
	must(t, err)
	return got.Address, data, got.UnreadableBytes
}

func TestReadMemory(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	b.fake.lift() // what may be read otherwise: TestSealedMemory
	rows, err := b.Locals(1)
	must(t, err)
	ref := rows["long"].MemoryReference
	addr, data, unreadable := b.readMemory(t, ref, 0, 5000)
	if string(data) != strings.Repeat("x", 5000) || unreadable != 0 || addr != ref {
		t.Errorf("a string: %d bytes at %s, %d unreadable", len(data), addr, unreadable)
	}
	base, err := strconv.ParseUint(ref, 0, 64)
	must(t, err)
	if addr, data, _ := b.readMemory(t, ref, 4990, 10); string(data) != "xxxxxxxxxx" || addr != fmt.Sprintf("%#x", base+4990) {
		t.Errorf("with an offset: %q at %s", data, addr)
	}
	if _, data, unreadable := b.readMemory(t, ref, 0, 0); len(data) != 0 || unreadable != 0 {
		t.Errorf("nothing: %d bytes, %d unreadable", len(data), unreadable)
	}
	if _, data, unreadable := b.readMemory(t, "0x10", 0, 100); len(data) != 0 || unreadable != 100 {
		t.Errorf("unmapped: %d bytes, %d unreadable", len(data), unreadable)
	}
	// o points to a struct whose first field is 7.
	if _, data, _ := b.readMemory(t, rows["o"].MemoryReference, 0, 8); len(data) != 8 || data[0] != 7 {
		t.Errorf("behind a pointer: %v", data)
	}
	// Text is what the file has; past its end comes something that is not it.
	for name, args := range map[string]godap.ReadMemoryArguments{
		"no address":      {MemoryReference: "o", Count: 1},
		"negative count":  {MemoryReference: ref, Count: -1},
		"too many":        {MemoryReference: ref, Count: 1 << 30},
		"below the start": {MemoryReference: "0x10", Offset: -32, Count: 1},
	} {
		_, err := b.Do("readMemory", args)
		if e := failure(t, err); e.ID != 1004 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestWriteMemory(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	rows, err := b.Locals(1)
	must(t, err)
	ref := rows["numbers"].MemoryReference
	data := base64.StdEncoding.EncodeToString([]byte{42, 1, 0, 0, 0, 0, 0, 0})
	got := ask[*godap.WriteMemoryResponse](t, b, "writeMemory", godap.WriteMemoryArguments{MemoryReference: ref, Offset: 8, Data: data}).Body
	if got.BytesWritten != 8 {
		t.Errorf("wrote %+v", got)
	}
	ev, err := b.WaitEvent("memory")
	must(t, err)
	if e := ev.(*godap.MemoryEvent).Body; e.MemoryReference != ref || e.Offset != 8 || e.Count != 8 {
		t.Errorf("memory event %+v", e)
	}
	_, err = b.WaitEvent("invalidated")
	must(t, err)
	if v, err := b.Evaluate("numbers[1]", 0, "watch"); err != nil || v.Result != "298" {
		t.Errorf("after the write: %q, %v", v.Result, err)
	}
	_, err = b.Do("writeMemory", godap.WriteMemoryArguments{MemoryReference: ref, Data: "%%"})
	if e := failure(t, err); e.ID != 1004 {
		t.Errorf("no base64: %+v", e)
	}
	b.fake.fail["WriteMemory "] = fmt.Errorf("it is program text")
	_, err = b.Do("writeMemory", godap.WriteMemoryArguments{MemoryReference: ref, Data: data})
	if e := failure(t, err); e.ID != 1309 || !strings.Contains(e.Message, "program text") {
		t.Errorf("refused by the engine: %+v", e)
	}
}

func TestMemoryNeedsAFrozenRequest(t *testing.T) {
	b := attached(t, newFake())
	for command, args := range map[string]any{
		"readMemory":  godap.ReadMemoryArguments{MemoryReference: "0x400000", Count: 1},
		"writeMemory": godap.WriteMemoryArguments{MemoryReference: "0x400000", Data: "AA=="},
		"disassemble": godap.DisassembleArguments{MemoryReference: "0x400000", InstructionCount: 1},
	} {
		_, err := b.Do(command, args)
		if e := failure(t, err); e.ID != 1307 {
			t.Errorf("%s: %+v", command, e)
		}
	}
}

func (b *bench) disassemble(t *testing.T, args godap.DisassembleArguments) []godap.DisassembledInstruction {
	t.Helper()
	list := ask[*godap.DisassembleResponse](t, b, "disassemble", args).Body.Instructions
	if len(list) != args.InstructionCount {
		t.Fatalf("%d instructions, %d asked for", len(list), args.InstructionCount)
	}
	last := int64(-1)
	for _, in := range list {
		at, err := strconv.ParseInt(in.Address, 0, 64)
		if err != nil || at <= last {
			t.Fatalf("address %s after %#x: %v", in.Address, last, err)
		}
		last = at
	}
	return list
}

func TestDisassemble(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	pc := top[0].InstructionPointerReference
	all := b.disassemble(t, godap.DisassembleArguments{MemoryReference: pc, InstructionOffset: -200, InstructionCount: 400, ResolveSymbols: true})
	here := all[200]
	if here.Address != pc || here.InstructionBytes == "" || here.Line != top[0].Line || here.Location == nil || here.Location.Path != p.file {
		t.Errorf("at the frame's pc: %+v, want line %d", here, top[0].Line)
	}
	symbols, call := 0, ""
	for _, in := range all {
		if in.Symbol != "" {
			symbols++
		}
		if strings.HasPrefix(in.Instruction, "CALL main.") {
			call = in.Instruction
		}
		if in.Instruction == "??" {
			t.Errorf("in the middle of the program: %+v", in)
		}
	}
	if symbols < 2 || call == "" {
		t.Errorf("%d functions begin in 400 instructions; a call of main: %q", symbols, call)
	}
	// The same instructions whatever the way to ask for them.
	behind := b.disassemble(t, godap.DisassembleArguments{MemoryReference: pc, InstructionOffset: 3, InstructionCount: 5})
	for i := range behind {
		if behind[i].Address != all[203+i].Address || behind[i].Instruction != all[203+i].Instruction {
			t.Errorf("offset %d: %+v, want %+v", 3+i, behind[i], all[203+i])
		}
	}
	// Outside of the program there is nothing.
	for _, ref := range []string{"0x8", "0x10000000000"} {
		for _, in := range b.disassemble(t, godap.DisassembleArguments{MemoryReference: ref, InstructionOffset: -2, InstructionCount: 5}) {
			if in.Instruction != "??" || in.InstructionBytes != "" {
				t.Errorf("at %s: %+v", ref, in)
			}
		}
	}
	_, err = b.Do("disassemble", godap.DisassembleArguments{MemoryReference: pc, InstructionCount: 1 << 20})
	if e := failure(t, err); e.ID != 1004 {
		t.Errorf("too many: %+v", e)
	}
}
