//go:build linux && amd64

package dap

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/session"
)

// binary is a made-up one: its packages, by directory, with their files.
type binary struct {
	build session.Build
	files []string
}

func module1(path, version string, local bool) session.Module {
	return session.Module{Path: path, Version: version, Local: local}
}

// shop is a service of module example.com/acme/shop with its sources in dir,
// one dependency below cache, and the standard library in std.
func shop(dir, cache, std string) binary {
	return binary{
		session.Build{
			MainPackage: "example.com/acme/shop/cmd/shop",
			Modules: []session.Module{
				module1("example.com/acme/shop", "(devel)", true),
				module1("github.com/Foo/bar", "v1.2.3", false),
			},
			Packages: map[string]string{
				"example.com/acme/shop/cmd/shop": join(dir, "cmd/shop"),
				"example.com/acme/shop":          dir,
				"example.com/acme/shop/store":    join(dir, "store"),
				"github.com/Foo/bar/errors":      join(cache, "errors"),
				"net/http":                       join(std, "net/http"),
				"runtime":                        join(std, "runtime"),
			},
			Revision: "0123456789abcdef0123",
		},
		[]string{
			join(dir, "cmd/shop/main.go"), join(dir, "routes.go"), join(dir, "store/store.go"), join(dir, "store/util.go"),
			join(dir, "inlined/inlined.go"), // all of it is inlined: no package in the debug information
			join(cache, "errors/errors.go"), join(cache, "bar.go"),
			join(std, "net/http/server.go"), join(std, "runtime/proc.go"), join(std, "errors/errors.go"),
		},
	}
}

var (
	laptop  = shop("/home/a/src/shop", "/home/a/go/pkg/mod/github.com/!foo/bar@v1.2.3", "/usr/local/go/src")
	ci      = shop("/builds/x/shop", "/go/pkg/mod/github.com/!foo/bar@v1.2.3", "/usr/lib/go/src")
	trimmed = shop("example.com/acme/shop", "github.com/Foo/bar@v1.2.3", "")
	vendor  = shop("/builds/x/shop", "/builds/x/shop/vendor/github.com/Foo/bar", "/usr/local/go/src")
	renamed = shop("/builds/4711", "/go/pkg/mod/github.com/!foo/bar@v1.2.3", "/usr/local/go/src")
	bare    = binary{files: []string{"/build/shop/main.go", "/build/other/main.go", "/usr/lib/go/src/fmt/print.go"}}
	work    = binary{ // two modules of a go.work
		session.Build{
			MainPackage: "example.com/front",
			Modules:     []session.Module{module1("example.com/front", "(devel)", true), module1("example.com/back", "(devel)", true), module1("example.com/x/api", "", true), module1("example.com/y/api", "", true)},
			Packages: map[string]string{
				"example.com/front": "/ci/ws/front", "example.com/front/internal/util": "/ci/ws/front/internal/util",
				"example.com/back": "/ci/ws/back", "example.com/back/internal/util": "/ci/ws/back/internal/util",
				"example.com/x/api": "/ci/ws/x/api", "example.com/y/api": "/ci/ws/y/api",
			},
		},
		[]string{
			"/ci/ws/front/main.go", "/ci/ws/front/internal/util/util.go", "/ci/ws/back/back.go", "/ci/ws/back/internal/util/util.go",
			"/ci/ws/x/api/api.go", "/ci/ws/y/api/api.go",
		},
	}
)

