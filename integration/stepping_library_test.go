//go:build linux && amd64

package integration_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// libraryMark begins the names of the programs that are about the standard
// library.
const libraryMark = "lib-"

// libraryWays are how a walk goes on where it has stopped: in the program, and in
// what that calls.
var libraryWays = map[string]struct{ outside, inside string }{
	"":    {"next", "next"}, // tells which line follows which
	"in":  {"stepIn", "stepIn"},
	"out": {"stepIn", "stepOut"},
	"on":  {"stepIn", "next"},
}

// librarySteps bounds a walk through the library.
const librarySteps = 120

// TestSteppingIntoTheLibrary steps into what runs in the runtime, pinned to a P,
// in reflect and in assembly, where no request can be frozen. A step that would
// end there must end at the next place where it can be: none may lead over the
// next line of the program, much less to the request's end.
func TestSteppingIntoTheLibrary(t *testing.T) {
	t.Parallel()
	binary, marks := steppingTarget(t)
	w := remotedbgWalker(t, binary)
	walks := 0
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		if !strings.HasPrefix(name, libraryMark) {
			continue
		}
		var lines []int
		for _, way := range slices.Sorted(maps.Keys(libraryWays)) { // "" first
			walks++
			walk := w.throughLibrary(t, marks[name], libraryWays[way].outside, libraryWays[way].inside)
			if way == "" {
				lines = walk.lines
			}
			if bad := walk.skipped(lines); bad != "" {
				t.Errorf("%s %s: %s:\n  %s", name, way, bad, strings.Join(walk.stops, "\n  "))
			}
			t.Logf("%s %s: %d steps, lines %v", name, way, len(walk.stops), walk.lines)
		}
	}
	if walks < 36 {
		t.Errorf("%d walks only", walks)
	}
}

// libraryWalk is a walk through a program and what it calls.
type libraryWalk struct {
	stops []string // where each step ended
	lines []int    // of the program, where it stood then
	over  bool     // the last step led to the request's end
}

// skipped says which step led over a line of the program, given those that next
// comes to, in order; "" if none did. Lines that it does not come to are inlined,
// and parts of earlier ones may come again, where the compiler has moved them.
func (lw libraryWalk) skipped(lines []int) string {
	reached := 0
	for i, line := range lw.lines {
		k := slices.Index(lines, line)
		if k > reached+1 {
			return fmt.Sprintf("step %d came to line %d of the program, which next comes through as %v", i, line, lines)
		}
		reached = max(reached, k)
	}
	if lw.over {
		return fmt.Sprintf("the last step, from line %d of the program, led to the request's end", lw.lines[len(lw.lines)-1])
	}
	return ""
}

// throughLibrary walks through a marked program and what it calls, with one kind
// of step in the program and one in what it calls.
func (w *walker) throughLibrary(t *testing.T, m harness.Mark, outside, inside string) (lw libraryWalk) {
	t.Helper()
	stop, reply, cancel := w.stopAt(t, m)
	defer cancel()
	program := ""
	for range librarySteps {
		frames, _, err := w.ide.StackTrace(stop.ThreadId, 0, 60)
		must(t, err)
		if program == "" {
			program = frames[0].Name
		}
		top := frames[0]
		file := "?"
		if top.Source != nil {
			file = filepath.Base(top.Source.Path)
		}
		lw.stops = append(lw.stops, fmt.Sprintf("%s %s:%d", top.Name, file, top.Line))
		i := slices.IndexFunc(frames, func(f dap.StackFrame) bool { return f.Name == program })
		if i < 0 {
			break // it has returned
		}
		lw.lines = append(lw.lines, frames[i].Line)
		kind := outside
		if !strings.HasPrefix(top.Name, "main.") {
			kind = inside
		}
		if stop, lw.over, err = w.step(stop.ThreadId, kind); err != nil {
			t.Fatalf("%s, %s behind %v: %v", m.Name, kind, lw.stops, err)
		}
		if lw.over {
			break
		}
	}
	if !lw.over {
		must(t, w.ide.Continue(stop.ThreadId))
	}
	if r := <-reply; r.Err != nil || r.Status != http.StatusOK {
		t.Fatalf("/%s: status %d, %v", m.Name, r.Status, r.Err)
	}
	return lw
}
