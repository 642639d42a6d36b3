//go:build linux && amd64

package dap

import (
	"fmt"
	"strings"
)

// guessed is the outcome of a guess: a source, and the client's directory for
// the source's root; or why there is none, which may be left open.
type guessed struct {
	source *source
	dir    string
	path   string // the client's file
	why    string
}

// rule is what the guess says of other files.
func (g guessed) rule() (from, to string) {
	if g.source.root != "" && g.source.kind != fromUnknown {
		return g.dir, g.source.root
	}
	// With -trimpath the standard library has no directory of its own, and an
	// unknown file none that means anything: the topmost directory that is
	// shared stays in the rule, or it would map all that lies beside it too.
	n := commonTail(g.path, g.source.file) - 1
	return head(g.path, n), head(g.source.file, n)
}

// guess finds the one file of the binary that a client's file must be. A wrong
// one would be worse than none: a breakpoint that looks fine and never hits, or
// hits elsewhere. So there must be a reason for each guess, and no second file
// for which there is as good a one.
func (idx *sources) guess(p string) guessed {
	if g, ok := idx.byGoMod(p); ok {
		return g
	}
	best, rival := 0, (*source)(nil)
	g := guessed{path: p}
	for _, s := range idx.byName[baseName(p)] {
		switch n := s.fit(p); {
		case n == 0 || n < best:
		case n == best:
			rival = s
		default:
			best, rival, g.source = n, nil, s
		}
	}
	if g.source == nil {
		return guessed{why: idx.otherVersion(p)}
	}
	if rival != nil {
		return guessed{why: fmt.Sprintf("two files of the binary fit this one equally well, %s and %s: say in substitutePath which directory it is", g.source.file, rival.file)}
	}
	g.dir = head(p, len(elements(g.source.rel)))
	if other, ok := idx.taken[g.source.root]; ok && g.source.kind == fromUser && other != g.dir {
		return guessed{why: fmt.Sprintf("it may be %s, but %s was taken for that directory already, and this file is not in there: %s",
			g.source.file, other, ruleFor(g.dir, g.source.root))}
	}
	return g
}

// fit is how many trailing path elements speak for p being s; 0 if they are too
// few.
func (s *source) fit(p string) int {
	n := 0
	for _, name := range s.names() {
		n = max(n, commonTail(name, p))
	}
	rel := len(elements(s.rel))
	switch s.kind {
	case fromUser:
		// All of the path in the module, and its directory's name, too, unless
		// the path is of some length: checkouts are renamed.
		if n > rel || n == rel && rel >= minGuess {
			return n
		}
	case fromStandard:
		if n > rel { // it is in a directory src
			return n
		}
	case fromDependency:
		// Two elements of the module's path, or the version: packages of other
		// projects have names like errors, too.
		if n >= rel+2 || n > rel && strings.Contains(elements(p)[len(elements(p))-n], "@") {
			return n
		}
	default:
		if n >= minGuess {
			return n
		}
	}
	return 0
}

// otherVersion says it if p is in a module cache, and the binary has the same
// file of another version of the module.
func (idx *sources) otherVersion(p string) string {
	at := slashed(p)
	i := strings.LastIndex(at, "@v")
	if i < 0 {
		return ""
	}
	version, rel, ok := strings.Cut(at[i+1:], "/")
	if !ok {
		return ""
	}
	for _, s := range idx.byName[baseName(p)] {
		if m := s.module; m != nil && s.rel == rel && m.Version != version && strings.HasSuffix(at[:i], "/"+escapePath(m.Path)) {
			return fmt.Sprintf("it is of %s %s, and the binary was built with %s: open %s@%s instead", m.Path, version, orCheckout(m.Version), escapePath(m.Path), m.Version)
		}
	}
	return ""
}

func orCheckout(version string) string {
	if version == "" || version == "(devel)" {
		return "a checkout of it"
	}
	return version
}

// ruleFor is what to write into the launch configuration.
func ruleFor(from, to string) string {
	return fmt.Sprintf("set substitutePath to [{\"from\": %q, \"to\": %q}] if it is", from, to)
}
