//go:build linux && amd64

package dap

import (
	"context"
	"encoding/hex"
	"fmt"
	"sort"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

const (
	// maxInstructions bounds one disassembly. A disassembly view asks for some
	// hundred.
	maxInstructions = 10_000
	// maxDisassembled bounds what is decoded for it, in bytes: the generated
	// initialiser of a large table is one function of megabytes.
	maxDisassembled = 512 << 10
	// undecoded is what an instruction that is none, or not there, looks like.
	undecoded = "??"
)

// disassemble shows Go's own syntax. Instructions can be told apart only from
// the start of their function on, so whole functions are decoded, and what
// lies between functions is passed over.
func (c *conn) disassemble(_ context.Context, args dap.DisassembleArguments) (dap.DisassembleResponseBody, error) {
	body := dap.DisassembleResponseBody{Instructions: []dap.DisassembledInstruction{}} // null is not a list
	addr, err := address(args.MemoryReference, args.Offset)
	if err != nil {
		return body, err
	}
	if args.InstructionCount < 0 || args.InstructionCount > maxInstructions ||
		args.InstructionOffset < -maxInstructions || args.InstructionOffset > maxInstructions {
		return body, kindBadArguments.becauseOf(fmt.Sprintf("%d instructions from %d: at most %d can be asked for",
			args.InstructionCount, args.InstructionOffset, maxInstructions))
	}
	id, err := c.anyFrozen()
	if err != nil {
		return body, err
	}
	err = c.inspect(id, kindDisassemble, func(t *proc.Target) error {
		w := listing{bi: t.BinInfo(), mem: t.Memory()}
		if err := w.around(addr, args.InstructionOffset, args.InstructionCount); err != nil {
			return err
		}
		body.Instructions = c.instructions(&w, addr, args)
		return nil
	})
	return body, err
}

// listing is a run of decoded functions.
type listing struct {
	bi   *proc.BinaryInfo
	mem  proc.MemoryReadWriter
	list []proc.AsmInstruction
	ref  int // index of the instruction that was asked for
	size uint64
}

// around decodes the function at addr, and as many before and behind it as
// offset and count need.
func (w *listing) around(addr uint64, offset, count int) error {
	fns := w.bi.Functions // sorted by address
	at := sort.Search(len(fns), func(i int) bool { return fns[i].Entry > addr }) - 1
	for at >= 0 && fns[at].Entry != 0 && addr >= fns[at].End && at > 0 && fns[at-1].End > addr {
		at-- // the same text twice
	}
	if at < 0 || fns[at].Entry == 0 || addr >= fns[at].End {
		return nil // nothing is there: all of it is unknown
	}
	var err error
	if w.list, err = w.function(&fns[at]); err != nil {
		return err
	}
	w.ref = sort.Search(len(w.list), func(i int) bool { return w.list[i].Loc.PC > addr }) - 1
	end := fns[at].End
	for i := at + 1; i < len(fns) && len(w.list) < w.ref+offset+count && w.size < maxDisassembled; i++ {
		if fns[i].Entry < end {
			continue
		}
		more, err := w.function(&fns[i])
		if err != nil {
			break
		}
		w.list, end = append(w.list, more...), fns[i].End
	}
	begin := fns[at].Entry
	for i := at - 1; i >= 0 && w.ref+offset < 0 && w.size < maxDisassembled; i-- {
		if fns[i].Entry == 0 || fns[i].End > begin {
			continue
		}
		more, err := w.function(&fns[i])
		if err != nil {
			break
		}
		w.list, begin = append(more, w.list...), fns[i].Entry
		w.ref += len(more)
	}
	return nil
}

func (w *listing) function(fn *proc.Function) ([]proc.AsmInstruction, error) {
	if w.size += fn.End - fn.Entry; w.size > maxDisassembled && len(w.list) > 0 {
		return nil, fmt.Errorf("%s is too long", fn.Name)
	}
	none := proc.NewBreakpointMap() // the text is never changed
	return proc.Disassemble(w.mem, nil, &none, w.bi, fn.Entry, fn.End)
}

// instructions are those asked for, as many as asked for: what lies outside of
// the program is filled up.
func (c *conn) instructions(w *listing, addr uint64, args dap.DisassembleArguments) []dap.DisassembledInstruction {
	rows := make([]dap.DisassembledInstruction, args.InstructionCount)
	first, last := addr, addr
	if n := len(w.list); n > 0 {
		first, last = w.list[0].Loc.PC, w.list[n-1].Loc.PC
	}
	var line lineAt
	for i := range rows {
		at := w.ref + args.InstructionOffset + i
		switch {
		case at < 0:
			rows[i] = dap.DisassembledInstruction{Address: fmt.Sprintf("%#x", first-min(first, uint64(-at))), Instruction: undecoded}
		case at >= len(w.list):
			rows[i] = dap.DisassembledInstruction{Address: fmt.Sprintf("%#x", last+uint64(at-max(len(w.list)-1, 0))), Instruction: undecoded}
		default:
			rows[i] = c.instruction(w, at, args.ResolveSymbols)
			// The protocol wants a place only where it changes.
			if now := (lineAt{w.list[at].Loc.File, w.list[at].Loc.Line}); now != line && now.file != "" {
				rows[i].Location, rows[i].Line, line = c.source(now.file), c.line(now.line), now
			}
		}
	}
	return rows
}

type lineAt struct {
	file string
	line int
}

func (c *conn) instruction(w *listing, at int, symbols bool) dap.DisassembledInstruction {
	in := &w.list[at]
	row := dap.DisassembledInstruction{
		Address:          fmt.Sprintf("%#x", in.Loc.PC),
		InstructionBytes: hex.EncodeToString(in.Bytes),
		Instruction:      in.Text(proc.GoFlavour, w.bi),
	}
	if row.Instruction == "?" {
		row.Instruction = undecoded
	}
	if symbols && in.Loc.Fn != nil && in.Loc.PC == in.Loc.Fn.Entry {
		row.Symbol = in.Loc.Fn.Name
	}
	return row
}
