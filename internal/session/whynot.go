//go:build linux && amd64

package session

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// Build is what the binary says of how it was built.
type Build struct {
	MainPackage string            // import path of package main
	Modules     []Module          // the main module first; none if it was built without modules
	Packages    map[string]string // of the modules: directory of the sources, as in the binary, by import path
	Revision    string            // of version control; "" if the build left no stamp
	Modified    bool              // there were changes that were not committed
}

// Module is a module in the binary.
type Module struct {
	Path    string
	Version string // "(devel)" or "" for what was built from a checkout
	Local   bool   // built from a checkout: the main module, one of go.work, or replaced by a directory
}

// Build tells how the binary was built. The error says that it carries no build
// information.
func (s *Session) Build() (Build, error) {
	info, err := buildinfo.ReadFile(s.e.img.Path)
	if err != nil {
		return Build{}, fmt.Errorf("read build information: %w", err)
	}
	b := Build{MainPackage: info.Path, Packages: make(map[string]string)}
	b.Revision, b.Modified = stamp(info)
	if info.Main.Path != "" {
		b.Modules = append(b.Modules, Module{info.Main.Path, info.Main.Version, true})
	}
	for _, d := range info.Deps {
		m := Module{Path: d.Path, Version: d.Version}
		if d.Replace != nil {
			m.Version = d.Replace.Version
			m.Local = m.Version == "" || m.Version == "(devel)"
		}
		m.Local = m.Local || m.Version == "(devel)" // of a workspace
		b.Modules = append(b.Modules, m)
	}
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	s.findPackages(&b)
	return b, nil
}

// triesPerPackage bounds the functions that are looked at for the directory of a
// package: a lookup goes through its line table.
const triesPerPackage = 8

// findPackages fills b.Packages with the packages of b.Modules that have a function
// of their own: one that was not inlined everywhere. Called under the brain lock.
func (s *Session) findPackages(b *Build) {
	tried := make(map[string]int)
	for i := range s.e.bi.Functions {
		fn := &s.e.bi.Functions[i]
		name := strings.ReplaceAll(fn.PackageName(), "%2e", ".") // as the linker writes a dot of the last element
		// Of generics the instances are in the unit of the package that uses them.
		if fn.Entry == 0 || fn.CompilationUnitName() != name || b.Packages[name] != "" || tried[name] == triesPerPackage {
			continue
		}
		if tried[name]++; name != "main" && !b.has(name) {
			tried[name] = triesPerPackage
			continue
		}
		file, _ := s.e.bi.EntryLineForFunc(fn)
		if file == "" || file == wrapperFile {
			continue
		}
		b.Packages[name] = path.Dir(file)
	}
	if dir, ok := b.Packages["main"]; ok && b.MainPackage != "" && b.MainPackage != "main" {
		delete(b.Packages, "main")
		b.Packages[b.MainPackage] = dir
	}
}

// has tells whether a package is of one of the modules.
func (b *Build) has(pkg string) bool {
	for _, m := range b.Modules {
		if pkg == m.Path || strings.HasPrefix(pkg, m.Path+"/") {
			return true
		}
	}
	return false
}

// stamp is what version control had to say when the binary was built.
func stamp(info *buildinfo.BuildInfo) (revision string, modified bool) {
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	return revision, modified
}

// CodeLines lists the lines of a file that have code in the binary, in order.
// file is a path as in the binary; of any other there are none.
func (s *Session) CodeLines(file string) []int {
	s.e.brain.Lock()
	defer s.e.brain.Unlock()
	return s.codeLines(file, 1, lastLine)
}

// lastLine is more than any file of source has that people debug.
const lastLine = 50_000

// codeLines is CodeLines from one line to another. Called under the brain lock.
func (s *Session) codeLines(file string, from, to int) []int {
	ask := make([]int, 0, max(to-from+1, 0))
	for line := max(from, 1); line <= to; line++ {
		ask = append(ask, line)
	}
	found := s.e.bi.AllPCsForFileLines(file, ask)
	maps.DeleteFunc(found, func(_ int, pcs []uint64) bool { return len(pcs) == 0 })
	return slices.Sorted(maps.Keys(found))
}

// nearby is how far from a line another one is looked for.
const nearby = 30

