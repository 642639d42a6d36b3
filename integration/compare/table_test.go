//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestTableIsFresh runs our side of the checks again and holds it against the
// table that is checked in.
func TestTableIsFresh(t *testing.T) {
	b, err := harness.NewBuilder()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Remove()
	ours, err := newOurs(b)
	if err != nil {
		t.Fatal(err)
	}
	shop, err := newShop(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := runChecks(shop, ours)
	if err != nil {
		t.Fatal(err)
	}
	said, err := checkedIn(filepath.Join(b.Root, "docs", "dap.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range checks {
		if r := got.results[k.name]; said[k.name] != r.status {
			t.Errorf("%s: docs/dap.md says %q, it is %q (%s): run make dap-table", k.name, said[k.name], r.status, r.why)
		}
	}
	for name, on := range got.caps {
		if said[name] != yes(on) {
			t.Errorf("%s: docs/dap.md says %q, it is %q: run make dap-table", name, said[name], yes(on))
		}
	}
	for name := range said {
		if _, ok := got.results[name]; !ok && said[name] == supported && !got.caps[name] {
			t.Errorf("docs/dap.md has a row %q, which is no check and no capability: run make dap-table", name)
		}
	}
}

func TestReason(t *testing.T) {
	for in, want := range map[string]string{
		"remotedbg: no memory at 0xc000123 | x": "no memory at … \\| x",
		"process 4711 and /tmp/x/y are\ngone":   "process … and … are gone",
	} {
		if got := reason(in); got != want {
			t.Errorf("reason(%q) = %q", in, got)
		}
	}
	if long := reason(strings.Repeat("é ", 200)); len(long) > longestReason+len("…") || !strings.HasSuffix(long, "…") {
		t.Errorf("a long one is %d bytes", len(long))
	}
}

func TestReplaceTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	dlv := column{"dlv", map[string]result{"threads": {missing, "no"}}, map[string]bool{"supportsX": true}}
	ours := column{"remotedbg", map[string]result{"threads": {supported, ""}}, map[string]bool{"supportsY": true}}
	if err := os.WriteFile(file, []byte("a\n"+begin+"\nold\n"+end+"\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice: it replaces what it has written
		if err := replaceTable(file, table(dlv, ours)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "a\n") || !strings.HasSuffix(string(text), "\nb\n") || strings.Contains(string(text), "old") {
		t.Errorf("it is %q, %v", text, err)
	}
	said, err := checkedIn(file)
	if err != nil || said["threads"] != supported || said["supportsX"] != missing || said["supportsY"] != supported {
		t.Errorf("read back: %v, %v", said, err)
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replaceTable(file, "x"); err == nil {
		t.Error("a file without markers was accepted")
	}
}
