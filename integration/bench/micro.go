//go:build linux && amd64

package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// printMicro runs the benchmarks of the middleware and prints their results.
func (b *bench) printMicro(w io.Writer) error {
	args := []string{"test", "-run", "^$", "-bench", ".", "-benchmem"}
	if b.quick {
		args = append(args, "-benchtime", "200ms")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = filepath.Join(b.builder.Root, "middleware")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("the benchmarks of the middleware: %w\n%s", err, out)
	}
	fmt.Fprintln(w, "\n(c) middleware, a request")
	found := false
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Benchmark") {
			fmt.Fprint(w, "  ", line)
			found = true
		}
	}
	if !found {
		return fmt.Errorf("the middleware has no benchmarks:\n%s", out)
	}
	return nil
}
