//go:build linux && amd64

package board_test

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"reflect"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// typesOf reads all debug information of an executable, as Delve does, and where
// its struct types are.
func typesOf(t *testing.T, exe string) (d *dwarf.Data, named map[string]dwarf.Offset) {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d, err = f.DWARF(); err != nil {
		t.Fatal(err)
	}
	named = make(map[string]dwarf.Offset)
	for rd := d.Reader(); ; {
		e, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return d, named
		}
		if name, ok := e.Val(dwarf.AttrName).(string); ok && e.Tag == dwarf.TagStructType {
			named[name] = e.Offset
		}
		if e.Tag != dwarf.TagCompileUnit {
			rd.SkipChildren()
		}
	}
}

// TestReadLayout: who has read the debug information already gets the same image
// as who has not.
func TestReadLayout(t *testing.T) {
	exe := buildShop(t)
	pid, _ := startShop(t, exe)
	want, err := board.Locate(pid)
	if err != nil {
		t.Fatal(err)
	}
	got, err := board.LocateSymbols(pid)
	if err != nil {
		t.Fatal(err)
	}
	d, named := typesOf(t, exe)
	asked := 0
	if err := got.ReadLayout(d.Reader(), func(name string) (dwarf.Offset, bool) {
		asked++
		off, ok := named[name]
		return off, ok
	}); err != nil {
		t.Fatal(err)
	}
	if asked == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("after %d questions: %+v, want %+v", asked, got, want)
	}
	if _, err := board.Open(vmem.Process{PID: pid}, got); err != nil {
		t.Error(err)
	}
}

// TestReadLayoutOfAnotherProgram: what is missing is an error, not offset 0.
func TestReadLayoutOfAnotherProgram(t *testing.T) {
	exe := buildShop(t)
	pid, _ := startShop(t, exe)
	d, named := typesOf(t, exe)
	for _, c := range []struct {
		name  string
		named func(name string) (dwarf.Offset, bool)
	}{
		{"no types of the runtime", func(string) (dwarf.Offset, bool) { return 0, false }},
		{"another type instead", func(string) (dwarf.Offset, bool) { return named["runtime.mutex"], true }},
		{"no type there", func(string) (dwarf.Offset, bool) { return 1 << 31, true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			img, err := board.LocateSymbols(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := img.ReadLayout(d.Reader(), c.named); err == nil {
				t.Errorf("no error; %+v", img.Runtime)
			}
		})
	}
	noGate := buildDir + "/nogate"
	goBuild(t, ".", "-o", noGate, "testdata/nogate/main.go")
	other, _ := typesOf(t, noGate)
	img, err := board.LocateSymbols(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := img.ReadLayout(other.Reader(), nil); !errors.Is(err, board.ErrNoGate) {
		t.Errorf("of a program without a gate: %v", err)
	}
}
