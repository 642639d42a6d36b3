package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRedactFlags(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var ms mistakes
	r := redactFlags{file: write("good", "name customer number\nremove iban\n"), none: true}.check(&ms)
	if len(ms) > 0 || !r.lifted || !r.policy.Name("customerNumber") || r.policy.Name("iban") {
		t.Errorf("%v, %+v", ms, r)
	}
	if r := (redactFlags{}).check(&ms); len(ms) > 0 || r.lifted || !r.policy.Name("password") {
		t.Errorf("without flags: %v, %+v", ms, r)
	}
	bad := write("bad", "hide x\n\nname\n")
	redactFlags{file: bad}.check(&ms)
	redactFlags{file: filepath.Join(dir, "none")}.check(&ms)
	text := ms.Error()
	for _, want := range []string{bad + ":1: ", bad + ":3: ", "no such file"} {
		if len(ms) != 3 || !strings.Contains(text, want) {
			t.Errorf("%q is not in %q", want, text)
		}
	}
}
