package clientip_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const page = "docs/client-address.md"

// TestSnippets fails if Go code in docs/client-address.md is not, but for its
// indentation, in the file that it says it is from, which the tests compile.
func TestSnippets(t *testing.T) {
	root := filepath.Join("..", "..")
	text := readPage(t)
	block := regexp.MustCompile("(?s)<!-- from (\\S+) -->\n```go\n(.*?)```\n")
	found := block.FindAllStringSubmatch(text, -1)
	if all := strings.Count(text, "```go\n"); len(found) != all || all == 0 {
		t.Errorf("%d of %d snippets say which file they are from", len(found), all)
	}
	for _, m := range found {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m[1])))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(unindented(string(source)), "\n"+unindented(m[2])) {
			t.Errorf("%s has code that is not in %s:\n%s", page, m[1], m[2])
		}
	}
}

// TestCounts fails if the figures of the comparison in the page are old ones.
func TestCounts(t *testing.T) {
	var results []result
	for _, tb := range readTables(t) {
		results = append(results, compareTable(t, &tb)...)
	}
	var b strings.Builder
	writeCounts(&b, results)
	if want := "```text" + b.String() + "```\n"; !strings.Contains(readPage(t), want) {
		t.Errorf("%s does not have the figures of this run:\n%s", page, want)
	}
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unindented is text without the white space around its lines.
func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
