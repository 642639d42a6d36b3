//go:build linux && amd64

package dap

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/remotedbg/remotedbg/internal/session"
)

// modulesOf finds the directories of the modules: a package's directory without
// what its import path has beyond the module's. The module of most packages
// wins where they disagree, as for what was generated elsewhere.
func modulesOf(build session.Build) []module {
	list := make([]module, len(build.Modules))
	for i, m := range build.Modules {
		list[i] = module{Module: m}
	}
	slices.SortStableFunc(list, func(a, b module) int { return cmp.Compare(len(b.Path), len(a.Path)) })
	votes := make([]map[string]int, len(list))
	for name, dir := range build.Packages {
		for i, m := range list {
			rest, ok := inModule(name, m.Path)
			if !ok {
				continue
			}
			if root, ok := cutTail(dir, rest); ok {
				if votes[i] == nil {
					votes[i] = make(map[string]int)
				}
				votes[i][root]++
			}
			break
		}
	}
	for i, v := range votes {
		most := 0
		for root, n := range v {
			if n > most || n == most && root < list[i].root {
				most, list[i].root = n, root
			}
		}
	}
	return list
}

// inModule tells whether a package is of a module, and its path in there.
func inModule(name, module string) (rest string, ok bool) {
	if name == module {
		return "", true
	}
	return strings.CutPrefix(name, module+"/")
}

// cutTail cuts whole path elements off the end of p.
func cutTail(p, tail string) (string, bool) {
	switch {
	case tail == "":
		return p, true
	case p == tail:
		return "", true
	}
	return strings.CutSuffix(p, "/"+tail)
}

// standardRoot is the directory of the standard library's sources, found by a
// file that is in every binary; "" with -trimpath.
func standardRoot(files []string) string {
	for _, f := range files {
		if dir, ok := cutTail(f, "runtime/proc.go"); ok && (dir == "" || path.Base(dir) == "src") {
			return dir
		}
	}
	return ""
}

// standardRules maps a client's GOROOT to the standard library of the binary.
// With -trimpath that has no directory of its own, but one for each of its
// topmost packages.
func (idx *sources) standardRules(goRoot string) (rules []substituteRule) {
	if goRoot == "" {
		return nil
	}
	src := join(goRoot, "src")
	if idx.std != "" {
		return []substituteRule{{From: src, To: idx.std}}
	}
	seen := make(map[string]bool)
	for dir, files := range idx.byDir {
		top, _, _ := strings.Cut(dir, "/")
		if files[0].kind == fromStandard && !seen[top] {
			seen[top] = true
			rules = append(rules, substituteRule{From: join(src, top), To: top})
		}
	}
	return rules
}

// classify finds out where a file comes from. pkg is the import path of the
// package in its directory, "" if none is known: one whose functions are all
// inlined elsewhere has no package in the debug information.
func (idx *sources) classify(file, pkg, std string) *source {
	var s *source
	for i := range idx.modules {
		m := &idx.modules[i]
		_, ofModule := inModule(pkg, m.Path)
		rel, below := under(file, m.root)
		if m.root == "" || !below || rel == "" || !ofModule && pkg != "" || s != nil && len(s.root) >= len(m.root) {
			continue // modules lie in modules: the deepest counts
		}
		s = &source{file, fromDependency, m, m.root, rel}
		if m.Local {
			s.kind = fromUser
		}
	}
	if s != nil {
		return s
	}
	if rel, below := under(file, std); below && (std != "" || !strings.Contains(strings.Split(file, "/")[0], ".")) && idx.known() {
		return &source{file, fromStandard, nil, std, rel}
	}
	if i := strings.LastIndex(file, "@v"); i >= 0 { // a module cache, of a package that is inlined everywhere
		if j := strings.IndexByte(file[i:], '/'); j > 0 {
			return &source{file, fromDependency, nil, file[:i+j], file[i+j+1:]}
		}
	}
	return &source{file, fromUnknown, nil, path.Dir(file), path.Base(file)}
}

// known tells whether the build information says anything.
func (idx *sources) known() bool { return len(idx.modules) > 0 || len(idx.build.Packages) > 0 }

// names lists paths that people keep s under: the one in the binary, and those
// that follow from its module.
func (s *source) names() []string {
	list := []string{s.file}
	switch {
	case s.kind == fromStandard:
		list = append(list, "src/"+s.rel)
	case s.module != nil:
		m := s.module
		list = append(list, m.Path+"/"+s.rel, trimMajor(m.Path)+"/"+s.rel)
		if m.Version != "" {
			list = append(list, escapePath(m.Path)+"@"+m.Version+"/"+s.rel)
		}
	}
	return list
}

// trimMajor cuts a major version off a module's path, as people do when they
// name a checkout: "github.com/acme/shop/v2", "gopkg.in/yaml.v3".
func trimMajor(module string) string {
	dir, last := path.Split(module)
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		return strings.TrimSuffix(dir, "/")
	}
	return module
}

// escapePath writes a module's path as the module cache does: an upper case
// letter as ! and its lower case.
func escapePath(module string) string {
	var b strings.Builder
	for _, r := range module {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// elements are those of a path of either system.
func elements(p string) []string {
	p = strings.Trim(slashed(p), "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
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
