//go:build linux && amd64

package board_test

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		pie   bool
	}{
		{"plain", nil, false},
		{"PIE", []string{"-buildmode=pie"}, true},
		{"shop not optimised", []string{"-gcflags=-N -l"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			exe := buildShop(t, c.flags...)
			pid, _ := startShop(t, exe)
			img, err := board.Locate(pid)
			if err != nil {
				t.Fatal(err)
			}
			if (img.Bias != 0) != c.pie {
				t.Errorf("Bias = %#x", img.Bias)
			}
			checkSymbols(t, exe, img)
			b, err := board.Open(vmem.Process{PID: pid}, img)
			if err != nil {
				t.Fatal(err)
			}
			if n := b.NumSlots(); n < 8 { // more with a newer gate
				t.Errorf("%d slots", n)
			}
			if owner, err := b.Owner(); owner != 0 || err != nil {
				t.Errorf("a new service has owner %d, %v", owner, err)
			}
			checkSlotsFree(t, b)
		})
	}
}

// checkSymbols compares img with the executable's symbol table.
func checkSymbols(t *testing.T, exe string, img *board.Image) {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img.Entry-img.Bias != f.Entry {
		t.Errorf("Entry - Bias = %#x, want %#x", img.Entry-img.Bias, f.Entry)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, s := range symbols {
		var got board.Range
		switch s.Name {
		case "github.com/remotedbg/remotedbg/gate.park":
			got = img.Park
		case "runtime.debugCallV2":
			got = img.DebugCall
		case "debugCall32":
			got = img.DebugCall32
		default:
			continue
		}
		checked++
		if want := (board.Range{Start: s.Value + img.Bias, End: s.Value + s.Size + img.Bias}); got != want {
			t.Errorf("%s at %x, want %x", s.Name, got, want)
		}
	}
	if checked != 3 {
		t.Errorf("%d of 3 symbols are in the executable", checked)
	}
}

func checkSlotsFree(t *testing.T, b *board.Board) {
	t.Helper()
	var buf []byte
	slots, err := b.ReadSlots(nil, &buf)
	if err != nil {
		t.Fatal(err)
	}
	if len(slots) != b.NumSlots() {
		t.Errorf("read %d slots of %d", len(slots), b.NumSlots())
	}
	for i, s := range slots {
		if s.Index != i || s.State != board.StateFree {
			t.Errorf("slot %d = %+v, want a free one", i, s)
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	noGate := filepath.Join(buildDir, "nogate")
	goBuild(t, ".", "-o", noGate, filepath.Join("testdata", "nogate", "main.go"))
	for _, c := range []struct {
		name string
		argv []string
		want error
	}{
		{"stripped", shopArgs(t, "-ldflags=-s -w"), board.ErrStripped},
		{"stripped PIE", shopArgs(t, "-ldflags=-s -w", "-buildmode=pie"), board.ErrStripped},
		{"without DWARF", shopArgs(t, "-ldflags=-w"), board.ErrStripped},
		{"a Go program without a gate", []string{noGate}, board.ErrNoGate},
		{"no Go program", []string{"/bin/sleep", "1000"}, board.ErrNotGo},
	} {
		t.Run(c.name, func(t *testing.T) {
			pid, _ := start(t, "", c.argv...)
			eventually(t, "the program is loaded", func() bool { return runs(pid, c.argv[0]) })
			img, err := board.Locate(pid)
			if !errors.Is(err, c.want) {
				t.Errorf("Locate = %v, %v, want %v", img, err, c.want)
			}
			for _, other := range []error{board.ErrStripped, board.ErrNoGate, board.ErrNotGo, board.ErrABI, board.ErrArmed} {
				if other != c.want && errors.Is(err, other) {
					t.Errorf("%v is %v, too", err, other)
				}
			}
		})
	}
}

func shopArgs(t *testing.T, flags ...string) []string {
	t.Helper()
	return []string{buildShop(t, flags...), "-addr", "127.0.0.1:0"}
}

// runs says whether pid has replaced the test's program by exe.
func runs(pid int, exe string) bool {
	want, err := os.Stat(exe)
	if err != nil {
		return false
	}
	have, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && os.SameFile(want, have)
}

func TestLocateNoSuchProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := board.Locate(cmd.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Locate: %v, want a wrapped fs.ErrNotExist", err)
	}
}

// TestLocateReplacedFile: an upgrade that replaces the executable while it runs
// must not make the agent read the new one.
func TestLocateReplacedFile(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "shop")
	data, err := os.ReadFile(buildShop(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	pid, _ := startShop(t, exe)
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, []byte("something else"), 0o755); err != nil {
		t.Fatal(err)
	}
	img, err := board.Locate(pid)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(img.Path, "/proc/") {
		t.Errorf("Path = %s", img.Path)
	}
	if _, err := board.Open(vmem.Process{PID: pid}, img); err != nil {
		t.Error(err)
	}
}

func TestRange(t *testing.T) {
	r := board.Range{Start: 10, End: 20}
	for addr, want := range map[uint64]bool{9: false, 10: true, 19: true, 20: false} {
		if r.Contains(addr) != want {
			t.Errorf("Contains(%d) = %t", addr, !want)
		}
	}
	if (board.Range{}).Contains(0) {
		t.Error("an empty range contains 0")
	}
}
