//go:build linux && amd64

package invoke

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/op"
	"github.com/go-delve/delve/pkg/dwarf/regnum"
	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/backend"
)

// calleesDir is a service with functions of every kind of argument and result.
const calleesDir = "../../integration/targets/callees"

// built is a program that was built the ordinary way, optimised, and does not
// run: what calls are prepared from is in its file.
type built struct {
	file *elf.File
	bi   *proc.BinaryInfo
	t    *proc.Target
}

var buildDir string // of theBuilt; TestMain removes it

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir) // a temporary folder
	}
	os.Exit(code)
}

// theBuilt is built once for all tests.
var theBuilt = sync.OnceValues(func() (*built, error) {
	var err error
	if buildDir, err = os.MkdirTemp("", "remotedbg-invoke-"); err != nil {
		return nil, err
	}
	exe := filepath.Join(buildDir, "callees")
	// -buildvcs=false: the checkout may belong to another user.
	build := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	build.Dir = calleesDir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	b := &built{}
	if b.file, err = elf.Open(exe); err != nil {
		return nil, err
	}
	b.bi = proc.NewBinaryInfo("linux", "amd64", false)
	if err := b.bi.LoadBinaryInfo(exe, b.file.Entry, nil); err != nil {
		return nil, err
	}
	grp, err := backend.New(backend.Config{Path: exe, Entry: b.file.Entry, BinInfo: b.bi, Memory: b}).Target()
	if err != nil {
		return nil, err
	}
	b.t = grp.Selected
	return b, nil
})

// ReadMemory implements proc.MemoryReadWriter: what the program begins with.
func (b *built) ReadMemory(buf []byte, addr uint64) (int, error) {
	for _, p := range b.file.Progs {
		if p.Type != elf.PT_LOAD || addr < p.Vaddr || addr+uint64(len(buf)) > p.Vaddr+p.Memsz {
			continue
		}
		clear(buf)
		if off := addr - p.Vaddr; off < p.Filesz {
			if _, err := p.ReadAt(buf[:min(uint64(len(buf)), p.Filesz-off)], int64(off)); err != nil && err != io.EOF {
				return 0, err
			}
		}
		return len(buf), nil
	}
	return 0, fmt.Errorf("no memory at %#x", addr)
}

// WriteMemory implements proc.MemoryReadWriter.
func (b *built) WriteMemory(uint64, []byte) (int, error) {
	return 0, fmt.Errorf("a file is not written to")
}

// env is what an expression sees that is evaluated at a function's entry: the
// package and its variables, and no locals.
func env(t *testing.T, function string) (*built, *Env) {
	t.Helper()
	b, err := theBuilt()
	if err != nil {
		t.Fatal(err)
	}
	fn := b.function(t, function)
	at := proc.Location{PC: fn.Entry, Fn: fn}
	const stack = 0xc000100000 // of a goroutine; nothing is there
	regs := op.NewDwarfRegisters(0, nil, nil, regnum.AMD64_Rip, regnum.AMD64_Rsp, regnum.AMD64_Rbp, 0)
	regs.AddReg(regnum.AMD64_Rsp, op.DwarfRegisterFromUint64(stack))
	regs.AddReg(regnum.AMD64_Rip, op.DwarfRegisterFromUint64(fn.Entry))
	regs.CFA, regs.FrameBase = stack+8, stack+8
	scope := proc.FrameToScope(b.t, b, nil, 0, proc.Stackframe{Current: at, Call: at, Regs: *regs})
	return b, &Env{Target: b.t, Scope: scope, StackLo: stack - 0x1000, StackHi: stack + 0x1000}
}

func (b *built) function(t *testing.T, name string) *proc.Function {
	t.Helper()
	list := b.bi.LookupFunc()[name]
	if len(list) != 1 || list[0].Entry == 0 {
		t.Fatalf("%s: %d functions", name, len(list))
	}
	return list[0]
}
