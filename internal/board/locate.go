//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	gatePackage = "github.com/remotedbg/remotedbg/gate"
	theBoard    = gatePackage + ".theBoard"
	journals    = gatePackage + ".journals"
)

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
	Calls, Trap Range // gate.calls and its trap, for calls by the person; empty if the gate is older than they are

	Text  uint64 // runtime.text, what the runtime's tables count addresses of code from
	Lines Range  // the runtime's table of source lines; empty: not found

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
	return locate(pid, func(img *Image, f *elf.File) error {
		d, err := debugInfo(f)
		if err != nil {
			return fmt.Errorf("%w: no DWARF: %v", ErrStripped, err)
		}
		return img.ReadLayout(d.Reader(), nil)
	})
}

// LocateSymbols is Locate for who reads all debug information anyway, and gives
// it to ReadLayout afterwards: that of a large service takes seconds to unpack.
func LocateSymbols(pid int) (*Image, error) {
	return locate(pid, func(_ *Image, f *elf.File) error {
		if f.Section(".debug_info") == nil && f.Section(".zdebug_info") == nil {
			return fmt.Errorf("%w: no DWARF", ErrStripped)
		}
		return nil
	})
}

// locate finds the symbols, and leaves the rest to finish.
func locate(pid int, finish func(*Image, *elf.File) error) (*Image, error) {
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
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} { // the latter in position-independent executables
		if s := f.Section(name); s != nil {
			img.Lines = Range{s.Addr + img.Bias, s.Addr + img.Bias + s.Size}
		}
	}
	if err := finish(img, f); err != nil {
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
	later := map[string]*Range{
		gatePackage + ".calls": &img.Calls,
		gatePackage + ".trap":  &img.Trap,
	}
	want := map[string]*Range{
		gatePackage + ".park":       &img.Park,
		"runtime.debugCallV2":       &img.DebugCall,
		"debugCall32":               &img.DebugCall32,
		"runtime.allgs":             &allgs,
		"runtime.waitReasonStrings": &img.Goroutines.Reasons,
	}
	for _, s := range syms {
		switch s.Name {
		case theBoard:
			img.boardAddr = s.Value + img.Bias
		case journals:
			img.journalAddr = s.Value + img.Bias
		case "runtime.text":
			img.Text = s.Value + img.Bias
		case timeoutHandler:
			img.TimeoutHandler = true
		}
		// The assembler's file-local functions and ABI aliases carry
		// suffixes in some Go versions ("debugCall32<>", "park.abi0").
		if r := want[strings.TrimSuffix(s.Name, "<>")]; r != nil && s.Size > 0 {
			*r = Range{s.Value + img.Bias, s.Value + img.Bias + s.Size}
		}
		if r := later[strings.TrimSuffix(s.Name, ".abi0")]; r != nil && s.Size > 0 {
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
