//go:build linux && amd64

package dap_test

import (
	"os"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/session"
)

func frozenAt(t *testing.T, marker string, buildFlags ...string) (*bench, *program) {
	t.Helper()
	p := startProgram(t, marker, buildFlags...)
	fake := newFake()
	fake.requests = []session.Request{aRequest(1)}
	fake.target = p.target()
	fake.sources = []string{p.file}
	b := attached(t, fake)
	b.stopped(t, 1)
	return b, p
}

func TestStack(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	frames, total, err := b.StackTrace(1, 0, 0)
	must(t, err)
	if total != len(frames) || total < 4 {
		t.Fatalf("%d frames, total %d", len(frames), total)
	}
	var names []string
	for _, f := range frames {
		names = append(names, f.Name+"/"+f.PresentationHint)
	}
	want := "main.inner/ main.outer/ main.main/ runtime.main/subtle runtime.goexit/subtle"
	if strings.Join(names, " ") != want {
		t.Errorf("stack %v, want %s", names, want)
	}
	if frames[0].Source == nil || frames[0].Source.Path != p.file || frames[0].Line != markedLine(t, p.file, "inner") {
		t.Errorf("innermost frame: %+v", frames[0])
	}

	// As VS Code asks: one frame, then the others; ids stay the same.
	top, total1, err := b.StackTrace(1, 0, 1)
	must(t, err)
	rest, total2, err := b.StackTrace(1, 1, 19)
	must(t, err)
	if len(top) != 1 || len(rest) != total-1 || total1 != total || total2 != total {
		t.Errorf("paged: %d + %d of %d, totals %d and %d", len(top), len(rest), total, total1, total2)
	}
	if top[0].Id != frames[0].Id || rest[0].Id != frames[1].Id {
		t.Error("the same frame has another id")
	}
	past, total3, err := b.StackTrace(1, 1000, 20)
	if err != nil || len(past) != 0 || total3 != total {
		t.Errorf("past the end: %d frames of %d, %v", len(past), total3, err)
	}
	if _, _, err = b.StackTrace(1, -1, 20); failure(t, err).ID != 1004 {
		t.Errorf("negative start: %v", err)
	}
	if _, _, err = b.StackTrace(99, 0, 20); failure(t, err).ID != 1201 {
		t.Errorf("unknown thread: %v", err)
	}
	b.fake.fail["Inspect"] = session.ErrRunning
	if _, _, err = b.StackTrace(1, 0, 20); failure(t, err).ID != 1202 {
		t.Errorf("running thread: %v", err)
	}
}

func TestDeepStackIsPaged(t *testing.T) {
	b, _ := frozenAt(t, "deep", "-gcflags=all=-N -l")
	seen, start := 0, 0
	for {
		frames, total, err := b.StackTrace(1, start, 50)
		must(t, err)
		for _, f := range frames {
			if f.Name == "main.deep" {
				seen++
			}
		}
		start += len(frames)
		if start > total {
			t.Fatalf("frame %d of %d", start, total)
		}
		if len(frames) < 50 {
			break
		}
		if total < start {
			t.Fatalf("total %d while there are at least %d: a client stops asking", total, start)
		}
	}
	if seen != 201 {
		t.Errorf("%d frames of the recursion, want 201", seen)
	}
}

func TestLocalsOfEveryFrame(t *testing.T) {
	b, _ := frozenAt(t, "inner", "-gcflags=all=-N -l")
	frames, _, err := b.StackTrace(1, 0, 0)
	must(t, err)
	for i, want := range []map[string]string{
		{"n": "21", "doubled": "42"},
		{"count": "21"},
		{"note": `"ring twice"`},
	} {
		scopes, err := b.Scopes(frames[i].Id)
		must(t, err)
		if len(scopes) != 2 || scopes[1].Name != "Request" || scopes[0].Name != "Locals" || scopes[0].Expensive {
			t.Fatalf("scopes of %s: %+v", frames[i].Name, scopes)
		}
		rows, err := b.Children(scopes[0].VariablesReference)
		must(t, err)
		for name, value := range want {
			if v := b.row(t, rows, name); v.Value != value || v.EvaluateName != name {
				t.Errorf("%s: %s = %s (evaluate %q), want %s", frames[i].Name, name, v.Value, v.EvaluateName, value)
			}
		}
	}
}

