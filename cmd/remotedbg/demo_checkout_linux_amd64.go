package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// targetsDir holds the module of the example services, below the checkout.
var targetsDir = filepath.Join("integration", "targets")

// marker is the line the demo stops at: where the shop's handler has just got
// an order from its store.
const marker = "//bp:order-loaded"

// findCheckout walks up from dir to the root of a checkout of this project.
func findCheckout(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		_, work := os.Stat(filepath.Join(at, "go.work"))
		_, shop := os.Stat(filepath.Join(at, targetsDir, "shop"))
		if work == nil && shop == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", failure{
				err:  fmt.Errorf("demo: %s is not inside a checkout of remotedbg", dir),
				hint: "demo builds its example service from source: clone the repository and run it there, or just make demo",
			}
		}
	}
}

// buildShop builds the example service the ordinary way: optimised, and with
// no flag a user's own build would not have.
func buildShop(ctx context.Context, root, output string, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", output, "./shop")
	cmd.Dir = filepath.Join(root, targetsDir)
	// A -trimpath or -gcflags of the environment would change what is shown,
	// and the commit's stamp fails in a checkout owned by another user.
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	cmd.Stdout, cmd.Stderr = stderr, stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return failure{err: errors.New("demo: go is not in the PATH"), hint: `with sudo: sudo env "PATH=$PATH" make demo`}
	case err != nil:
		return fmt.Errorf("demo: go build of the example service: %w", err)
	}
	return nil
}

// place is a line of a source file.
type place struct {
	file string
	line int // 1-based
}

// findMarker finds the one line of the Go files of dir that holds mark.
func findMarker(dir, mark string) (place, error) {
	var found []place
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasSuffix(strings.TrimSpace(line), mark) {
				found = append(found, place{path, i + 1})
			}
		}
		return nil
	})
	if err != nil {
		return place{}, fmt.Errorf("demo: look for %s: %w", mark, err)
	}
	if len(found) != 1 {
		return place{}, fmt.Errorf("demo: %d lines of %s are marked %s, want one", len(found), dir, mark)
	}
	return found[0], nil
}

// printSource writes the lines around p, the line itself with an arrow.
func printSource(w io.Writer, p place, around int) error {
	f, err := os.Open(p.file)
	if err != nil {
		return fmt.Errorf("demo: show the source: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan() && n <= p.line+around; n++ {
		if n < p.line-around {
			continue
		}
		arrow := "  "
		if n == p.line {
			arrow = "=>"
		}
		fmt.Fprintf(w, "  %s %4d  %s\n", arrow, n, strings.ReplaceAll(lines.Text(), "\t", "    "))
	}
	return lines.Err()
}