func TestGuess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bin    binary
		client string
		want   string // file of the binary; empty: none
		dir    string // client's directory of the module
	}{
		{"laptop elsewhere", laptop, "/Users/b/work/shop/store/store.go", "/home/a/src/shop/store/store.go", "/Users/b/work/shop"},
		{"file in the module's root", laptop, "/Users/b/work/shop/routes.go", "/home/a/src/shop/routes.go", "/Users/b/work/shop"},
		{"windows", ci, `D:\work\shop\cmd\shop\main.go`, "/builds/x/shop/cmd/shop/main.go", `D:\work\shop`},
		{"ci", ci, "/home/me/src/shop/store/store.go", "/builds/x/shop/store/store.go", "/home/me/src/shop"},
		{"package that is inlined everywhere", ci, "/home/me/src/shop/inlined/inlined.go", "/builds/x/shop/inlined/inlined.go", "/home/me/src/shop"},
		{"another GOROOT", ci, "/usr/local/go/src/net/http/server.go", "/usr/lib/go/src/net/http/server.go", "/usr/local/go/src"},
		{"another GOROOT, of the module cache", ci, "/home/me/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64/src/net/http/server.go", "/usr/lib/go/src/net/http/server.go", "/home/me/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64/src"},
		{"module cache elsewhere", ci, "/home/me/go/pkg/mod/github.com/!foo/bar@v1.2.3/errors/errors.go", "/go/pkg/mod/github.com/!foo/bar@v1.2.3/errors/errors.go", "/home/me/go/pkg/mod/github.com/!foo/bar@v1.2.3"},
		{"std beside a dependency's package of the same name", ci, "/usr/local/go/src/errors/errors.go", "/usr/lib/go/src/errors/errors.go", "/usr/local/go/src"},
		{"trimpath", trimmed, "/home/me/src/shop/store/store.go", "example.com/acme/shop/store/store.go", "/home/me/src/shop"},
		{"trimpath, root", trimmed, "/home/me/src/shop/routes.go", "example.com/acme/shop/routes.go", "/home/me/src/shop"},
		{"trimpath, std", trimmed, "/usr/local/go/src/net/http/server.go", "net/http/server.go", "/usr/local/go/src"},
		{"trimpath, module cache", trimmed, "/home/me/go/pkg/mod/github.com/!foo/bar@v1.2.3/bar.go", "github.com/Foo/bar@v1.2.3/bar.go", "/home/me/go/pkg/mod/github.com/!foo/bar@v1.2.3"},
		{"vendor", vendor, "/home/me/src/shop/vendor/github.com/Foo/bar/bar.go", "/builds/x/shop/vendor/github.com/Foo/bar/bar.go", "/home/me/src/shop/vendor/github.com/Foo/bar"},
		{"trimpath, vendored by the IDE", trimmed, "/home/me/src/shop/vendor/github.com/Foo/bar/bar.go", "github.com/Foo/bar@v1.2.3/bar.go", "/home/me/src/shop/vendor/github.com/Foo/bar"},
		{"checkout under another name", ci, "/home/me/src/shop-fix/store/store.go", "/builds/x/shop/store/store.go", "/home/me/src/shop-fix"},
		{"built under another name", renamed, "/home/me/src/shop/routes.go", "/builds/4711/routes.go", "/home/me/src/shop"},
		{"workspace, first module", work, "/home/me/ws/front/internal/util/util.go", "/ci/ws/front/internal/util/util.go", "/home/me/ws/front"},
		{"workspace, second module", work, "/home/me/ws/back/internal/util/util.go", "/ci/ws/back/internal/util/util.go", "/home/me/ws/back"},
		{"workspace, same last element", work, "/home/me/ws/y/api/api.go", "/ci/ws/y/api/api.go", "/home/me/ws/y/api"},
		{"no build information", bare, "/home/me/shop/main.go", "/build/shop/main.go", "/home/me/shop"},

		{"only the name", bare, "/home/me/x/main.go", "", ""},
		{"root of a checkout under another name", ci, "/home/me/src/shop-fix/routes.go", "", ""},
		{"another project's package errors", ci, "/home/me/src/other/errors/errors.go", "", ""},
		{"another project's package http", ci, "/home/me/src/other/net/http/server.go", "", ""},
		{"another version of a dependency", ci, "/home/me/go/pkg/mod/github.com/!foo/bar@v1.4.0/errors/errors.go", "", ""},
		{"two modules fit", work, "/home/me/api/api.go", "", ""},
		{"two packages fit", work, "/home/me/flat/internal/util/util.go", "", ""},
		{"not there", ci, "/home/me/src/shop/none.go", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newSourceIndex(tt.bin.files, tt.bin.build).guess(tt.client)
			if g.source == nil {
				g.source = &source{}
			}
			if g.source.file != tt.want || g.dir != tt.dir {
				t.Fatalf("guess = %q, %q (%s)", g.source.file, g.dir, g.why)
			}
			if tt.want == "" {
				return
			}
			// The rule must lead to the file and back.
			var m pathMap
			m.hint(g.rule())
			if got, _ := m.toServer(tt.client); got[0] != tt.want {
				t.Errorf("the rule makes it %q", got)
			}
			if got := m.toClient(tt.want); got != tt.client {
				t.Errorf("the rule leads back to %q", got)
			}
		})
	}
}