func TestOptimizedFrames(t *testing.T) {
	b, _ := frozenAt(t, "inner")
	frames, _, err := b.StackTrace(1, 0, 0)
	must(t, err)
	if frames[1].Name != "main.outer" {
		t.Fatalf("frames: %+v", frames)
	}
	scopes, err := b.Scopes(frames[1].Id)
	must(t, err)
	if scopes[0].Name != "Locals (warning: optimized function)" {
		t.Errorf("scope %q", scopes[0].Name)
	}
	// sum has no value before inner has returned; doubled has none any more.
	away := 0
	for _, f := range frames[:2] {
		scopes, err := b.Scopes(f.Id)
		must(t, err)
		rows, err := b.Children(scopes[0].VariablesReference)
		must(t, err)
		for _, v := range rows {
			if strings.HasPrefix(v.Value, "(optimized away") {
				away++
			}
			if strings.Contains(v.Value, "loclist") || strings.Contains(v.Value, "OP stack") {
				t.Errorf("%s = %s: not said plainly", v.Name, v.Value)
			}
		}
	}
	if away == 0 {
		t.Error("no variable is told to be optimized away")
	}
}

// TestInlinedFramesAreMarked: such a frame has no code of its own.
func TestInlinedFramesAreMarked(t *testing.T) {
	b, p := frozenAt(t, "small")
	frames, _, err := b.StackTrace(1, 0, 0)
	must(t, err)
	if len(frames) < 3 || frames[0].Name != "main.small (inlined)" || frames[1].Name != "main.callsSmall" || frames[2].Name != "main.main" {
		t.Fatalf("frames: %+v", frames)
	}
	if f := frames[0]; f.Source == nil || f.Source.Path != p.file || f.Line != markedLine(t, p.file, "small") || f.PresentationHint != "" {
		t.Errorf("the inlined frame: %+v", f)
	}
	notInlined, _ := frozenAt(t, "small", "-gcflags=all=-N -l")
	frames, _, err = notInlined.StackTrace(1, 0, 0)
	must(t, err)
	if frames[0].Name != "main.small" {
		t.Errorf("without inlining: %+v", frames[0])
	}
}

// lineWith is the number of the line of a file that holds text.
func lineWith(t *testing.T, file, text string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	must(t, err)
	before, _, ok := strings.Cut(string(data), text)
	if !ok {
		t.Fatalf("%s has no %q", file, text)
	}
	return 1 + strings.Count(before, "\n")
}

// TestWrappersShowWhatTheyWrap: the compiler's own functions have no source.
func TestWrappersShowWhatTheyWrap(t *testing.T) {
	for _, c := range []struct{ marker, wrapper, declared string }{
		{"stamp", "main.(*clerk).stamp-fm", "func (c *clerk) stamp("},
		{"sign", "main.(*clerk).Sign", "func (c clerk) Sign("},
	} {
		t.Run(c.marker, func(t *testing.T) {
			b, p := frozenAt(t, c.marker, "-gcflags=all=-N -l")
			frames, _, err := b.StackTrace(1, 0, 0)
			must(t, err)
			f := frames[1]
			if f.Name != c.wrapper || f.PresentationHint != "subtle" {
				t.Fatalf("frames: %+v", frames)
			}
			if f.Source == nil || f.Source.Path != p.file || f.Line != lineWith(t, p.file, c.declared) {
				t.Errorf("%s is shown at %+v:%d", f.Name, f.Source, f.Line)
			}
		})
	}
}

// TestWrapperOfUnknown: of an embedded type's method the wrapper's name does not
// tell whose it is.
func TestWrapperOfUnknown(t *testing.T) {
	b, _ := frozenAt(t, "seal", "-gcflags=all=-N -l")
	frames, _, err := b.StackTrace(1, 0, 0)
	must(t, err)
	if f := frames[1]; f.Name != "main.(*office).Seal" || f.PresentationHint != "label" || f.Source != nil || f.Line != 0 {
		t.Errorf("the wrapper: %+v", f)
	}
}
