//go:build linux && amd64

package dap_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	godap "github.com/google/go-dap"
)

func TestBreakpointLocations(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	marked := markedLine(t, p.file, "inner")
	lines := func(first, last int) (got []int) {
		t.Helper()
		for _, l := range ask[*godap.BreakpointLocationsResponse](t, b, "breakpointLocations", godap.BreakpointLocationsArguments{
			Source: godap.Source{Path: p.file}, Line: first, EndLine: last,
		}).Body.Breakpoints {
			got = append(got, l.Line)
		}
		return got
	}
	// func inner, doubled, the marked line, return; the comment before has none.
	if got := lines(marked-3, marked+1); !slices.Equal(got, []int{marked - 2, marked - 1, marked, marked + 1}) {
		t.Errorf("around line %d: %v", marked, got)
	}
	if got := lines(marked, 0); !slices.Equal(got, []int{marked}) {
		t.Errorf("one line: %v", got)
	}
	if got := lines(1, 3); len(got) != 0 {
		t.Errorf("comments: %v", got)
	}
	other := ask[*godap.BreakpointLocationsResponse](t, b, "breakpointLocations",
		godap.BreakpointLocationsArguments{Source: godap.Source{Path: "/nowhere/x.go"}, Line: 1}).Body
	if other.Breakpoints == nil || len(other.Breakpoints) != 0 {
		t.Errorf("a file that is not in the binary: %+v", other)
	}
	for name, args := range map[string]godap.BreakpointLocationsArguments{
		"backwards": {Source: godap.Source{Path: p.file}, Line: 5, EndLine: 4},
		"too many":  {Source: godap.Source{Path: p.file}, Line: 1, EndLine: 1 << 30},
		"no line":   {Source: godap.Source{Path: p.file}},
	} {
		_, err := b.Do("breakpointLocations", args)
		if e := failure(t, err); e.ID != 1004 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestModules(t *testing.T) {
	b, _ := frozenAt(t, "inner", "-gcflags=all=-N -l")
	got := ask[*godap.ModulesResponse](t, b, "modules", nil).Body
	if got.TotalModules != len(got.Modules) || len(got.Modules) < 2 {
		t.Fatalf("%d of %d modules", len(got.Modules), got.TotalModules)
	}
	exe, std := got.Modules[0], got.Modules[len(got.Modules)-1]
	if !exe.IsUserCode || exe.IsOptimized || exe.SymbolStatus != "symbols loaded" || exe.Path == "" ||
		!strings.HasPrefix(exe.AddressRange, "0x") || !strings.Contains(exe.Name, "values") {
		t.Errorf("the executable: %+v", exe)
	}
	if _, err := time.Parse(time.RFC3339, exe.DateTimeStamp); err != nil {
		t.Error(err)
	}
	if std.Name != "standard library" || std.Version != runtime.Version() {
		t.Errorf("the standard library: %+v", std)
	}
	page := ask[*godap.ModulesResponse](t, b, "modules", godap.ModulesArguments{StartModule: 1, ModuleCount: 1}).Body
	if len(page.Modules) != 1 || page.Modules[0].Id != got.Modules[1].Id || page.TotalModules != got.TotalModules {
		t.Errorf("a page: %+v", page)
	}
}

func TestLoadedSources(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	list := ask[*godap.LoadedSourcesResponse](t, b, "loadedSources", nil).Body.Sources
	own := slices.IndexFunc(list, func(s godap.Source) bool { return s.Path == p.file })
	std := slices.IndexFunc(list, func(s godap.Source) bool { return strings.HasSuffix(s.Path, "/fmt/print.go") })
	if own < 0 || std < own || own > 10 {
		t.Fatalf("of %d files, the user's is number %d, the standard library's %d", len(list), own, std)
	}
	if list[own].PresentationHint != "emphasize" || list[std].Origin != "standard library" {
		t.Errorf("%+v, %+v", list[own], list[std])
	}
}

// TestSource: the text of a file of the binary, and of no other.
func TestSource(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	want, err := os.ReadFile(p.file)
	must(t, err)
	got := ask[*godap.SourceResponse](t, b, "source", godap.SourceArguments{Source: &godap.Source{Path: p.file}}).Body
	if got.Content != string(want) || got.MimeType != "text/x-go" {
		t.Errorf("%d bytes of %s, want %d", len(got.Content), got.MimeType, len(want))
	}
	for name, tt := range map[string]struct {
		args godap.SourceArguments
		id   int
	}{
		"not of the binary":   {godap.SourceArguments{Source: &godap.Source{Path: "/etc/passwd"}}, 1313},
		"beside one of it":    {godap.SourceArguments{Source: &godap.Source{Path: filepath.Dir(p.file) + "/../secret"}}, 1313},
		"neither":             {godap.SourceArguments{}, 1004},
		"unknown reference":   {godap.SourceArguments{SourceReference: 77}, 1303},
		"negative reference":  {godap.SourceArguments{SourceReference: -1}, 1303},
		"reference in source": {godap.SourceArguments{Source: &godap.Source{SourceReference: 9}}, 1303},
	} {
		_, err := b.Do("source", tt.args)
		if e := failure(t, err); e.ID != tt.id {
			t.Errorf("%s: %+v, want %d", name, e, tt.id)
		}
	}
}

// TestSourceReference: with -trimpath the client cannot find files by their
// names. It gets a reference, and the text if the agent finds the file.
func TestSourceReference(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	t.Setenv("GOROOT", strings.TrimSpace(string(root)))
	b, _ := frozenAt(t, "inner", "-trimpath", "-gcflags=all=-N -l")
	frames, _, err := b.StackTrace(1, 0, 0)
	must(t, err)
	read := 0
	for _, f := range frames {
		if f.Source == nil || strings.HasPrefix(f.Source.Path, "/") {
			t.Fatalf("%s has the source %+v", f.Name, f.Source)
		}
		if f.Source.SourceReference == 0 {
			t.Errorf("%s: no reference for %s", f.Name, f.Source.Path)
		}
		got, err := b.Do("source", godap.SourceArguments{SourceReference: f.Source.SourceReference, Source: f.Source})
		if strings.HasPrefix(f.Source.Path, "runtime/") {
			must(t, err)
			if text := got.(*godap.SourceResponse).Body.Content; !strings.Contains(text, "The Go Authors") {
				t.Errorf("%s: %.40q", f.Source.Path, text)
			}
			read++
			continue
		}
		if e := failure(t, err); e.ID != 1313 || !strings.Contains(e.Message, "substitutePath") {
			t.Errorf("%s: %+v", f.Source.Path, e)
		}
	}
	if read == 0 {
		t.Error("no frame of the runtime")
	}
}

func TestExceptionInfo(t *testing.T) {
	b, _ := frozenAt(t, "panicking", "-gcflags=all=-N -l")
	got := ask[*godap.ExceptionInfoResponse](t, b, "exceptionInfo", godap.ExceptionInfoArguments{ThreadId: 1}).Body
	if got.ExceptionId != "panic" || got.BreakMode != "always" || got.Details == nil ||
		!strings.Contains(got.Description, "42") || got.Details.TypeName != "*main.shopError" {
		t.Errorf("got %+v, %+v", got, got.Details)
	}
	if v, err := b.Evaluate(got.Details.EvaluateName, 0, "watch"); err != nil || !strings.Contains(v.Result, "42") {
		t.Errorf("its evaluateName: %+v, %v", v, err)
	}
}

func TestNoException(t *testing.T) {
	b, _ := frozenAt(t, "inner", "-gcflags=all=-N -l")
	_, err := b.Do("exceptionInfo", godap.ExceptionInfoArguments{ThreadId: 1})
	if e := failure(t, err); e.ID != 1311 || !strings.Contains(e.Message, "no panic is under way") {
		t.Errorf("%+v", e)
	}
	_, err = b.Do("exceptionInfo", godap.ExceptionInfoArguments{ThreadId: 9})
	if e := failure(t, err); e.ID != 1201 {
		t.Errorf("no such thread: %+v", e)
	}
}

// TestProgress: what takes long is shown as progress, what does not is not.
func TestProgress(t *testing.T) {
	fake := newFake()
	fake.slow = make(chan struct{})
	b := attached(t, fake)
	wait, err := b.Start("modules", nil)
	must(t, err)
	ev, err := b.WaitEvent("progressStart")
	must(t, err)
	begun := ev.(*godap.ProgressStartEvent).Body
	if begun.Title == "" || begun.Cancellable {
		t.Errorf("%+v", begun)
	}
	ev, err = b.WaitEvent("progressUpdate")
	must(t, err)
	if u := ev.(*godap.ProgressUpdateEvent).Body; u.ProgressId != begun.ProgressId || u.Message == "" {
		t.Errorf("%+v", u)
	}
	close(fake.slow)
	_, err = wait()
	if e := failure(t, err); e.ID != 1306 { // the fake has no executable
		t.Errorf("%+v", e)
	}
	ev, err = b.WaitEvent("progressEnd")
	must(t, err)
	if e := ev.(*godap.ProgressEndEvent).Body; e.ProgressId != begun.ProgressId {
		t.Errorf("%+v", e)
	}
	_, err = b.Do("modules", nil)
	failure(t, err)
	for _, ev := range b.Events() {
		if ev.GetEvent().Event == "progressStart" {
			t.Error("progress of what was quick")
		}
	}
}

// TestRefusals: every request of the protocol without a route says why.
func TestRefusals(t *testing.T) {
	b := attached(t, newFake())
	for _, command := range []string{
		"goto", "gotoTargets", "restartFrame", "restart", "stepBack", "reverseContinue", "terminateThreads",
		"stepInTargets", "locations",
	} {
		_, err := b.Do(command, map[string]any{"threadId": 1})
		if e := failure(t, err); e.ID != 1003 || e.Show || len(e.Message) < 80 {
			t.Errorf("%s: %+v", command, e)
		}
	}
}
