//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const gatePackage = "github.com/remotedbg/remotedbg/gate"

// timeoutHandler is linked into programs that call http.TimeoutHandler only: the
// linker leaves out the methods of types that nothing makes.
const timeoutHandler = "net/http.(*timeoutHandler).ServeHTTP"

// Errors that tell a person apart what is missing.
var (
	ErrNotGo    = errors.New("not a Go program")
	ErrNoGate   = errors.New("the binary has no remotedbg gate")
	ErrStripped = errors.New("the binary is stripped")
	ErrABI      = errors.New("the gate in the binary speaks another board version")
	ErrArmed    = errors.New("another agent has armed this process")
)

// Image is what the agent needs to know of an executable: where the gate's
// board and the few functions of the freeze protocol lie. Addresses are those
// of the running process.
type Image struct {
	Path  string // as opened: /proc/PID/exe, which works in containers and after an upgrade replaced the file
	Entry uint64 // run-time entry point, for Delve
	Bias  uint64 // run-time address minus link-time address, 0 unless PIE

	Park        Range // gate.park, the wait function
	DebugCall   Range // runtime.debugCallV2
	DebugCall32 Range // its frame of at most 32 bytes, where the injected call is made

	Runtime    RuntimeLayout
	Goroutines GoroutineLayout

	// TimeoutHandler: the program can call http.TimeoutHandler, which runs
	// handlers on goroutines of their own.
	TimeoutHandler bool

	boardAddr, journalAddr uint64
	boardType              *dwarf.StructType
	journalType            *dwarf.StructType
}

// Range is a half-open address range.
type Range struct{ Start, End uint64 }

// Contains says whether addr lies in r.
func (r Range) Contains(addr uint64) bool { return r.Start <= addr && addr < r.End }

// Locate opens the executable of pid and finds the gate in it, without
// touching the process.
func Locate(pid int) (*Image, error) {
	path := fmt.Sprintf("/proc/%d/exe", pid)
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open executable: %w", err)
	}
	defer f.Close()
	img := &Image{Path: path}
	if f.Section(".go.buildinfo") == nil && f.Section(".gopclntab") == nil {
		return nil, ErrNotGo // both survive stripping with -s -w
	}
	if img.Entry, err = entryPoint(pid); err != nil {
		return nil, err
	}
	img.Bias = img.Entry - f.Entry
	if err := img.findSymbols(f); err != nil {
		return nil, err
	}
	if err := img.findLayout(f); err != nil {
		return nil, err
	}
	return img, nil
}

// entryPoint reads AT_ENTRY from the auxiliary vector, see getauxval(3).
func entryPoint(pid int) (uint64, error) {
	const atEntry = 9
	auxv, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, fmt.Errorf("read auxiliary vector: %w", err)
	}
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == atEntry {
			return binary.LittleEndian.Uint64(auxv[8:]), nil
		}
	}
	return 0, errors.New("read auxiliary vector: no AT_ENTRY")
}

func (img *Image) findSymbols(f *elf.File) error {
	syms, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return ErrStripped
	}
	if err != nil {
		return fmt.Errorf("read symbols: %w", err)
	}
	var allgs Range
	want := map[string]*Range{
		gatePackage + ".park":       &img.Park,
		"runtime.debugCallV2":       &img.DebugCall,
		"debugCall32":               &img.DebugCall32,
		"runtime.allgs":             &allgs,
		"runtime.waitReasonStrings": &img.Goroutines.Reasons,
	}
	for _, s := range syms {
		switch s.Name {
		case gatePackage + ".theBoard":
			img.boardAddr = s.Value + img.Bias
		case gatePackage + ".journals":
			img.journalAddr = s.Value + img.Bias
		case timeoutHandler:
			img.TimeoutHandler = true
		}
		// The assembler's file-local functions and ABI aliases carry
		// suffixes in some Go versions ("debugCall32<>", "park.abi0").
		if r := want[strings.TrimSuffix(s.Name, "<>")]; r != nil && s.Size > 0 {
			*r = Range{s.Value + img.Bias, s.Value + img.Bias + s.Size}
		}
	}
	if img.boardAddr == 0 || img.journalAddr == 0 || img.Park.Start == 0 {
		return ErrNoGate
	}
	for name, r := range want {
		if r.Start == 0 {
			return fmt.Errorf("symbol %s: not in the binary", name)
		}
	}
	img.Goroutines.AllGs = allgs.Start
	return nil
}

// findLayout reads the types of the board from DWARF, so that agent and service
// may be built from different versions of the gate, and those of the runtime.
func (img *Image) findLayout(f *elf.File) error {
	d, err := f.DWARF()
	if err != nil {
		return fmt.Errorf("%w: no DWARF: %v", ErrStripped, err)
	}
	rd := d.Reader()
	found := false
	types := make(map[string]*dwarf.StructType)
	for img.boardType == nil || img.journalType == nil || len(types) < len(runtimeTypes) {
		e, err := rd.Next()
		if err != nil {
			return fmt.Errorf("read DWARF: %w", err)
		}
		if e == nil {
			break
		}
		found = true
		name, _ := e.Val(dwarf.AttrName).(string)
		if e.Tag == dwarf.TagCompileUnit {
			if name != gatePackage && name != "runtime" {
				rd.SkipChildren()
			}
			continue
		}
		if err := img.note(d, e, name, types); err != nil {
			return err
		}
		rd.SkipChildren()
	}
	switch {
	case !found:
		return fmt.Errorf("%w: no DWARF", ErrStripped)
	case img.boardType == nil || img.journalType == nil:
		return ErrNoGate
	}
	var gs GoroutineLayout
	img.Runtime, gs, err = newRuntimeLayout(types)
	gs.AllGs, gs.Reasons = img.Goroutines.AllGs, img.Goroutines.Reasons
	img.Goroutines = gs
	return err
}

// note keeps the type of e if it is one that the agent has to know.
func (img *Image) note(d *dwarf.Data, e *dwarf.Entry, name string, types map[string]*dwarf.StructType) (err error) {
	switch {
	case e.Tag == dwarf.TagVariable && name == gatePackage+".theBoard":
		img.boardType, err = structType(d, e)
	case e.Tag == dwarf.TagVariable && name == gatePackage+".journals":
		img.journalType, err = structType(d, e)
	case e.Tag == dwarf.TagStructType && slices.Contains(runtimeTypes, name):
		t, err := d.Type(e.Offset)
		if err != nil {
			return fmt.Errorf("read DWARF: type %s: %w", name, err)
		}
		if st, ok := t.(*dwarf.StructType); ok {
			types[name] = st
		}
	}
	return err
}

// structType is the type of the variable e, or of its elements if it is an
// array.
func structType(d *dwarf.Data, e *dwarf.Entry) (*dwarf.StructType, error) {
	off, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
	if !ok {
		return nil, errors.New("read DWARF: the board has no type")
	}
	t, err := d.Type(off)
	if err != nil {
		return nil, fmt.Errorf("read DWARF: type of the board: %w", err)
	}
	t = strip(t)
	if at, ok := t.(*dwarf.ArrayType); ok {
		t = strip(at.Type)
	}
	st, ok := t.(*dwarf.StructType)
	if !ok {
		return nil, fmt.Errorf("read DWARF: the board is a %T", t)
	}
	return st, nil
}
