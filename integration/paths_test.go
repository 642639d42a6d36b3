//go:build linux && amd64

package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// site is a place where somebody has built the shop: a folder of sources, which
// the IDE has elsewhere, and the binary.
type site struct {
	dir    string // of the shop's module
	binary string
}

// newSite copies the shop's module to a folder below a new one and builds it
// there. prepare may change the sources first; env and flags are go build's.
func newSite(t *testing.T, folder string, prepare func(dir string), env []string, flags ...string) site {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	s := site{dir: filepath.Join(base, folder), binary: filepath.Join(base, "service")}
	must(t, os.MkdirAll(s.dir, 0o755))
	for _, pkg := range []string{"shop", "serve"} {
		must(t, os.CopyFS(filepath.Join(s.dir, pkg), os.DirFS(filepath.Join(builder.Root, "integration/targets", pkg))))
	}
	text, err := os.ReadFile(filepath.Join(builder.Root, "integration/targets/go.mod"))
	must(t, err)
	// The gate stays where it is.
	mod := strings.ReplaceAll(string(text), "=> ../..", "=> "+builder.Root)
	must(t, os.WriteFile(filepath.Join(s.dir, "go.mod"), []byte(mod), 0o644))
	if prepare != nil {
		prepare(s.dir)
	}
	args := append([]string{"build", "-buildvcs=false", "-o", s.binary}, flags...)
	s.run(t, append([]string{"GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0"}, env...), "go", append(args, "./shop")...)
	return s
}

// run runs a command in the module's folder.
func (s site) run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// debug starts the service, an agent and an IDE that has set no breakpoint yet.
func (s site) debug(t *testing.T, attach map[string]any) (*rig, *daptest.Client) {
	t.Helper()
	r := rigOf(t, s.binary)
	c := r.dial(r.attach())
	must(t, c.SessionWith(attach, ""))
	return r, c
}

// lineOf is the first line of a file with text in it.
func lineOf(t *testing.T, file, text string) int {
	t.Helper()
	all, err := os.ReadFile(file)
	must(t, err)
	before, _, found := strings.Cut(string(all), text)
	if !found {
		t.Fatalf("%s has no %q", file, text)
	}
	return strings.Count(before, "\n") + 1
}

// vendored fills the module's vendor folder.
func vendored(t *testing.T) func(dir string) {
	return func(dir string) { site{dir: dir}.run(t, []string{"GOWORK=off", "GOFLAGS="}, "go", "mod", "vendor") }
}

// workspace puts the gate's two modules beside the shop's and a go.work above.
func workspace(t *testing.T) func(dir string) {
	return func(dir string) {
		for _, m := range []string{"gate", "middleware"} {
			must(t, os.CopyFS(filepath.Join(dir, "..", m), os.DirFS(filepath.Join(builder.Root, m))))
		}
		mod := filepath.Join(dir, "go.mod")
		text, err := os.ReadFile(mod)
		must(t, err)
		must(t, os.WriteFile(mod, []byte(strings.ReplaceAll(string(text), "=> "+builder.Root, "=> ..")), 0o644))
		work := "go 1.25.0\n\nuse (\n\t./targets\n\t./gate\n\t./middleware\n)\n"
		must(t, os.WriteFile(filepath.Join(dir, "..", "go.work"), []byte(work), 0o644))
	}
}

