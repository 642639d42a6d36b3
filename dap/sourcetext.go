//go:build linux && amd64

package dap

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"

	"github.com/google/go-dap"
)

// maxSource bounds a source file in bytes.
const maxSource = 8 << 20

// sourceRefs numbers the files of the binary that the client cannot have by
// the name that is known of them, for the life of the connection.
type sourceRefs struct {
	files []string // the reference is the index + 1
	refs  map[string]int
}

func (s *sourceRefs) ref(file string) int {
	if s.refs == nil {
		s.refs = make(map[string]int)
	}
	if s.refs[file] == 0 {
		s.files = append(s.files, file)
		s.refs[file] = len(s.files)
	}
	return s.refs[file]
}

func (s *sourceRefs) file(ref int) (string, bool) {
	if ref < 1 || ref > len(s.files) {
		return "", false
	}
	return s.files[ref-1], true
}

// sourceText reads a file for a client that does not have it. Only files that
// the binary was built from are read: the agent may read more than the person
// at the IDE.
func (c *conn) sourceText(_ context.Context, args dap.SourceArguments) (dap.SourceResponseBody, error) {
	var none dap.SourceResponseBody
	ref := args.SourceReference
	if ref == 0 && args.Source != nil {
		ref = args.Source.SourceReference
	}
	file, ok := c.refs.file(ref)
	switch {
	case ok:
	case ref != 0:
		return none, kindReference.becauseOf(fmt.Sprintf("sourceReference %d", ref))
	case args.Source == nil || args.Source.Path == "":
		return none, kindBadArguments.becauseOf("neither a sourceReference nor a path")
	default:
		var why string
		if file, why = c.resolve(args.Source.Path); why != "" {
			return none, kindSourceText.becauseOf(args.Source.Path + ": " + why)
		}
	}
	text, err := readSource(file)
	if err != nil {
		return none, kindSourceText.because(err)
	}
	return dap.SourceResponseBody{Content: text, MimeType: mimeType(file)}, nil
}

func mimeType(file string) string {
	if strings.HasSuffix(file, ".go") {
		return "text/x-go"
	}
	return "text/plain"
}

// readSource reads a file by its name in the binary, on the agent's machine.
func readSource(file string) (string, error) {
	var tried []string
	for _, p := range onDisk(file) {
		text, err := readFile(p)
		if err == nil {
			return text, nil
		}
		tried = append(tried, err.Error())
	}
	return "", fmt.Errorf("the agent cannot read %s on its machine: %s", file, strings.Join(tried, "; "))
}

func readFile(p string) (string, error) {
	f, err := os.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
	if err != nil {
		return "", err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", p)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err == nil && len(text) > maxSource {
		err = fmt.Errorf("%s is longer than %d bytes", p, maxSource)
	}
	return string(text), err
}

// onDisk lists where a file of the binary may be here. What -trimpath leaves
// of a path begins with a module and its version, or with a package of the
// standard library.
func onDisk(file string) []string {
	if isAbs(file) {
		return []string{file}
	}
	if !filepath.IsLocal(file) {
		return nil
	}
	var list []string
	if module, rest, versioned := strings.Cut(file, "@"); versioned {
		list = append(list, filepath.Join(moduleCache(), escaped(module)+"@"+rest))
	}
	goroot := os.Getenv("GOROOT")
	if goroot == "" {
		goroot = "/usr/local/go" // where Go's own packages and images have it
	}
	return append(list, filepath.Join(goroot, "src", file))
}

// moduleCache is where the go command keeps modules (go help modules).
func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	if gopath := filepath.SplitList(os.Getenv("GOPATH")); len(gopath) > 0 && gopath[0] != "" {
		return filepath.Join(gopath[0], "pkg", "mod")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, "go", "pkg", "mod")
}

// escaped is a module path as the module cache spells it: "!a" for "A"
// (golang.org/ref/mod#module-cache).
func escaped(module string) string {
	var b strings.Builder
	for _, r := range module {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
