//go:build linux && amd64

package dap

import (
	"bufio"
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"path"
	"strings"
	"syscall"
)

// Where the IDE runs on the service's machine, or the source lies there at the
// same place, the client's files can be read. They tell more than their names.

// maxLocal bounds what is read of a client's file.
const maxLocal = 4 << 20

// readLocal reads a regular file of ours; nil if there is none or it cannot be
// read. Opening does not wait, as it would for a pipe that a client names.
func readLocal(p string) []byte {
	if !strings.HasPrefix(p, "/") {
		return nil
	}
	f, err := os.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxLocal {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLocal))
	if err != nil {
		return nil
	}
	return text
}

// byGoMod finds the file by the module that it is in on our disk. ok is false if
// that says nothing.
func (idx *sources) byGoMod(p string) (g guessed, ok bool) {
	if len(idx.modules) == 0 || path.Ext(p) != ".go" || readLocal(p) == nil {
		return guessed{}, false
	}
	for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
		name := moduleName(readLocal(dir + "/go.mod"))
		if name == "" {
			continue
		}
		if name == "std" || name == "cmd" { // Go's own
			return guessed{}, false
		}
		rel, _ := under(p, dir)
		for i := range idx.modules {
			m := &idx.modules[i]
			if m.Path != name {
				continue
			}
			if s := idx.find(join(m.root, rel)); s != nil && m.Local && m.root != "" {
				return guessed{source: s, dir: dir, path: p}, true
			}
			return guessed{}, false // of another version, or missing says more
		}
		return guessed{why: fmt.Sprintf("it is of module %s, which is not in this binary", name)}, true
	}
	return guessed{}, false
}

// moduleName is the module's path in a go.mod, "" if there is none.
func moduleName(text []byte) string {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module"); ok {
			name, _, _ := strings.Cut(rest, "//")
			return strings.Trim(strings.TrimSpace(name), "\"`")
		}
	}
	return ""
}

// compare tells the user, once a file, if the client's file is on our disk and
// cannot be what the binary was built from: a line with code in the binary must
// have some in the file.
func (c *conn) compare(clientPath, file string) {
	l, ok := c.sess.(liner)
	if !ok || c.sources.checked[clientPath] {
		return
	}
	c.sources.checked[clientPath] = true
	text := readLocal(clientPath)
	if text == nil || bytes.Contains(text, []byte("\n//line ")) {
		return
	}
	if why := differs(text, l.CodeLines(file)); why != "" {
		c.output(fmt.Sprintf("remotedbg: %s is not what the binary was built from: %s; breakpoints in it may be on other lines than they seem%s",
			clientPath, why, c.sources.checkOut()))
	}
}

// differs says how text shows that code, the lines with code in the binary, was
// not made of it; "" if nothing does.
func differs(text []byte, code []int) string {
	if len(code) == 0 {
		return ""
	}
	lines := bytes.Count(text, []byte("\n")) + 1
	if last := code[len(code)-1]; last > lines {
		return fmt.Sprintf("the binary has code for line %d, and the file has %d lines", last, lines)
	}
	has := tokenLines(text)
	for _, n := range code {
		if !has[n] {
			return fmt.Sprintf("the binary has code for line %d, and the file has none there", n)
		}
	}
	return ""
}

// tokenLines are the lines with something else than space and comments.
func tokenLines(text []byte) map[int]bool {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, func(token.Position, string) {}, 0) // broken source has lines, too
	has := make(map[int]bool)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return has
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue // the scanner's own, at the end of a line
		}
		first := file.Line(pos)
		for n := range strings.Count(lit, "\n") + 1 { // a raw string goes over several
			has[first+n] = true
		}
	}
}

// checkOut is what to check out, as the end of a message.
func (idx *sources) checkOut() string {
	switch b := idx.build; {
	case b.Revision == "":
		return ""
	case b.Modified:
		return fmt.Sprintf(": the binary was built from commit %.12s with changes that were not committed", b.Revision)
	default:
		return fmt.Sprintf(": check out commit %.12s", b.Revision)
	}
}
