package gate

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"
)

const service = `package main

import (
	"net/http"

	"github.com/remotedbg/remotedbg/gate"
)

func main() {
	var g gate.Gate
	http.ListenAndServe("127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := g.EnterHTTP(r, "")
		defer t.Leave()
	}))
}
`

// buildService builds a program that uses the gate as services do.
func buildService(t *testing.T, flags ...string) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mod := fmt.Sprintf("module service\n\ngo 1.24.0\n\nrequire github.com/remotedbg/remotedbg/gate v0.0.0\n\n"+
		"replace github.com/remotedbg/remotedbg/gate => %s\n", here)
	for name, text := range map[string]string{"go.mod": mod, "main.go": service} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", "service", ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return filepath.Join(dir, "service")
}

// TestLinkedBinaryHasWhatTheAgentLooksFor: the linker drops what nothing refers
// to, and nothing in a service calls park.
func TestLinkedBinaryHasWhatTheAgentLooksFor(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"plain", nil},
		{"trimpath", []string{"-trimpath"}},
		{"PIE", []string{"-buildmode=pie"}},
		{"race", []string{"-race"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := elf.Open(buildService(t, c.flags...))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			checkSymbols(t, f)
			checkDWARF(t, f)
		})
	}
}

func checkSymbols(t *testing.T, f *elf.File) {
	t.Helper()
	want := map[string]struct {
		kind elf.SymType
		size uint64 // 0: any but 0
	}{
		"github.com/remotedbg/remotedbg/gate.park":     {elf.STT_FUNC, 0},
		"github.com/remotedbg/remotedbg/gate.theBoard": {elf.STT_OBJECT, uint64(unsafe.Sizeof(board{}))},
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		w, ok := want[s.Name]
		if !ok {
			continue
		}
		delete(want, s.Name)
		if elf.ST_TYPE(s.Info) != w.kind || s.Size == 0 || w.size != 0 && s.Size != w.size {
			t.Errorf("symbol %s: type %v, %d bytes", s.Name, elf.ST_TYPE(s.Info), s.Size)
		}
	}
	for name := range want {
		t.Errorf("no symbol %s", name)
	}
}

// checkDWARF checks that park is a function of its own, and that the board's
// fields can be found.
func checkDWARF(t *testing.T, f *elf.File) {
	t.Helper()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	var park, boards int
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		switch name, _ := e.Val(dwarf.AttrName).(string); {
		case e.Tag == dwarf.TagSubprogram && name == "github.com/remotedbg/remotedbg/gate.park":
			park++
			if e.Val(dwarf.AttrInline) != nil || e.Val(dwarf.AttrLowpc) == nil {
				t.Errorf("park can be inlined: %v", e)
			}
		case e.Tag == dwarf.TagStructType && name == "github.com/remotedbg/remotedbg/gate.board":
			boards++
			if size, _ := e.Val(dwarf.AttrByteSize).(int64); size != int64(unsafe.Sizeof(board{})) {
				t.Errorf("the board's type has %d bytes", size)
			}
		}
	}
	if park != 1 || boards != 1 {
		t.Errorf("DWARF has %d functions park and %d types board, want one of each", park, boards)
	}
}