// TestPathsFit sets breakpoints in files that the IDE has at other places than
// the build had, with nothing configured.
func TestPathsFit(t *testing.T) {
	gate := filepath.Join(builder.Root, "middleware/middleware.go")
	inGate := lineOf(t, gate, "h.gate.EnterHTTP(")
	out, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	goroot := strings.TrimSpace(string(out))
	std := filepath.Join(goroot, "src/net/http/server.go")
	inStd := lineOf(t, std, "func (sh serverHandler) ServeHTTP(")
	otherRoot := filepath.Join(t.TempDir(), "usr/lib/go")
	must(t, os.MkdirAll(filepath.Dir(otherRoot), 0o755))
	must(t, os.Symlink(goroot, otherRoot))

	type file struct {
		client string
		line   int
	}
	order := func(dir string) file { return file{dir + "/shop/handlers.go", mark(t, "order-loaded").Line} }
	for _, c := range []struct {
		name    string
		folder  string
		prepare func(string)
		env     []string
		flags   []string
		files   []file
	}{
		{"laptop", "home/a/src/targets", nil, nil, nil, []file{order("/home/b/work/targets")}},
		{"ci", "builds/x/targets", nil, nil, nil, []file{order("/home/b/go/src/github.com/remotedbg/remotedbg/integration/targets")}},
		{"another GOROOT", "targets", nil, []string{"GOROOT=" + otherRoot}, nil, []file{order("/src/targets"), {"/opt/go1.26/src/net/http/server.go", inStd}}},
		{"trimpath", "targets", nil, nil, []string{"-trimpath"}, []file{order("/home/b/work/targets"), {"/opt/go1.26/src/net/http/server.go", inStd}}},
		{"vendor", "builds/x/targets", vendored(t), nil, []string{"-mod=vendor"}, []file{order("/home/b/work/targets"),
			{"/home/b/work/targets/vendor/github.com/remotedbg/remotedbg/middleware/middleware.go", inGate}}},
		{"vendor and trimpath", "builds/x/targets", vendored(t), nil, []string{"-mod=vendor", "-trimpath"}, []file{order("/home/b/work/targets"),
			{"/home/b/work/targets/vendor/github.com/remotedbg/remotedbg/middleware/middleware.go", inGate}}},
		{"workspace", "ci/targets", workspace(t), []string{"GOWORK="}, nil, []file{order("/home/b/ws/targets"), {"/home/b/ws/middleware/middleware.go", inGate}}},
		{"workspace and trimpath", "ci/targets", workspace(t), []string{"GOWORK="}, []string{"-trimpath"}, []file{order("/home/b/ws/targets"), {"/home/b/ws/middleware/middleware.go", inGate}}},
		{"built in a folder of another name", "builds/4711", nil, nil, nil, []file{order("/home/b/work/targets")}},
		{"checked out under another name", "targets", nil, nil, nil, []file{order("/home/b/work/my-fix")}},
		{"windows", "targets", nil, nil, nil, []file{{`C:\work\targets\shop\handlers.go`, mark(t, "order-loaded").Line}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, ide := newSite(t, c.folder, c.prepare, c.env, c.flags...).debug(t, nil)
			for i := range c.files { // the shop's last, which the request runs into
				f := c.files[len(c.files)-1-i]
				got, err := ide.SetBreakpoints(f.client, f.line)
				must(t, err)
				if !got[0].Verified || got[0].Source.Path != f.client || got[0].Line != f.line {
					t.Fatalf("breakpoint in %s: %+v", f.client, got[0])
				}
				if i < len(c.files)-1 {
					_, err := ide.SetBreakpoints(f.client)
					must(t, err)
				}
			}
			p := r.request("/orders/7")
			stop, err := ide.WaitStopped(daptest.AnyThread)
			must(t, err)
			frames, _, err := ide.StackTrace(stop.ThreadId, 0, 1)
			must(t, err)
			if f := frames[0]; f.Source.Path != c.files[0].client || f.Line != c.files[0].line {
				t.Errorf("stopped in %s:%d, want the IDE's own path", f.Source.Path, f.Line)
			}
			must(t, ide.Continue(stop.ThreadId))
			p.ok(t)
		})
	}
}

// TestPathsRefused: what cannot be told apart is not guessed, and what cannot be
// set says why.
func TestPathsRefused(t *testing.T) {
	s := newSite(t, "builds/x/targets", nil, nil)
	_, ide := s.debug(t, nil)
	blank := lineOf(t, filepath.Join(s.dir, "shop/handlers.go"), "import (")
	for _, c := range []struct {
		name, file string
		line       int
		want       []string
	}{
		{"only its name fits", "/home/b/other/service.go", 10, []string{filepath.Join(s.dir, "shop/service.go"), `"from": "/home/b/other"`}},
		{"another project", "/home/b/other/util/runtime/proc.go", 10, []string{"no such file"}},
		{"test file", "/home/b/work/targets/shop/shop_test.go", 10, []string{"test files"}},
		{"nothing like it", "/home/b/recipes/cook.go", 10, []string{"no such file"}},
		{"typing error", "/home/b/work/targets/shop/handler.go", 10, []string{"nearest names", "shop/handlers.go"}},
		{"line without code", "/home/b/work/targets/shop/handlers.go", blank, []string{"has no code in this binary", "nearest line"}},
		{"left out by a build tag", "/home/b/work/targets/shop/calls_cgo.go", 25, []string{"build constraints"}},
		{"other checkout", "/home/b/second/targets/shop/store.go", 10, []string{"/home/b/work/targets was taken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ide.SetBreakpoints(c.file, c.line)
			must(t, err)
			if got[0].Verified {
				t.Fatalf("it was set: %+v", got[0])
			}
			for _, want := range c.want {
				if !strings.Contains(got[0].Message, want) {
					t.Errorf("%q does not say %q", got[0].Message, want)
				}
			}
		})
	}
}

