//go:build linux && amd64

package dap_test

import (
	"maps"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/internal/session"
)

func TestDeprecatedLinesAndZeroBasedLines(t *testing.T) {
	fake := newFake()
	fake.sources = []string{"/src/a.go"}
	b := serve(t, fake, dap.Config{})
	_, err := b.Do("initialize", map[string]any{"adapterID": "go", "linesStartAt1": false})
	must(t, err)
	must(t, b.Attach(nil))
	r, err := b.Do("setBreakpoints", map[string]any{"source": map[string]any{"path": "/src/a.go"}, "lines": []int{9}})
	must(t, err)
	bps := r.(*godap.SetBreakpointsResponse).Body.Breakpoints
	if len(bps) != 1 || bps[0].Line != 9 || !bps[0].Verified || !fake.called("SetBreakpoints /src/a.go[{10 { } }]") {
		t.Errorf("%+v, calls %v", bps, fake.calls)
	}
}

// breakpointBench is a session with sources to break in, and a function that
// sends setBreakpoints for a file with breakpoints as the protocol has them.
func breakpointBench(t *testing.T) (b *bench, set func(path string, bps ...map[string]any) []godap.Breakpoint) {
	t.Helper()
	fake := newFake()
	fake.sources = []string{"/build/shop/main.go", "/build/shop/store/store.go", "/build/lib/store.go", "example.com/api/x.go"}
	fake.breakpoints = func(file string, want []session.SourceBreakpoint) []session.Breakpoint {
		var got []session.Breakpoint
		for i, w := range want {
			got = append(got, session.Breakpoint{ID: 10 + i, File: file, Line: w.Line + 1, Verified: w.Line != 3, Message: "moved"})
		}
		return got
	}
	b = serve(t, fake, dap.Config{})
	_, err := b.Initialize()
	must(t, err)
	must(t, b.Attach(map[string]any{
		"substitutePath":      []map[string]string{{"from": "/home/me/lib", "to": "/build/lib"}},
		"guessSubstitutePath": map[string]any{"ClientModuleDirectories": map[string]string{"example.com/api": "/w/api"}},
	}))
	return b, func(path string, bps ...map[string]any) []godap.Breakpoint {
		t.Helper()
		r, err := b.Do("setBreakpoints", map[string]any{"source": map[string]any{"path": path}, "breakpoints": bps})
		must(t, err)
		return r.(*godap.SetBreakpointsResponse).Body.Breakpoints
	}
}

// breakpoint is one at a line, with more keys.
func breakpoint(line int, more map[string]any) map[string]any {
	m := map[string]any{"line": line}
	maps.Copy(m, more)
	return m
}

func TestSetBreakpoints(t *testing.T) {
	b, set := breakpointBench(t)
	got := set("/home/me/lib/store.go", breakpoint(2, map[string]any{"condition": " id == 1 "}), breakpoint(3, map[string]any{"hitCondition": "% 3"}),
		breakpoint(8, map[string]any{"logMessage": "x {y}"}))
	if !b.fake.called("SetBreakpoints /build/lib/store.go[{2 {id == 1 } } {3 { % 3} } {8 { } x {y}}]") {
		t.Errorf("calls: %v", b.fake.calls)
	}
	if len(got) != 3 || got[0].Id != 10 || !got[0].Verified || got[0].Line != 3 || got[0].Source.Path != "/home/me/lib/store.go" {
		t.Fatalf("%+v", got)
	}
	if got[1].Id != 11 || got[1].Verified || got[1].Message != "moved" {
		t.Errorf("results are not in the order asked: %+v", got)
	}

	if got := set("/build/shop/main.go"); got == nil || len(got) != 0 || !b.fake.called("SetBreakpoints /build/shop/main.go[]") {
		t.Errorf("clearing: %v", got)
	}
	_, err := b.Do("setBreakpoints", map[string]any{"source": map[string]any{"name": "x", "sourceReference": 4}})
	if failure(t, err).ID != 1501 {
		t.Errorf("no path: %v", err)
	}
	if _, err := b.Do("setExceptionBreakpoints", map[string]any{"filters": []string{}}); err != nil {
		t.Error(err)
	}
}

func TestSetOtherBreakpoints(t *testing.T) {
	b, _ := breakpointBench(t)
	r, err := b.Do("setFunctionBreakpoints", map[string]any{"breakpoints": []map[string]any{{"name": " main.f ", "condition": "x", "hitCondition": "3"}}})
	must(t, err)
	bps := r.(*godap.SetFunctionBreakpointsResponse).Body.Breakpoints
	if !b.fake.called("SetFunctionBreakpoints [{main.f {x 3}}]") || len(bps) != 1 || bps[0].Verified || bps[0].Source != nil || bps[0].Message == "" {
		t.Errorf("%+v, calls %v", bps, b.fake.calls)
	}
	r, err = b.Do("setInstructionBreakpoints", map[string]any{"breakpoints": []map[string]any{{"instructionReference": "0x401000", "offset": -16}}})
	must(t, err)
	bps = r.(*godap.SetInstructionBreakpointsResponse).Body.Breakpoints
	if !b.fake.called("SetInstructionBreakpoints [{4198384 { }}]") || len(bps) != 1 || !bps[0].Verified || bps[0].Line != 7 || bps[0].InstructionReference != "0x400ff0" {
		t.Errorf("%+v, calls %v", bps, b.fake.calls)
	}
	_, err = b.Do("setInstructionBreakpoints", map[string]any{"breakpoints": []map[string]any{{"instructionReference": "main"}}})
	if failure(t, err).ID == 0 {
		t.Errorf("no address: %v", err)
	}
}

func TestSourcesAreFound(t *testing.T) {
	b, set := breakpointBench(t)
	// A guess, told to the user, and used both ways from then on.
	got := set("/home/me/src/shop/store/store.go", breakpoint(5, nil))
	if !got[0].Verified || got[0].Source.Path != "/home/me/src/shop/store/store.go" {
		t.Errorf("guessed: %+v", got)
	}
	_, err := b.WaitOutput("taking /home/me/src/shop/store/store.go for /build/shop/store/store.go")
	must(t, err)
	got = set("/home/me/src/shop/main.go", breakpoint(5, nil))
	if !got[0].Verified {
		t.Errorf("second file below the guessed directory: %+v", got)
	}

	got = set("/w/api/x.go", breakpoint(5, nil)) // by what the IDE knows of its modules
	if !got[0].Verified || got[0].Source.Path != "/w/api/x.go" || !b.fake.called("SetBreakpoints example.com/api/x.go[{5 { } }]") {
		t.Errorf("file of a module: %+v", got)
	}

	got = set("/home/me/elsewhere/nothing.go", breakpoint(5, nil))
	if got[0].Verified || !strings.Contains(got[0].Message, "no such file in the binary") {
		t.Errorf("unknown file: %+v", got)
	}
}
