//go:build linux && amd64

package live_test

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// symbols are the functions, lines and thread-local storage of an executable
// that is not position-independent.
type symbols struct {
	funcs []function
	vars  map[string]uint64
	lines map[string][]uint64 // "file:line" of package main -> where it begins, ascending
	tls   uint64              // offset of g from the thread's FS base
}

type function struct {
	name       string
	start, end uint64
}

var symbolsOf = make(map[string]*symbols) // by executable; tests run one after the other

func readSymbols(t *testing.T, exe string) *symbols {
	t.Helper()
	if s := symbolsOf[exe]; s != nil {
		return s
	}
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	// Where the Go linker laid out the thread-local storage it is one word, g,
	// below the FS base (cmd/link, Elfinit; runtime/sys_linux_amd64.s, settls).
	s := &symbols{lines: make(map[string][]uint64), vars: make(map[string]uint64), tls: ^uint64(7)}
	for _, sym := range syms {
		switch {
		case sym.Name == "runtime.tlsg":
			s.tls = tlsOffset(t, f, sym.Value)
		case elf.ST_TYPE(sym.Info) == elf.STT_FUNC && sym.Size > 0:
			s.funcs = append(s.funcs, function{sym.Name, sym.Value, sym.Value + sym.Size})
		case elf.ST_TYPE(sym.Info) == elf.STT_OBJECT:
			s.vars[sym.Name] = sym.Value
		}
	}
	slices.SortFunc(s.funcs, func(a, b function) int { return int(int64(a.start) - int64(b.start)) })
	s.readLines(t, f)
	symbolsOf[exe] = s
	return s
}

// tlsOffset: the block of the executable ends at the FS base (variant II of the
// ELF TLS specification, section 3.4.6).
func tlsOffset(t *testing.T, f *elf.File, value uint64) uint64 {
	t.Helper()
	for _, p := range f.Progs {
		if p.Type == elf.PT_TLS {
			size := (p.Memsz + p.Align - 1) &^ (p.Align - 1)
			return value - size
		}
	}
	t.Fatal("no TLS segment")
	return 0
}

func (s *symbols) readLines(t *testing.T, f *elf.File) {
	t.Helper()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	for r := data.Reader(); ; r.SkipChildren() {
		cu, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if cu == nil {
			break
		}
		if cu.Val(dwarf.AttrName) != "main" {
			continue
		}
		lr, err := data.LineReader(cu)
		if err != nil {
			t.Fatal(err)
		}
		var e dwarf.LineEntry
		for err = lr.Next(&e); err == nil; err = lr.Next(&e) {
			if e.IsStmt && !e.EndSequence {
				at := fmt.Sprintf("%s:%d", filepath.Base(e.File.Name), e.Line)
				s.lines[at] = append(s.lines[at], e.Address)
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	for _, addrs := range s.lines {
		slices.Sort(addrs)
	}
}

// at is the first address of a marked line.
func (s *symbols) at(t *testing.T, marker string) uint64 {
	t.Helper()
	marks, err := markers()
	if err != nil {
		t.Fatal(err)
	}
	addrs := s.lines[marks[marker]]
	if len(addrs) == 0 {
		t.Fatalf("//bp:%s has no code", marker)
	}
	return addrs[0]
}

// variable is the address of a package variable.
func (s *symbols) variable(t *testing.T, name string) uint64 {
	t.Helper()
	if s.vars[name] == 0 {
		t.Fatalf("no variable %s", name)
	}
	return s.vars[name]
}

// linesOf are the first addresses of all lines with code in a function, by
// "file:line".
func (s *symbols) linesOf(fn function) map[string]uint64 {
	found := make(map[string]uint64)
	for line, addrs := range s.lines {
		for _, a := range addrs {
			if fn.start <= a && a < fn.end {
				found[line] = a
				break
			}
		}
	}
	return found
}

// around is the function that pc lies in.
func (s *symbols) around(pc uint64) function {
	i := sort.Search(len(s.funcs), func(i int) bool { return s.funcs[i].start > pc }) - 1
	if i < 0 || pc >= s.funcs[i].end {
		return function{}
	}
	return s.funcs[i]
}

func (s *symbols) bounds(pc uint64) [2]uint64 {
	fn := s.around(pc)
	return [2]uint64{fn.start, fn.end}
}

func (s *symbols) user(pc uint64) bool { return strings.HasPrefix(s.around(pc).name, "main.") }

func (s *symbols) runtime(pc uint64) bool {
	name := s.around(pc).name
	return strings.HasPrefix(name, "runtime.") || strings.HasPrefix(name, "internal/runtime/")
}