// TestPathsOfOtherSource: the file in the IDE is on this disk and is not what the
// binary was built from.
func TestPathsOfOtherSource(t *testing.T) {
	var revision string
	s := newSite(t, "builds/x/targets", func(dir string) {
		s := site{dir: dir}
		s.run(t, nil, "git", "init", "-q")
		s.run(t, nil, "git", "add", ".")
		s.run(t, nil, "git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "one")
		out, err := exec.Command("git", "-C", dir, "rev-parse", "HEAD").Output()
		must(t, err)
		revision = strings.TrimSpace(string(out))
	}, nil, "-buildvcs=true")
	clone := filepath.Join(filepath.Dir(s.dir), "clone")
	must(t, os.CopyFS(clone, os.DirFS(s.dir)))
	_, ide := s.debug(t, nil)

	same := filepath.Join(clone, "shop/handlers.go") // by its go.mod
	m := mark(t, "order-loaded")
	got, err := ide.SetBreakpoints(same, m.Line)
	must(t, err)
	if !got[0].Verified || got[0].Source.Path != same {
		t.Errorf("the file of the clone: %+v", got[0])
	}
	changed := filepath.Join(clone, "shop/service.go")
	text, err := os.ReadFile(changed)
	must(t, err)
	must(t, os.WriteFile(changed, append([]byte("// one\n\n// two\n\n"), text...), 0o644))
	_, err = ide.SetBreakpoints(changed, 30)
	must(t, err)
	out, err := ide.WaitOutput("is not what the binary was built from")
	must(t, err)
	if !strings.Contains(out, changed) || !strings.Contains(out, "check out commit "+revision[:12]) {
		t.Errorf("it says %q, the commit is %s", out, revision)
	}
	got, err = ide.SetBreakpoints(same, lineOf(t, same, "import ("))
	must(t, err)
	if got[0].Verified || !strings.Contains(got[0].Message, revision[:12]) {
		t.Errorf("a line without code: %+v", got[0])
	}
	other := filepath.Join(clone, "../store/targets")
	must(t, os.CopyFS(other, os.DirFS(clone)))
	must(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n\ngo 1.24\n"), 0o644))
	// By its name it would fit; by its go.mod it does not.
	got, err = ide.SetBreakpoints(filepath.Join(clone, "../store/targets/shop/store.go"), 50)
	must(t, err)
	if got[0].Verified || !strings.Contains(got[0].Message, "example.com/other") {
		t.Errorf("a file of another module: %+v", got[0])
	}
}

// TestPathsOfTheIDE: what VS Code says of the user's modules is used.
func TestPathsOfTheIDE(t *testing.T) {
	const module = "github.com/remotedbg/remotedbg/integration/targets"
	for _, v := range []harness.Variant{{}, {Trimpath: true}} {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, v)
			ide := r.dial(r.attach())
			must(t, ide.SessionWith(map[string]any{"guessSubstitutePath": map[string]any{
				"ImportPathOfMainPackage": module + "/shop",
				"ClientGOROOT":            "/home/b/go1.26",
				"ClientModuleDirectories": map[string]string{module: "/home/b/x"},
			}}, ""))
			m := mark(t, "order-loaded")
			got, err := ide.SetBreakpoints("/home/b/x/shop/handlers.go", m.Line)
			must(t, err)
			if !got[0].Verified || got[0].Source.Path != "/home/b/x/shop/handlers.go" {
				t.Errorf("%+v", got[0])
			}
			for _, ev := range ide.Events() {
				if text := fmt.Sprintf("%+v", ev); strings.Contains(text, "remotedbg: taking ") {
					t.Errorf("it was guessed, though the IDE has said it: %s", text)
				}
			}
		})
	}
}
