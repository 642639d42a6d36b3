//go:build linux && amd64

package dap

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"maps"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

// program is what the executable tells of what it was built from. It does not
// change while a session lasts.
type program struct {
	modules []dap.Module
	sources []sourceFile // in the order in which they are shown
}

// sourceFile is a file of the binary, by whose it is.
type sourceFile struct {
	file  string
	owner owner
}

// owner says whose code a package is, in the order in which a person wants to
// see it.
type owner int

const (
	ownerUser       owner = iota // the main module
	ownerDependency              // another module
	ownerStandard                // the standard library, and what the linker made
)

// program reads it once.
func (c *conn) program() (*program, error) {
	if c.about != nil {
		return c.about, nil
	}
	var p program
	err := c.slowly("Listing the program's modules and files", func() error {
		return c.symbols(kindInspection, func(bi *proc.BinaryInfo) error {
			if len(bi.Images) == 0 {
				return fmt.Errorf("no executable is loaded")
			}
			info, err := buildinfo.ReadFile(bi.Images[0].Path)
			if err != nil {
				info = &debug.BuildInfo{} // built without modules: all of it is one
			}
			p = program{moduleList(bi, info), sourcesOf(bi, info)}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	c.about = &p
	return c.about, nil
}

// modules lists the executable, with the main module's version, the modules
// that it was built from, and other images such as plugins.
func (c *conn) modules(_ context.Context, args dap.ModulesArguments) (dap.ModulesResponseBody, error) {
	body := dap.ModulesResponseBody{Modules: []dap.Module{}} // null is not a list
	if args.StartModule < 0 || args.ModuleCount < 0 {
		return body, kindBadArguments.becauseOf("negative startModule or moduleCount")
	}
	p, err := c.program()
	if err != nil {
		return body, err
	}
	list := p.modules[min(args.StartModule, len(p.modules)):]
	if n := args.ModuleCount; n > 0 && n < len(list) {
		list = list[:n]
	}
	body.Modules, body.TotalModules = append(body.Modules, list...), len(p.modules)
	return body, nil
}

func moduleList(bi *proc.BinaryInfo, info *debug.BuildInfo) []dap.Module {
	var list []dap.Module
	for i, image := range bi.Images {
		m := dap.Module{Id: fmt.Sprintf("image %d", i), Name: path.Base(image.Path), Path: image.Path, SymbolStatus: "symbols loaded"}
		if i == 0 {
			m.Name, m.Version, m.IsUserCode = cmp.Or(info.Path, m.Name), mainVersion(info), true
			m.DateTimeStamp = bi.LastModified().UTC().Format(time.RFC3339)
			m.IsOptimized = optimized(bi)
			if n := len(bi.Functions); n > 0 {
				m.AddressRange = fmt.Sprintf("%#x-%#x", firstEntry(bi.Functions), bi.Functions[n-1].End)
			}
		}
		if err := image.LoadError(); err != nil {
			m.SymbolStatus = "no symbols: " + err.Error()
		}
		list = append(list, m)
	}
	for _, dep := range info.Deps {
		m := dap.Module{Id: dep.Path, Name: dep.Path, Version: dep.Version, Path: dep.Path + "@" + dep.Version, SymbolStatus: "in the executable"}
		if r := dep.Replace; r != nil {
			m.Path = strings.TrimSuffix(r.Path+"@"+r.Version, "@")
			m.Version = strings.TrimSpace(dep.Version + " replaced by " + m.Path)
		}
		list = append(list, m)
	}
	if info.GoVersion != "" {
		list = append(list, dap.Module{Id: "std", Name: "standard library", Version: info.GoVersion, SymbolStatus: "in the executable"})
	}
	return list
}

func firstEntry(fns []proc.Function) uint64 {
	for i := range fns {
		if fns[i].Entry != 0 { // those that are inlined everywhere come first
			return fns[i].Entry
		}
	}
	return 0
}

// optimized tells how package main was compiled.
func optimized(bi *proc.BinaryInfo) bool {
	if fns := bi.LookupFunc()["main.main"]; len(fns) > 0 {
		return fns[0].Optimized()
	}
	return false
}

// mainVersion is the version of the main module with the commit it was built
// from.
func mainVersion(info *debug.BuildInfo) string {
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	version := info.Main.Version
	if rev := settings["vcs.revision"]; rev != "" {
		version = strings.TrimSpace(fmt.Sprintf("%s (commit %s", version, clip(rev, 12)))
		if settings["vcs.modified"] == "true" {
			version += ", with local changes"
		}
		version += ")"
	}
	return version
}

// loadedSources lists all files of the binary: the user's own first, then
// those of dependencies, then the standard library's.
func (c *conn) loadedSources(context.Context, struct{}) (dap.LoadedSourcesResponseBody, error) {
	body := dap.LoadedSourcesResponseBody{Sources: []dap.Source{}} // null is not a list
	p, err := c.program()
	if err != nil {
		return body, err
	}
	for _, s := range p.sources {
		src := *c.source(s.file)
		switch s.owner {
		case ownerUser:
			src.PresentationHint = "emphasize"
		case ownerDependency:
			src.Origin = "dependency"
		default:
			src.Origin, src.PresentationHint = "standard library", "deemphasize"
		}
		body.Sources = append(body.Sources, src)
	}
	return body, nil
}

// sourcesOf finds the owner of every file: that of the package whose functions
// come from its directory, or else from the nearest one above.
func sourcesOf(bi *proc.BinaryInfo, info *debug.BuildInfo) []sourceFile {
	byDir := make(map[string]owner)
	for pkg, dir := range packageDirs(bi) {
		byDir[dir] = ownerOf(pkg, info)
	}
	files := make(map[string]owner, len(bi.Sources))
	for _, f := range bi.Sources {
		if f == wrapperFile || f == "" {
			continue
		}
		files[f] = ownerStandard
		for dir := path.Dir(f); ; dir = path.Dir(dir) {
			if o, ok := byDir[dir]; ok {
				files[f] = o
				break
			}
			if dir == path.Dir(dir) {
				break
			}
		}
	}
	list := make([]sourceFile, 0, len(files))
	for _, f := range slices.Sorted(maps.Keys(files)) {
		list = append(list, sourceFile{f, files[f]})
	}
	slices.SortStableFunc(list, func(a, b sourceFile) int { return cmp.Compare(a.owner, b.owner) })
	return list
}

// packageDirs finds the directory of each package by the first of its functions
// that has a source line: to look up more would take seconds in a large program.
func packageDirs(bi *proc.BinaryInfo) map[string]string {
	const tries = 8 // wrappers and generic instances come first in some
	dirs, tried := make(map[string]string), make(map[string]int)
	for i := range bi.Functions {
		fn := &bi.Functions[i]
		pkg := fn.PackageName()
		if fn.Entry == 0 || dirs[pkg] != "" || tried[pkg] == tries || pkg != fn.CompilationUnitName() {
			continue
		}
		tried[pkg]++
		if file, _ := bi.EntryLineForFunc(fn); file != "" && file != wrapperFile {
			dirs[pkg] = path.Dir(file)
		}
	}
	return dirs
}

func ownerOf(pkg string, info *debug.BuildInfo) owner {
	if pkg == "main" || within(pkg, info.Main.Path) {
		return ownerUser
	}
	for _, dep := range info.Deps {
		if within(pkg, dep.Path) {
			return ownerDependency
		}
	}
	// The standard library's import paths have no dot in their first element.
	if first, _, _ := strings.Cut(pkg, "/"); strings.Contains(first, ".") {
		return ownerDependency
	}
	return ownerStandard
}

// within tells whether a package belongs to a module.
func within(pkg, module string) bool {
	return module != "" && (pkg == module || strings.HasPrefix(pkg, module+"/"))
}
