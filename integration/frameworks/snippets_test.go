package frameworks_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSnippets fails if Go code in docs/frameworks.md is not, but for its
// indentation, in the file that it says it is from, which the tests compile.
func TestSnippets(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "frameworks.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)<!-- from (\\S+) -->\n```go\n(.*?)```\n")
	found := block.FindAllStringSubmatch(string(text), -1)
	if all := strings.Count(string(text), "```go\n"); len(found) != all || all == 0 {
		t.Errorf("%d of %d snippets say which file they are from", len(found), all)
	}
	for _, m := range found {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m[1])))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(unindented(string(source)), "\n"+unindented(m[2])) {
			t.Errorf("docs/frameworks.md has code that is not in %s:\n%s", m[1], m[2])
		}
	}
}

// unindented is text without the white space around its lines.
func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
