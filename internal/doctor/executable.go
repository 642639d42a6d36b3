//go:build linux && amd64

package doctor

import (
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"strings"
)

var errNotELF = errors.New("not an ELF file")

// executable is what the checks need of the service's file. What could not be
// read of it has an error of its own.
type executable struct {
	header elf.FileHeader
	isGo   bool

	info    *buildinfo.BuildInfo
	infoErr error

	symbols    int // 0: stripped
	symbolsErr error

	units    compileUnits
	dwarfErr error
}

// readExecutable reads path, which may be the link of a running process.
func readExecutable(path string) (*executable, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := elf.NewFile(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotELF, err)
	}
	exe := &executable{header: file.FileHeader}
	// Both survive stripping with -s -w.
	exe.isGo = file.Section(".go.buildinfo") != nil || file.Section(".gopclntab") != nil
	exe.info, exe.infoErr = buildinfo.Read(f)

	symbols, err := file.Symbols()
	if !errors.Is(err, elf.ErrNoSymbols) {
		exe.symbols, exe.symbolsErr = len(symbols), err
	}
	exe.units, exe.dwarfErr = readUnits(file)
	return exe, nil
}

// compileUnits counts the Go packages in the debug information.
type compileUnits struct {
	packages  int  // 0: no DWARF
	plain     int  // of them, built without optimisation (-N -l)
	main      bool // there is one called main
	mainPlain bool
	cgo       bool // runtime/cgo is linked in
}

var errNoDWARF = errors.New("no debug information")

func readUnits(file *elf.File) (compileUnits, error) {
	// debug/elf gives empty data rather than an error without these.
	if file.Section(".debug_info") == nil && file.Section(".zdebug_info") == nil {
		return compileUnits{}, errNoDWARF
	}
	d, err := file.DWARF()
	if err != nil {
		return compileUnits{}, err
	}
	var units compileUnits
	for rd := d.Reader(); ; rd.SkipChildren() {
		e, err := rd.Next()
		if err != nil {
			return units, err
		}
		if e == nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit {
			name, _ := e.Val(dwarf.AttrName).(string)
			producer, _ := e.Val(dwarf.AttrProducer).(string)
			units.add(name, producer)
		}
	}
	if units.packages == 0 {
		return units, errNoDWARF
	}
	return units, nil
}

// add counts one compile unit. The Go compiler writes its version and, if they
// were given, the flags -N and -l into DW_AT_producer (cmd/link/internal/ld,
// dwarf.go): "Go cmd/compile go1.26.8; -N -l; regabi". Units of C have others.
func (u *compileUnits) add(name, producer string) {
	if !strings.HasPrefix(producer, "Go cmd/compile") {
		return
	}
	plain := false
	for part := range strings.SplitSeq(producer, ";") {
		for flag := range strings.FieldsSeq(part) {
			plain = plain || flag == "-N"
		}
	}
	u.packages++
	u.cgo = u.cgo || name == "runtime/cgo"
	if plain {
		u.plain++
	}
	if name == "main" {
		u.main, u.mainPlain = true, plain
	}
}
