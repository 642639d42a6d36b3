package main

import (
	"bufio"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"go/build"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var marker = regexp.MustCompile(`^(.*)//bp:([a-z0-9-]+)$`)

type position struct {
	file string
	line int
}

// markers returns the marked lines of the shop by name.
func markers(t *testing.T) map[string]position {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]position)
	for _, name := range files {
		if built, err := build.Default.MatchFile(".", name); err != nil || !built {
			continue // of another build, see its first line
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sc := bufio.NewScanner(f)
		for line := 1; sc.Scan(); line++ {
			m := marker.FindStringSubmatch(sc.Text())
			if m == nil {
				continue
			}
			if !regexp.MustCompile(`\S`).MatchString(m[1]) {
				t.Errorf("%s:%d: marker %s is on a line without code", name, line, m[2])
			}
			if at, twice := found[m[2]]; twice {
				t.Errorf("marker %s is on %v and %s:%d", m[2], at, name, line)
			}
			found[m[2]] = position{name, line}
		}
	}
	return found
}

// TestMarkedLinesHaveCode: a breakpoint on a line needs an instruction that
// begins a statement of it, in the optimised binary.
func TestMarkedLinesHaveCode(t *testing.T) {
	want := markers(t)
	for _, name := range []string{"order-loaded", "repo-find", "service-price", "steps-level1", "steps-level2", "steps-level3",
		"after-sleep", "after-mutex", "after-chan", "after-net", "slow", "healthz", "whoami"} {
		if _, ok := want[name]; !ok {
			t.Errorf("no marker %s", name)
		}
	}
	f, err := elf.Open(buildShop(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	statements := mainStatements(t, data)
	for name, at := range want {
		if !statements[at] {
			t.Errorf("%s:%d (//bp:%s) has no instructions", at.file, at.line, name)
		}
	}
}

// mainStatements returns the lines of package main that begin a statement.
func mainStatements(t *testing.T, data *dwarf.Data) map[position]bool {
	t.Helper()
	lines := make(map[position]bool)
	for r := data.Reader(); ; r.SkipChildren() {
		cu, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if cu == nil {
			return lines
		}
		if cu.Val(dwarf.AttrName) != "main" {
			continue
		}
		lr, err := data.LineReader(cu)
		if err != nil {
			t.Fatal(err)
		}
		for {
			var e dwarf.LineEntry
			if err := lr.Next(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if e.IsStmt && !e.EndSequence {
				lines[position{filepath.Base(e.File.Name), e.Line}] = true
			}
		}
	}
}
