//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Mark is a marked line of source, "//bp:NAME" at its end.
type Mark struct {
	Name string
	File string // absolute
	Line int    // from 1
}

var markPattern = regexp.MustCompile(`//bp:([a-z0-9-]+)`)

// Marks finds the marked lines of the Go files of a directory, by name.
func Marks(dir string) (map[string]Mark, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("harness: no Go files in %s: %w", dir, err)
	}
	marks := make(map[string]Mark)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("harness: %w", err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			m := markPattern.FindStringSubmatch(line)
			if m == nil || strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			if first, twice := marks[m[1]]; twice {
				return nil, fmt.Errorf("harness: //bp:%s is at %s:%d and at %s:%d", m[1], first.File, first.Line, file, n)
			}
			marks[m[1]] = Mark{m[1], file, n}
		}
	}
	return marks, nil
}