// whyNoLine says why a line of a file of the binary has no address, and where
// the nearest ones are that do. Called under the brain lock.
func (s *Session) whyNoLine(file string, line int) error {
	lines := s.codeLines(file, line-nearby, line+nearby)
	before, after := 0, 0
	for _, n := range lines {
		if n < line {
			before = n
		} else if n > line && after == 0 {
			after = n
		}
	}
	why := fmt.Sprintf("line %d has no code in this binary: ", line)
	switch {
	case before != 0 && after != 0:
		why += fmt.Sprintf("the nearest lines that do are %d and %d", before, after)
	case before+after != 0:
		why += fmt.Sprintf("the nearest line that does is %d", before+after)
	default:
		all := s.codeLines(file, 1, lastLine)
		if len(all) == 0 {
			return fmt.Errorf("%s has no code of its own in this binary: it holds declarations only, or the linker has dropped its functions because nothing calls them", path.Base(file))
		}
		why += fmt.Sprintf("its file has code between the lines %d and %d", all[0], all[len(all)-1])
	}
	return errors.New(why + s.builtFrom())
}

// whyTooMany says why a line cannot be covered by the breakpoints that a thread
// has, and nil if it can be.
func (s *Session) whyTooMany(line int, addrs []uint64) error {
	if len(addrs) <= live.HardwareSlots {
		return nil
	}
	in := make(map[string]bool)
	for _, a := range addrs {
		if fn := s.e.bi.PCToFunc(a); fn != nil {
			in[fn.NameWithoutTypeParams()] = true
		}
	}
	inlined := s.inlinedAt(addrs)
	most := live.HardwareSlots
	if len(inlined) == 1 {
		name := slices.Collect(maps.Keys(inlined))[0]
		return fmt.Errorf("line %d is in %s, which the compiler has inlined in %d places, and a thread has %d hardware breakpoints: break where it is called, or build it with //go:noinline", line, name, len(addrs), most)
	}
	if len(in) == 1 {
		name := slices.Collect(maps.Keys(in))[0]
		return fmt.Errorf("line %d is in %s, which was compiled %d times for different types, and a thread has %d hardware breakpoints: break where it is called", line, name, len(addrs), most)
	}
	return fmt.Errorf("line %d is in %d places of this binary, and a thread has %d hardware breakpoints: break where its function is called", line, len(addrs), most)
}

// inlinedAt names the innermost functions that are inlined at addresses: those
// whose lines the line tables name there.
func (s *Session) inlinedAt(addrs []uint64) map[string]bool {
	type call struct {
		fn   *proc.Function
		size uint64
	}
	addrs = slices.Sorted(slices.Values(addrs))
	innermost := make([]call, len(addrs))
	for i := range s.e.bi.Functions { // a large binary has a million calls: once through them
		f := &s.e.bi.Functions[i]
		for _, c := range f.InlinedCalls {
			k, _ := slices.BinarySearch(addrs, c.LowPC)
			for size := c.HighPC - c.LowPC; k < len(addrs) && addrs[k] < c.HighPC; k++ {
				if innermost[k].fn == nil || size < innermost[k].size {
					innermost[k] = call{f, size}
				}
			}
		}
	}
	names := make(map[string]bool)
	for _, c := range innermost {
		if c.fn != nil {
			names[c.fn.NameWithoutTypeParams()] = true
		}
	}
	return names
}

// whyNoFile says why a path is no file of the binary. Called under the brain
// lock.
func (s *Session) whyNoFile(file string) error {
	var same []string
	for _, f := range s.e.bi.Sources {
		if path.Base(f) == path.Base(file) && len(same) < 3 {
			same = append(same, f)
		}
	}
	if len(same) > 0 {
		return fmt.Errorf("%s is not among the source files of this binary, which has %s: check substitutePath", file, strings.Join(same, ", "))
	}
	return fmt.Errorf("%s is not among the source files of this binary, nor is any other of that name%s", file, s.builtFrom())
}

// builtFrom is what to check out for the source that the binary was built from,
// as the end of a message.
func (s *Session) builtFrom() string {
	info, err := buildinfo.ReadFile(s.e.img.Path)
	if err != nil {
		return ""
	}
	revision, modified := stamp(info)
	switch {
	case revision == "":
		return "; if that looks wrong, the binary was built from other source than yours (it carries no commit)"
	case modified:
		return fmt.Sprintf("; if that looks wrong: the binary was built from commit %.12s with changes that were not committed", revision)
	}
	return fmt.Sprintf("; if that looks wrong: the binary was built from commit %.12s: check that out", revision)
}