// TestClientsGoRoot: where VS Code says where it has Go, the standard library's
// files fit both ways before a breakpoint was set in one.
func TestClientsGoRoot(t *testing.T) {
	for _, tt := range []struct {
		name           string
		bin            binary
		root           string
		client, server string
	}{
		{"elsewhere", ci, "/usr/local/go", "/usr/local/go/src/net/http/server.go", "/usr/lib/go/src/net/http/server.go"},
		{"the same place", laptop, "/usr/local/go", "/usr/local/go/src/net/http/server.go", "/usr/local/go/src/net/http/server.go"},
		{"trimpath", trimmed, "/usr/local/go", "/usr/local/go/src/net/http/server.go", "net/http/server.go"},
		{"trimpath, another package", trimmed, "/usr/local/go/", "/usr/local/go/src/errors/errors.go", "errors/errors.go"},
		{"windows", ci, `C:\Program Files\Go`, `C:\Program Files\Go\src\runtime\proc.go`, "/usr/lib/go/src/runtime/proc.go"},
		{"trimpath, windows", trimmed, `C:\Program Files\Go`, `C:\Program Files\Go\src\runtime\proc.go`, "runtime/proc.go"},
		{"no build information", bare, "/usr/local/go", "/home/me/shop/main.go", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			idx := newSourceIndex(tt.bin.files, tt.bin.build)
			var m pathMap
			for _, r := range idx.standardRules(tt.root) {
				m.hint(r.From, r.To)
			}
			got, _ := m.toServer(tt.client)
			if tt.server == "" {
				if len(got) != 1 {
					t.Errorf("a rule maps it to %q", got)
				}
				return
			}
			if got[0] != tt.server {
				t.Errorf("the rules make it %q, want %s", got, tt.server)
			}
			if back := m.toClient(tt.server); back != tt.client {
				t.Errorf("the rules lead back to %s, want %s", back, tt.client)
			}
			for _, s := range tt.bin.files { // and none but Go's own
				if kind := idx.find(s).kind; kind != fromStandard && m.toClient(s) != s {
					t.Errorf("%s of kind %d is mapped to %s", s, kind, m.toClient(s))
				}
			}
		})
	}
	if rules := newSourceIndex(ci.files, ci.build).standardRules(""); rules != nil {
		t.Errorf("without a GOROOT: %v", rules)
	}
}

// TestClientDirectories: clients send an object, or the switch it comes from.
func TestClientDirectories(t *testing.T) {
	for _, tt := range []struct {
		text, root string
		modules    int
	}{
		{`{}`, "", 0},
		{`{"guessSubstitutePath":true}`, "", 0},
		{`{"guessSubstitutePath":null}`, "", 0},
		{`{"guessSubstitutePath":{"ImportPathOfMainPackage":"example.com/a","ClientGOROOT":"/usr/local/go","ClientModuleDirectories":{"example.com/a":"/w/a"}}}`, "/usr/local/go", 1},
	} {
		var got attachArguments
		if err := json.Unmarshal([]byte(tt.text), &got); err != nil || got.Guess.ClientGOROOT != tt.root || len(got.Guess.ClientModuleDirectories) != tt.modules {
			t.Errorf("%s: %+v, %v", tt.text, got.Guess, err)
		}
	}
	var wrong attachArguments
	if err := json.Unmarshal([]byte(`{"guessSubstitutePath":{"ClientGOROOT":7}}`), &wrong); err == nil {
		t.Error("a GOROOT that is a number was taken")
	}
}

