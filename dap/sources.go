//go:build linux && amd64

package dap

import (
	"fmt"
	"path"

	"github.com/remotedbg/remotedbg/internal/session"
)

// minGuess is how many trailing path elements a client's file and a file of
// the binary must share to be taken for the same, if nothing else is known of
// them: the name alone is main.go too often.
const minGuess = 2

// sourceIndex is what conn keeps of the binary's files.
type sourceIndex = *sources

// sources are the files of the binary. They belong to the goroutine of their
// connection, and change only in taken and checked.
type sources struct {
	byName  map[string][]*source // by the last path element
	byDir   map[string][]*source // by directory
	modules []module             // the longest paths first
	std     string               // directory of the standard library; "" with -trimpath
	build   session.Build

	taken   map[string]string // directory of the client, by that of a module of the binary: what was guessed
	checked map[string]bool   // files of the client that were compared with the binary
}

// source is a file of the binary: root and rel joined.
type source struct {
	file   string
	kind   sourceKind
	module *module // nil: std, or unknown
	root   string  // directory of its module, or of the standard library's sources; may be ""
	rel    string
}

type sourceKind int

const (
	fromUnknown    sourceKind = iota // of which nothing but its path is known
	fromUser                         // of a module that was built from a checkout
	fromDependency                   // of a module from the module cache or of a vendor directory
	fromStandard
)

// module is a module of the binary.
type module struct {
	session.Module
	root string // directory in the binary; "" if nothing of it is known
}

// builder is a Session that knows how its binary was built. Those of the engine
// do; what is not known is not guessed from.
type builder interface {
	Build() (session.Build, error)
}

// liner is a Session that knows which lines of a file have code.
type liner interface {
	CodeLines(file string) []int
}

// newSourceIndex sorts files, all those of the binary, by what is known of it.
func newSourceIndex(files []string, build session.Build) sourceIndex {
	idx := &sources{
		byName: make(map[string][]*source), byDir: make(map[string][]*source),
		modules: modulesOf(build), build: build,
		taken: make(map[string]string), checked: make(map[string]bool),
	}
	packages := make(map[string]string, len(build.Packages)) // import path, by directory
	for name, dir := range build.Packages {
		packages[dir] = name
	}
	idx.std = standardRoot(files)
	for _, f := range files {
		s := idx.classify(f, packages[path.Dir(f)], idx.std)
		idx.byName[path.Base(f)] = append(idx.byName[path.Base(f)], s)
		idx.byDir[path.Dir(f)] = append(idx.byDir[path.Dir(f)], s)
	}
	return idx
}

func (idx *sources) find(file string) *source {
	for _, s := range idx.byName[baseName(file)] {
		if s.file == file {
			return s
		}
	}
	return nil
}

// index makes the index at its first use, and turns what the IDE knows of the
// user's modules and of Go's place into rules.
func (c *conn) index() sourceIndex {
	if c.sources != nil {
		return c.sources
	}
	var build session.Build
	if b, ok := c.sess.(builder); ok {
		err := c.slowly("Reading what the program was built from", func() (err error) {
			build, err = b.Build()
			return err
		})
		if err != nil {
			c.output("remotedbg: paths are guessed by their names alone: " + err.Error())
		}
	}
	c.sources = newSourceIndex(c.sess.Sources(), build)
	for _, r := range c.sources.standardRules(c.clientGoRoot) {
		c.paths.hint(r.From, r.To)
	}
	for _, r := range c.paths.hinted() { // from a module's directory to its path
		for _, m := range c.sources.modules {
			if m.Path == r.To && m.root != "" && m.root != r.To {
				c.paths.hint(r.From, m.root)
			}
		}
	}
	return c.sources
}

// resolve turns a client's path into one of the binary: by the rules, by the
// go.mod beside the file if the client's disk is ours, else by guessing. A guess
// becomes a rule, so that stack traces lead back to the client's files, and is
// told to the user. why is set if the file is not in the binary.
func (c *conn) resolve(clientPath string) (file, why string) {
	idx := c.index()
	candidates, byUser := c.paths.toServer(clientPath)
	for _, p := range candidates {
		if idx.find(p) != nil {
			c.compare(clientPath, p)
			return p, ""
		}
	}
	if byUser != "" { // the user has said what it is
		return candidates[0], idx.missing(clientPath, byUser, candidates)
	}
	g := idx.guess(clientPath)
	if g.source == nil {
		if g.why == "" {
			g.why = idx.missing(clientPath, "", candidates)
		}
		return candidates[0], g.why
	}
	idx.taken[g.source.root] = g.dir
	c.paths.hint(g.rule())
	c.output(fmt.Sprintf("remotedbg: taking %s for %s; set substitutePath to overrule it", clientPath, g.source.file))
	c.compare(clientPath, g.source.file)
	return g.source.file, ""
}

// commonTail counts the trailing path elements a and b share.
func commonTail(a, b string) int {
	as, bs := elements(a), elements(b)
	n := 0
	for n < len(as) && n < len(bs) && as[len(as)-1-n] == bs[len(bs)-1-n] {
		n++
	}
	return n
}
