//go:build linux && amd64

package dap_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/native"
)

// program is testdata/values stopped at a marker by Delve's own ptrace
// backend: a real target with real debug information, where the agent's would
// need a whole service.
type program struct {
	group *proc.TargetGroup
	file  string
}

const valuesDir = "testdata/values"

// startProgram builds testdata/values with the given flags, runs it to the
// line marked //bp:marker and ends it with the test.
func startProgram(t *testing.T, marker string, buildFlags ...string) *program {
	t.Helper()
	name := "main.go"
	if strings.HasPrefix(marker, "shown") {
		name = "shown.go"
	}
	file, err := filepath.Abs(filepath.Join(valuesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := buildValues(buildFlags)
	if err != nil {
		t.Fatal(err)
	}
	group, err := native.Launch([]string{exe}, t.TempDir(), 0, nil, "", "",
		proc.OutputRedirect{}, proc.OutputRedirect{Path: os.DevNull})
	if err != nil {
		t.Fatalf("launching the target: %v", err)
	}
	t.Cleanup(func() { group.Detach(true) })
	p := &program{group, file}
	p.runTo(t, markedLine(t, file, marker))
	return p
}

// builds holds what buildValues made; TestMain removes it.
var builds = struct {
	sync.Mutex
	dir  string
	exes map[string]string // by flags
}{exes: map[string]string{}}

func buildValues(flags []string) (exe string, err error) {
	builds.Lock()
	defer builds.Unlock()
	key := strings.Join(flags, " ")
	if exe := builds.exes[key]; exe != "" {
		return exe, nil
	}
	exe = filepath.Join(builds.dir, fmt.Sprint("values", len(builds.exes)))
	args := append([]string{"build", "-o", exe}, flags...)
	build := exec.Command("go", append(args, ".")...)
	build.Dir = valuesDir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the target: %w\n%s", err, out)
	}
	builds.exes[key] = exe
	return exe, nil
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "values")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func (p *program) target() *proc.Target { return p.group.Selected }

func (p *program) runTo(t *testing.T, line int) {
	t.Helper()
	file := p.file
	for _, f := range p.target().BinInfo().Sources { // another one with -trimpath
		if strings.HasSuffix(f, valuesDir+"/"+filepath.Base(p.file)) {
			file = f
		}
	}
	addrs, err := proc.FindFileLocation(p.target(), file, line)
	if err != nil || len(addrs) == 0 {
		t.Fatalf("line %d has no address: %v", line, err)
	}
	for _, addr := range addrs {
		if _, err := p.target().SetBreakpoint(0, addr, proc.UserBreakpoint, nil); err != nil {
			t.Fatalf("breakpoint: %v", err)
		}
	}
	var exited proc.ErrProcessExited
	if err := p.group.Continue(); errors.As(err, &exited) {
		t.Fatalf("the target exited (%d) before line %d", exited.Status, line)
	} else if err != nil {
		t.Fatalf("continue: %v", err)
	}
}

// markedLine is the line of file that carries //bp:marker.
func markedLine(t *testing.T, file, marker string) int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasSuffix(lines.Text(), "//bp:"+marker) {
			return n
		}
	}
	t.Fatalf("%s has no //bp:%s", file, marker)
	return 0
}
