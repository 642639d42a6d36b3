//go:build linux && amd64

package session

import (
	"debug/elf"
	"debug/gosym"
	"os"
	"runtime"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// ownTable gives this program's table of source lines: as the agent reads it,
// and as the standard library does.
func ownTable(t *testing.T) (*lineTable, *gosym.Table) {
	t.Helper()
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".gopclntab")
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	// A test's binary has no symbols, such as runtime.text: what that is follows
	// from a function of which both offset and address are known.
	fromZero, err := gosym.NewTable(nil, gosym.NewLineTable(data, 0))
	if err != nil {
		t.Fatal(err)
	}
	pc, _, _, _ := runtime.Caller(0)
	here := runtime.FuncForPC(pc)
	fn := fromZero.LookupFunc(here.Name())
	if fn == nil {
		t.Fatalf("no function %s", here.Name())
	}
	text := uint64(here.Entry()) - fn.Entry
	want, err := gosym.NewTable(nil, gosym.NewLineTable(data, text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := openLines(vmem.Process{PID: os.Getpid()}, board.Range{Start: s.Addr, End: s.Addr + s.Size}, text)
	if err != nil {
		t.Fatal(err)
	}
	return got, want
}

// TestLines holds the reader of the runtime's table against debug/gosym, all
// over this program.
func TestLines(t *testing.T) {
	got, want := ownTable(t)
	last := want.Funcs[len(want.Funcs)-1].End
	checked := 0
	for pc := got.text - 16; pc < last+64; pc += 97 {
		file, line, err := got.find(pc)
		if err != nil {
			t.Fatalf("%#x: %v", pc, err)
		}
		wantFile, wantLine, fn := want.PCToLine(pc)
		if fn == nil {
			wantFile, wantLine = "", 0
		}
		if file != wantFile || file != "" && line != wantLine {
			t.Fatalf("%#x: %s:%d, gosym says %s:%d", pc, file, line, wantFile, wantLine)
		}
		if file != "" {
			checked++
		}
	}
	if checked < 1000 {
		t.Errorf("%d places checked", checked)
	}
}

func TestLinesOfThisPlace(t *testing.T) {
	table, _ := ownTable(t)
	pc, wantFile, wantLine, _ := runtime.Caller(0)
	file, line, err := table.find(uint64(pc - 1))
	if err != nil || file != wantFile || line != wantLine {
		t.Errorf("%s:%d, %v; want %s:%d", file, line, err, wantFile, wantLine)
	}
}

// TestLinesOfAnotherKind: what is not such a table is refused, not misread.
func TestLinesOfAnotherKind(t *testing.T) {
	good := []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8, 1, 0, 0, 0, 0, 0, 0, 0}
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"no table", nil},
		{"header cut off", good},
		{"zeros", make([]byte, 256)},
		{"of a later Go", append([]byte{0xf2}, append(good[1:], make([]byte, 200)...)...)},
		{"offsets outside", append(good, []byte("\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f")...)},
		{"functions of zeros", append(good, make([]byte, 256)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const base = 0x1000
			table, err := openLines(bytesAt{base, c.data}, board.Range{Start: base, End: base + uint64(len(c.data))}, 0x400000)
			if err != nil {
				return
			}
			if file, line, err := table.find(0x400010); err == nil && file != "" {
				t.Errorf("found %s:%d", file, line)
			}
		})
	}
}

// bytesAt is a memory with bytes at an address.
type bytesAt struct {
	base uint64
	data []byte
}

func (m bytesAt) ReadMemory(buf []byte, addr uint64) (int, error) {
	if addr < m.base || addr-m.base > uint64(len(m.data)) || uint64(len(buf)) > uint64(len(m.data))-(addr-m.base) {
		return 0, os.ErrInvalid
	}
	return copy(buf, m.data[addr-m.base:]), nil
}
