//go:build linux && amd64

package dap

import (
	"fmt"
	"strings"
)

// minGuess is how many trailing path elements a client's file and a file of
// the binary must share to be taken for the same: the name alone is main.go
// too often.
const minGuess = 2

// sourceIndex finds the files of the binary by their last path element.
type sourceIndex map[string][]string

func newSourceIndex(files []string) sourceIndex {
	idx := make(sourceIndex, len(files))
	for _, f := range files {
		idx[baseName(f)] = append(idx[baseName(f)], f)
	}
	return idx
}

func (idx sourceIndex) has(file string) bool {
	for _, f := range idx[baseName(file)] {
		if f == file {
			return true
		}
	}
	return false
}

// resolve turns a client's path into one of the binary: by the rules, else by
// guessing the one file that shares the longest tail with it. A guess becomes
// a rule, so that stack traces lead back to the client's files, and is told to
// the user. why is set if the file is not in the binary.
func (c *conn) resolve(clientPath string) (file, why string) {
	if c.sources == nil {
		c.sources = newSourceIndex(c.sess.Sources())
	}
	candidates, byUser := c.paths.toServer(clientPath)
	for _, p := range candidates {
		if c.sources.has(p) {
			return p, ""
		}
	}
	best, tail, unique := c.sources.closest(clientPath)
	if byUser != "" || tail < minGuess || !unique {
		return candidates[0], notInBinary(byUser, best)
	}
	// The topmost shared directory stays in the rule: without it one guess
	// would map all that lies beside it too, and with -trimpath everything.
	c.paths.hint(head(clientPath, tail-1), head(best, tail-1))
	c.output(fmt.Sprintf("remotedbg: taking %s for %s; set substitutePath to overrule it", clientPath, best))
	return best, ""
}

// notInBinary is the message of a breakpoint in a file that is not there.
func notInBinary(byUser, best string) string {
	why := "no such file in the binary"
	if byUser != "" {
		why += ": substitutePath makes it " + byUser
	}
	if best != "" {
		why += fmt.Sprintf("; the closest is %s: set substitutePath to map to it", best)
	}
	return why
}

// closest returns the file that shares the most trailing elements with p, how
// many, and whether no other shares as many.
func (idx sourceIndex) closest(p string) (best string, tail int, unique bool) {
	for _, f := range idx[baseName(p)] {
		switch n := commonTail(f, p); {
		case n > tail:
			best, tail, unique = f, n, true
		case n == tail:
			unique = false
		}
	}
	return best, tail, unique
}

// commonTail counts the trailing path elements a and b share.
func commonTail(a, b string) int {
	as, bs := strings.Split(slashed(a), "/"), strings.Split(slashed(b), "/")
	n := 0
	for n < len(as) && n < len(bs) && as[len(as)-1-n] == bs[len(bs)-1-n] {
		n++
	}
	return n
}

// head is p without its last n elements, its own separators kept.
func head(p string, n int) string {
	for ; n > 0; n-- {
		i := strings.LastIndexAny(p, `/\`)
		if i < 0 {
			return ""
		}
		p = p[:i]
	}
	return p
}
