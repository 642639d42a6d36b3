//go:build linux && amd64

package dlvrpc

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// packages lists the packages of the binary and the directories they were built
// in. Delve leaves out those whose first file in the line table is none of the
// package's own, as it is where a method of an embedded type was wrapped, main
// among them; functions tell where they are.
func packages(bi *proc.BinaryInfo, files bool) []api.PackageBuildInfo {
	var list []api.PackageBuildInfo
	known := make(map[string]bool)
	for _, p := range bi.ListPackagesBuildInfo(files) {
		known[p.ImportPath] = true
		list = append(list, api.PackageBuildInfo{ImportPath: p.ImportPath, DirectoryPath: p.DirectoryPath, Files: sorted(p.Files)})
	}
	for i := range bi.Functions {
		fn := &bi.Functions[i]
		name := fn.PackageName()
		if name == "" || known[name] || fn.Entry == 0 || strings.Contains(name, "[") {
			continue
		}
		file, _ := bi.EntryLineForFunc(fn)
		if ext := path.Ext(file); ext != ".go" && ext != ".s" {
			continue
		}
		known[name] = true
		p := api.PackageBuildInfo{ImportPath: name, DirectoryPath: path.Dir(file)}
		for _, source := range bi.Sources {
			if files && path.Dir(source) == p.DirectoryPath {
				p.Files = append(p.Files, source)
			}
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b api.PackageBuildInfo) int { return cmp.Compare(a.ImportPath, b.ImportPath) })
	return list
}

// ListPackagesBuildInfo lists the packages of the binary.
func (s service) ListPackagesBuildInfo(arg rpc2.ListPackagesBuildInfoIn, out *rpc2.ListPackagesBuildInfoOut) error {
	filter, err := regexp.Compile(arg.Filter)
	if err != nil {
		return wrap("filter", err)
	}
	return wrap("packages", s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		out.List = slices.DeleteFunc(packages(bi, arg.IncludeFiles), func(p api.PackageBuildInfo) bool { return !filter.MatchString(p.ImportPath) })
		return nil
	}))
}

// GuessSubstitutePath pairs directories of the binary with those of the client,
// from the packages that both have.
func (s service) GuessSubstitutePath(arg rpc2.GuessSubstitutePathIn, out *rpc2.GuessSubstitutePathOut) error {
	dirs := make(map[string]string) // by import path
	err := s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		for _, p := range packages(bi, false) {
			dirs[p.ImportPath] = p.DirectoryPath
		}
		return nil
	})
	if err != nil {
		return wrap("guess paths", err)
	}
	if main := arg.Args.ImportPathOfMainPackage; main != "" && dirs["main"] != "" {
		dirs[main] = dirs["main"]
	}
	out.List = guess(dirs, arg.Args.ClientModuleDirectories)
	if dir := dirs["runtime"]; dir != "" && arg.Args.ClientGOROOT != "" {
		out.List = append(out.List, [2]string{path.Dir(path.Dir(dir)), arg.Args.ClientGOROOT})
	}
	return nil
}

// guess finds for each module of the client the directory of the binary's that
// most of its packages lie below in the way that their import paths say.
func guess(dirs, modules map[string]string) (list [][2]string) {
	for _, module := range sorted(modules) {
		votes := make(map[string]int)
		for pkg, dir := range dirs {
			below, inside := strings.CutPrefix(pkg+"/", module+"/")
			if !inside {
				continue
			}
			if root, fits := strings.CutSuffix(dir+"/", "/"+below); fits && root != "" {
				votes[root]++
			}
		}
		best := ""
		for _, root := range sorted(votes) {
			if votes[root] > votes[best] {
				best = root
			}
		}
		if best != "" {
			list = append(list, [2]string{best, modules[module]})
		}
	}
	return list
}
