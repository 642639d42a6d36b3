//go:build linux && amd64

package session

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/backend"
	"github.com/remotedbg/remotedbg/internal/board"
)

// crowded has lines that are in many places of the binary.
const crowded = `package main

import "fmt"

var sink []int

func small(n int) int { // no breakpoint fits it
	sink = append(sink, n) //bp:inlined
	return n + 1
}

//go:noinline
func generic[T any](list []T) int {
	sink = append(sink, len(list)) //bp:generic
	return cap(list)
}

//go:noinline
func plain(n int) int {
	return n * 2 //bp:plain
}

const nothing = 1 //bp:constant

func main() {
	fmt.Println(small(1), small(2), small(3), small(4), small(5), small(6))
	fmt.Println(generic([]int{1}), generic([]string{""}), generic([]byte{1}), generic([]float64{1}), generic([]int16{1}), generic([]bool{true}))
	fmt.Println(plain(nothing), sink)
}
`

// symbolsOf builds a program and makes a session that has its symbols, and
// nothing else.
func symbolsOf(t *testing.T, source string) (s *Session, file string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": "module example.com/crowded\n\ngo 1.24\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exe := filepath.Join(dir, "crowded")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := &Engine{img: &board.Image{Path: exe, Entry: f.Entry}}
	if e.bi, e.text, err = loadSymbols(e.img); err != nil {
		t.Fatal(err)
	}
	e.symbols = backend.New(e.backendConfig())
	return &Session{e: e}, filepath.Join(dir, "main.go")
}

// TestWhyNot: a breakpoint that cannot be had says why, and what would help.
func TestWhyNot(t *testing.T) {
	s, file := symbolsOf(t, crowded)
	line := func(name string) int {
		before, _, ok := strings.Cut(crowded, "//bp:"+name+"\n")
		if !ok {
			t.Fatalf("no line %s", name)
		}
		return 1 + strings.Count(before, "\n")
	}
	places := func(name string) []uint64 {
		addrs, err := proc.FindFileLocation(s.e.symbols, file, line(name))
		if err != nil {
			t.Fatal(err)
		}
		return addrs
	}
	var mixed []uint64 // entries of different functions
	for i := range s.e.bi.Functions {
		if f := &s.e.bi.Functions[i]; f.Entry != 0 && strings.HasPrefix(f.Name, "strconv.") && len(mixed) < 5 {
			mixed = append(mixed, f.Entry)
		}
	}
	for _, c := range []struct {
		name  string
		err   error
		says  []string // none: a breakpoint can be set
		never string
	}{
		{"inlined in many places", s.whyTooMany(line("inlined"), places("inlined")),
			[]string{"main.small", "inlined in 6 places", "//go:noinline"}, "different types"},
		{"generic", s.whyTooMany(line("generic"), places("generic")),
			[]string{"main.generic", "compiled 6 times for different types", "break where it is called"}, "inlined"},
		{"in several functions", s.whyTooMany(7, mixed), []string{"line 7 is in 5 places"}, "inlined"},
		{"once", s.whyTooMany(line("plain"), places("plain")), nil, ""},
		{"as many as fit", s.whyTooMany(7, mixed[:4]), nil, ""},
		{"a file of the same name", s.whyNoFile("/somewhere/else/main.go"),
			[]string{"/somewhere/else/main.go is not among", file, "substitutePath"}, "nor is any other"},
		{"a file of no such name", s.whyNoFile("/somewhere/else/nowhere.go"),
			[]string{"nor is any other of that name", "carries no commit"}, "substitutePath"},
		{"no code between lines that have some", s.whyNoLine(file, line("plain")+2), []string{fmt.Sprintf("line %d has no code", line("plain")+2), "nearest lines that do are", "carries no commit"}, ""},
		{"a file of declarations", s.whyNoLine("/declarations/only.go", 3), []string{"only.go has no code of its own"}, ""},
		{"far behind the end", s.whyNoLine(file, 4000), []string{fmt.Sprintf("its file has code between the lines %d and", line("inlined"))}, "nearest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.says) == 0 {
				if c.err != nil {
					t.Errorf("refused: %v", c.err)
				}
				return
			}
			if c.err == nil {
				t.Fatal("not refused")
			}
			for _, part := range c.says {
				if !strings.Contains(c.err.Error(), part) {
					t.Errorf("%q does not say %q", c.err, part)
				}
			}
			if c.never != "" && strings.Contains(c.err.Error(), c.never) {
				t.Errorf("%q says %q", c.err, c.never)
			}
		})
	}
}

// TestStamp: what to check out.
func TestStamp(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []debug.BuildSetting
		revision string
		modified bool
	}{
		{"none", []debug.BuildSetting{{Key: "GOOS", Value: "linux"}}, "", false},
		{"committed", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}, {Key: "vcs.modified", Value: "false"}}, "0123", false},
		{"with changes", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, {Key: "vcs.revision", Value: "0123"}}, "0123", true},
	} {
		revision, modified := stamp(&debug.BuildInfo{Settings: c.settings})
		if revision != c.revision || modified != c.modified {
			t.Errorf("%s: %q, %t", c.name, revision, modified)
		}
	}
}
