//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	goversion "go/version"
	"strings"

	"github.com/remotedbg/remotedbg/internal/board"
)

// The versions of Go that the service may be built with: those that the tests
// run against.
const (
	oldestGo = "go1.24"
	newestGo = "go1.26"
)

func checkSymbols(s *subject) Result {
	exe, err := s.exe()
	if err == nil {
		err = exe.symbolsErr
	}
	switch {
	case err != nil:
		return unknown(err)
	case exe.symbols == 0:
		return fail("the executable is stripped: it has no symbol table", keepSymbols)
	}
	return pass("%d symbols", exe.symbols)
}

func checkDWARF(s *subject) Result {
	exe, err := s.exe()
	if err != nil {
		return unknown(err)
	}
	switch {
	case errors.Is(exe.dwarfErr, errNoDWARF):
		return fail("the executable has no debug information of Go packages", keepSymbols)
	case exe.dwarfErr != nil:
		return fail(fmt.Sprintf("its debug information cannot be read: %v", exe.dwarfErr), "build the service again with the Go toolchain's own linker")
	}
	// What the agent needs of it is more than that it is there.
	if _, err := s.img(); err != nil && !errors.Is(err, board.ErrNoGate) {
		return warn(fmt.Sprintf("debug information of %d packages, which the agent cannot use: %v", exe.units.packages, err),
			"see the lines go-version, symbols and memory-access")
	}
	return pass("debug information of %d packages", exe.units.packages)
}

func checkOptimised(s *subject) Result {
	exe, err := s.exe()
	if err != nil {
		return unknown(err)
	}
	flags := ""
	if exe.infoErr == nil {
		flags = setting(exe.info, "-gcflags")
	}
	return judgeOptimised(exe.units, flags)
}

// judgeOptimised goes by the debug information, since build information may
// lack the flags; the runtime ignores -N, so that a mixture is the rule.
func judgeOptimised(u compileUnits, gcflags string) Result {
	switch {
	case u.packages == 0:
		return warn("not checked: no debug information tells", "see the line dwarf")
	case u.mainPlain || !u.main && u.plain > 0:
		return pass("built without optimisation (%s): %d of %d packages", shown(gcflags), u.plain, u.packages)
	case u.plain > 0:
		return pass("optimised, but %d of %d packages (%s)", u.plain, u.packages, shown(gcflags))
	}
	return pass("optimised, the ordinary way: some variables will read as optimized away")
}

func shown(gcflags string) string {
	if gcflags == "" {
		return "-N"
	}
	return "-gcflags=" + gcflags
}

// described makes a check of one fact in the build information.
func described(s *subject, judge func(setting func(string) string) Result) Result {
	exe, err := s.exe()
	if err != nil {
		return unknown(err)
	}
	if exe.infoErr != nil {
		return warn(fmt.Sprintf("not checked: no build information: %v", exe.infoErr), "build the service with the go command")
	}
	return judge(func(key string) string { return setting(exe.info, key) })
}

func checkGoVersion(s *subject) Result {
	return described(s, func(func(string) string) Result {
		exe, err := s.exe()
		if err != nil {
			return unknown(err)
		}
		return judgeGoVersion(exe.info.GoVersion)
	})
}

// judgeGoVersion reads what runtime.Version gives: "go1.26.8", "go1.27rc1",
// "go1.25.1 X:jsonv2", "go1.26.8-acme", "devel go1.27-abcdef Mon Jan".
func judgeGoVersion(text string) Result {
	supported := fmt.Sprintf("%s to %s are supported", oldestGo, newestGo)
	version := ""
	for word := range strings.FieldsSeq(text) {
		word, _, _ = strings.Cut(word, "-")
		if word, _, _ = strings.Cut(word, "+"); goversion.IsValid(word) {
			version = word
			break
		}
	}
	switch lang := goversion.Lang(version); {
	case version == "":
		return warn(fmt.Sprintf("not checked: %q is no Go version; %s", text, supported), "build the service with a released Go")
	case goversion.Compare(lang, oldestGo) < 0:
		return warn(fmt.Sprintf("%s; %s", text, supported), "build the service with Go 1.24 or newer")
	case goversion.Compare(lang, newestGo) > 0:
		return warn(fmt.Sprintf("%s; %s", text, supported), "update remotedbg, or try first where nothing depends on the service")
	}
	return pass("%s; %s", text, supported)
}

func checkTrimpath(s *subject) Result {
	return described(s, func(setting func(string) string) Result {
		if setting("-trimpath") == "true" {
			return warn("built with -trimpath: the file names in it are those of modules, not of files",
				`let the IDE translate: "substitutePath" in launch.json, from your folder to the module's path`)
		}
		return pass("built without -trimpath: file names are those of the machine that built it")
	})
}

// checkTimeoutHandler is about the order of wrappers, which the executable does
// not show: only that there is one which matters.
func checkTimeoutHandler(s *subject) Result {
	img, err := s.img()
	switch {
	case err != nil:
		return unknown(err)
	case img.TimeoutHandler:
		return warn("the program can call http.TimeoutHandler, which runs handlers on goroutines of their own, where no breakpoint sees them",
			"make sure that the middleware is inside of it: http.TimeoutHandler(middleware.Handler(h), ...)")
	}
	return pass("the program does not call http.TimeoutHandler")
}

func checkBuildmode(s *subject) Result {
	return described(s, func(setting func(string) string) Result {
		switch mode := setting("-buildmode"); mode {
		case "exe", "pie":
			return pass("%s", mode)
		case "":
			return pass("not recorded")
		default:
			return warn(fmt.Sprintf("%s, which is not tested", mode), "build the service with -buildmode=exe or pie")
		}
	})
}

func checkCgo(s *subject) Result {
	return described(s, func(setting func(string) string) Result {
		exe, err := s.exe()
		if err != nil {
			return unknown(err)
		}
		switch {
		case exe.units.cgo:
			return pass("linked in: a request is not frozen while it is inside C code")
		case exe.units.packages == 0 && setting("CGO_ENABLED") == "1":
			return pass("allowed in the build")
		}
		return pass("not linked in")
	})
}

func checkRace(s *subject) Result {
	return described(s, func(setting func(string) string) Result {
		if setting("-race") == "true" {
			return pass("built with the race detector: slow, but it can be debugged")
		}
		return pass("built without the race detector")
	})
}

func checkVCS(s *subject) Result {
	return described(s, func(setting func(string) string) Result {
		revision := setting("vcs.revision")
		switch {
		case revision == "":
			return pass("no revision is recorded: open the sources that the service was built from")
		case setting("vcs.modified") == "true":
			return warn(fmt.Sprintf("built from %s revision %s with changes that were not committed", setting("vcs"), revision),
				"open the very sources it was built from: those of the commit may differ")
		}
		return pass("%s revision %s of %s", setting("vcs"), revision, setting("vcs.time"))
	})
}
