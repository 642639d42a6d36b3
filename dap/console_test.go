//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"

	godap "github.com/google/go-dap"
)

func TestConsole(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	b.fake.sources = []string{p.file, "/go/src/net/http/server.go"}
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"dlv help", []string{"dlv config", "dlv sources", "dlv stack"}},
		{"dlv", []string{"dlv config"}},
		{"dlv help config", []string{"substitutePath <from> <to>"}},
		{"dlv help print", []string{"type the expression itself"}},
		{"dlv sources", []string{p.file, "/go/src/net/http/server.go"}},
		{"dlv sources http/s", []string{"/go/src/net/http/server.go"}},
		{"dlv sources nosuchfile", []string{"none"}},
		{"dlv stack", []string{"main.inner", "main.outer", "main.main", p.file + ":"}},
		{"dlv bt 1", []string{"main.inner"}},
		{"dlv requests", []string{"GET /orders/7 from 203.0.113.7", "stopped"}},
		{"dlv config -list", []string{"substitutePath\t[]\n", "stackTraceDepth\t4096\n", "hideSystemGoroutines\ttrue\n"}},
		{"dlv config -list hideSystemGoroutines", []string{"hideSystemGoroutines\ttrue"}},
		{"dlv config hideSystemGoroutines true", []string{"hideSystemGoroutines\ttrue"}},
	} {
		got, err := b.Evaluate(tt.line, 0, "repl")
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(got.Result, want) {
				t.Errorf("%s: %q lacks %q", tt.line, got.Result, want)
			}
		}
	}
	if got, _ := b.Evaluate("dlv bt 1", 0, "repl"); strings.Contains(got.Result, "main.outer") {
		t.Errorf("dlv bt 1: %q", got.Result)
	}
	for line, want := range map[string]string{
		"dlv config goroutineFilters x":   "--allow",
		"dlv config showRegisters true":   "always",
		"dlv config nosuch 1":             "no setting",
		"dlv config stackTraceDepth 0":    "frames",
		"dlv config substitutePath a b c": "substitutePath",
		`dlv config substitutePath "a`:    "quote",
		"dlv config substitutePath /no":   "no rule",
		"dlv sources (":                   "missing closing",
		"dlv stack deep":                  "number",
		"dlv break main.go:3":             "in the editor",
		"dlv makecoffee":                  "no command",
		"dlv help makecoffee":             "no command",
	} {
		_, err := b.Evaluate(line, 0, "repl")
		if e := failure(t, err); e.ID != 1404 || e.Show || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %+v, want %q", line, e, want)
		}
	}
}

// TestConfigTakesEffect: what dlv config changes is what the next requests see.
func TestConfigTakesEffect(t *testing.T) {
	b, p := frozenAt(t, "inner", "-gcflags=all=-N -l")
	run := func(line, want string) {
		t.Helper()
		got, err := b.Evaluate(line, 0, "repl")
		must(t, err)
		if !strings.Contains(got.Result, want) {
			t.Errorf("%s: %q, want %q", line, got.Result, want)
		}
		ev, err := b.WaitEvent("invalidated")
		must(t, err)
		if areas := ev.(*godap.InvalidatedEvent).Body.Areas; len(areas) != 1 || areas[0] != "stacks" {
			t.Errorf("%s: invalidated %v", line, areas)
		}
	}
	top := func() (godap.StackFrame, int) {
		t.Helper()
		frames, total, err := b.StackTrace(1, 0, 0)
		must(t, err)
		return frames[0], total
	}
	dir := strings.TrimSuffix(p.file, "/main.go")
	run(`dlv config substitutePath "/my code" `+dir, `"/my code" -> "`+dir+`"`)
	if f, _ := top(); f.Source.Path != "/my code/main.go" {
		t.Errorf("after a rule was added: %+v", f.Source)
	}
	run(`dlv config substitutePath "/my code"`, "substitutePath\t[]")
	run("dlv config substitutePath /other "+dir, "/other")
	run("dlv config substitutePath -clear", "substitutePath\t[]")
	if f, _ := top(); f.Source.Path != p.file {
		t.Errorf("after all rules were removed: %+v", f.Source)
	}
	run("dlv config stackTraceDepth 2", "stackTraceDepth\t2\n")
	if _, total := top(); total != 2 {
		t.Errorf("%d frames", total)
	}
}
