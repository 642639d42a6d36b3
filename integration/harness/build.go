//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Builder builds programs of the checkout, each at most once. Any goroutine
// may use it.
type Builder struct {
	Root string // of the checkout
	dir  string

	mu    sync.Mutex
	built map[string]*build
}

type build struct {
	once sync.Once
	path string
	err  error
}

// buildTimeout allows for a toolchain that has to come through the module
// proxy and build its standard library first.
const buildTimeout = 10 * time.Minute

// NewBuilder finds the checkout above the working directory. Remove deletes
// what it builds.
func NewBuilder() (*Builder, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "remotedbg-integration-")
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	// Agents write their audit below it unless they are told where.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state")); err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	return &Builder{Root: root, dir: dir, built: make(map[string]*build)}, nil
}

// Dir is a directory for files of the tests; Remove deletes it.
func (b *Builder) Dir() string { return b.dir }

// Remove deletes everything built.
func (b *Builder) Remove() { _ = os.RemoveAll(b.dir) }

// findRoot looks for go.work, which names every module of the checkout. The
// path is the real one: that is what the compiler writes into the binary.
func findRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("harness: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		_, err := os.Stat(filepath.Join(dir, "go.work"))
		switch {
		case err == nil:
			return filepath.EvalSymlinks(dir)
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("harness: %w", err)
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("harness: no go.work above %s: run the tests inside the checkout", wd)
		}
	}
}

// Agent builds the remotedbg command.
func (b *Builder) Agent() (string, error) {
	return b.once("remotedbg", func(out string) error {
		return b.goBuild(b.Root, nil, "-buildvcs=false", "-o", out, "./cmd/remotedbg")
	})
}

// Shop builds the example service.
func (b *Builder) Shop(v Variant) (string, error) {
	return b.once("shop-"+v.String(), func(out string) error {
		args := append(v.flags(), "-o", out, "./shop")
		return b.goBuild(filepath.Join(b.Root, "integration", "targets"), v.env(), args...)
	})
}

// Target builds another service of integration/targets.
func (b *Builder) Target(name string) (string, error) {
	return b.once(name, func(out string) error {
		return b.goBuild(filepath.Join(b.Root, "integration", "targets"), Variant{}.env(), "-o", out, "./"+name)
	})
}

// Source builds a program from one file of source text that needs the standard
// library alone.
func (b *Builder) Source(name, text string) (string, error) {
	return b.once(name, func(out string) error {
		dir, err := os.MkdirTemp(b.dir, "src-")
		if err != nil {
			return err
		}
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		return b.goBuild(dir, []string{"GOWORK=off", "GOFLAGS="}, "-o", out, file)
	})
}

// Module builds a command of another module, fetched by the go command:
// Module("github.com/go-delve/delve/cmd/dlv@v1.27.2").
func (b *Builder) Module(pkg string) (string, error) {
	name := filepath.Base(pkg)
	return b.once(name, func(out string) error {
		bin := out + ".bin"
		err := b.run(b.dir, []string{"GOBIN=" + bin, "GOWORK=off", "GOFLAGS="}, "install", pkg)
		if err != nil {
			return err
		}
		made, err := filepath.Glob(filepath.Join(bin, "*"))
		if err != nil || len(made) != 1 {
			return fmt.Errorf("go install made %v: %w", made, err)
		}
		return os.Rename(made[0], out)
	})
}

func (b *Builder) once(name string, make func(out string) error) (string, error) {
	b.mu.Lock()
	one := b.built[name]
	if one == nil {
		one = &build{path: filepath.Join(b.dir, name)}
		b.built[name] = one
	}
	b.mu.Unlock()
	one.once.Do(func() {
		if err := make(one.path); err != nil {
			one.err = fmt.Errorf("harness: build %s: %w", name, err)
		}
	})
	return one.path, one.err
}

func (b *Builder) goBuild(dir string, env []string, args ...string) error {
	return b.run(dir, env, append([]string{"build"}, args...)...)
}

func (b *Builder) run(dir string, env []string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return nil
}
