//go:build linux && amd64

package dap

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// missing is the message of a breakpoint in a file that is not in the binary:
// why, and what would help. candidates are what the rules make of p, byUser what
// the user's own do.
func (idx *sources) missing(p, byUser string, candidates []string) string {
	why := "no such file in the binary"
	if byUser != "" {
		why += ": substitutePath makes it " + byUser
	}
	if strings.HasSuffix(p, "_test.go") {
		return why + ": test files are not built into a service"
	}
	if reason := idx.leftOut(candidates); reason != "" {
		return why + reason + idx.checkOut()
	}
	if same := idx.byName[baseName(p)]; len(same) > 0 {
		return why + idx.sameName(p, same)
	}
	if like := idx.alike(p); len(like) > 0 {
		why += ": the nearest names are " + strings.Join(like, ", ")
	} else {
		why += ", nor one of a similar name: is it the right service?"
	}
	return why + idx.checkOut()
}

// leftOut says why a file of a known module is not there: the rest of its package
// is, or nothing of it.
func (idx *sources) leftOut(candidates []string) string {
	for _, c := range candidates {
		dir := path.Dir(c)
		if there := idx.byDir[dir]; len(there) > 0 {
			return fmt.Sprintf(": the binary has %s of the same package, so this file was left out by its build constraints, holds no code, or is newer than the binary", nameSome(there))
		}
		for i := range idx.modules {
			m := &idx.modules[i]
			rel, ok := under(dir, m.root)
			if !ok || m.root == "" {
				continue
			}
			return fmt.Sprintf(": nothing of package %s is in there: the service does not import it, or the linker has dropped it because nothing calls it", strings.TrimSuffix(m.Path+"/"+rel, "/"))
		}
	}
	return ""
}

// maxNamed is how many files a message names.
const maxNamed = 3

func nameSome(list []*source) string {
	var names []string
	for _, s := range list[:min(len(list), maxNamed)] {
		names = append(names, path.Base(s.file))
	}
	if len(list) > maxNamed {
		names = append(names, fmt.Sprintf("%d more", len(list)-maxNamed))
	}
	return strings.Join(names, ", ")
}

// sameName names the files with the same name, the most alike first, and the
// rule that would make the first one fit. It was not taken: too little of its
// path fits.
func (idx *sources) sameName(p string, same []*source) string {
	same = slices.Clone(same)
	slices.SortStableFunc(same, func(a, b *source) int {
		if n := commonTail(b.file, p) - commonTail(a.file, p); n != 0 {
			return n
		}
		return slices.Index(likely, a.kind) - slices.Index(likely, b.kind)
	})
	var files []string
	for _, s := range same[:min(len(same), maxNamed)] {
		files = append(files, s.file)
	}
	n := max(commonTail(same[0].file, p), 1)
	return fmt.Sprintf("; the closest is %s, but too little of its path is the same to be sure: %s",
		strings.Join(files, ", or "), ruleFor(head(p, n), head(same[0].file, n)))
}

// likely is the order of what people set breakpoints in.
var likely = []sourceKind{fromUser, fromUnknown, fromDependency, fromStandard}

// alike are the files whose names differ from p's in a letter or two.
func (idx *sources) alike(p string) (files []string) {
	name := baseName(p)
	most := min(2, len(strings.TrimSuffix(name, ".go"))/3)
	var names []string
	for other := range idx.byName {
		if other != "." && distance(name, other) <= most {
			names = append(names, other)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if n := distance(name, a) - distance(name, b); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		for _, s := range idx.byName[n] {
			if s.kind != fromStandard && len(files) < maxNamed {
				files = append(files, s.file)
			}
		}
	}
	return files
}

// distance is Levenshtein's: how many letters to insert, remove or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			change := corner
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above+1, row[j]+1)
			corner = above
		}
	}
	return row[len(b)]
}