// A guess for a module is held against the ones after it.
func TestGuessAgainstAnEarlierOne(t *testing.T) {
	idx := newSourceIndex(ci.files, ci.build)
	idx.taken["/builds/x/shop"] = "/home/me/src/shop"
	if g := idx.guess("/home/me/src/shop/store/util.go"); g.source == nil {
		t.Errorf("the same checkout: %s", g.why)
	}
	g := idx.guess("/home/me/src/other/store/store.go")
	if g.source != nil || !strings.Contains(g.why, "/builds/x/shop/store/store.go") || !strings.Contains(g.why, "/home/me/src/shop was taken") {
		t.Errorf("another project's file was taken for %v (%s)", g.source, g.why)
	}
}

func TestWhyMissing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bin    binary
		client string
		rules  []substituteRule
		want   []string
	}{
		{"two fit", work, "/home/me/api/api.go", nil, []string{"/ci/ws/x/api/api.go", "/ci/ws/y/api/api.go", "substitutePath"}},
		{"same name, not sure", ci, "/home/me/src/shop-fix/routes.go", nil, []string{"/builds/x/shop/routes.go", `[{"from": "/home/me/src/shop-fix", "to": "/builds/x/shop"}]`}},
		{"mistake in substitutePath", ci, "/home/me/src/shop/store/store.go", []substituteRule{rule("/home/me/src", "/build")}, []string{"substitutePath makes it /build/shop/store/store.go", "/builds/x/shop/store/store.go"}},
		{"typing error", ci, "/home/me/src/shop/stores.go", nil, []string{"nearest names", "/builds/x/shop/store/store.go"}},
		{"nothing like it", ci, "/home/me/src/cook/recipes.go", nil, []string{"right service", "commit 0123456789ab"}},
		{"test file", ci, "/home/me/src/shop/store/store_test.go", nil, []string{"test files"}},
		{"dropped package", ci, "/home/me/src/shop/admin/admin.go", []substituteRule{rule("/home/me/src", "/builds/x")}, []string{"nothing of package example.com/acme/shop/admin", "linker"}},
		{"left out of a package", ci, "/home/me/src/shop/store/store_windows.go", []substituteRule{rule("/home/me/src", "/builds/x")}, []string{"store.go, util.go of the same package", "build constraints"}},
		{"other version", ci, "/home/me/go/pkg/mod/github.com/!foo/bar@v1.4.0/errors/errors.go", nil, []string{"v1.4.0", "built with v1.2.3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			idx := newSourceIndex(tt.bin.files, tt.bin.build)
			m, err := newPathMap(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			candidates, byUser := m.toServer(tt.client)
			why := ""
			if byUser == "" {
				why = idx.guess(tt.client).why
			}
			if why == "" {
				why = idx.missing(tt.client, byUser, candidates)
			}
			for _, want := range tt.want {
				if !strings.Contains(why, want) {
					t.Errorf("%q does not say %q", why, want)
				}
			}
		})
	}
}

func TestDiffers(t *testing.T) {
	const text = "package a\n\n// f does.\nfunc f() {\n\tg(`\nx\n`)\n}\n"
	for _, tt := range []struct {
		name string
		code []int
		want string
	}{
		{"no code", nil, ""},
		{"as built", []int{4, 5, 7, 8}, ""},
		{"in a string of several lines", []int{6}, ""},
		{"on a comment", []int{3, 5}, "line 3"},
		{"on an empty line", []int{2}, "line 2"},
		{"behind the end", []int{5, 40}, "line 40"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := differs([]byte(text), tt.code)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("differs = %q", got)
			}
		})
	}
}

func TestModuleName(t *testing.T) {
	for text, want := range map[string]string{
		"// c\nmodule example.com/a // x\n\ngo 1.24\n": "example.com/a",
		"module \"example.com/b\"\n":                   "example.com/b",
		"go 1.24\n":                                    "",
	} {
		if got := moduleName([]byte(text)); got != want {
			t.Errorf("moduleName(%q) = %q", text, got)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"ab", "", 2}, {"store.go", "stores.go", 1}, {"kitten", "sitting", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d", tt.a, tt.b, got)
		}
	}
}

func TestHead(t *testing.T) {
	if got := head(`C:\a\b\c.go`, 2); got != `C:\a` {
		t.Errorf("head = %q", got)
	}
}
