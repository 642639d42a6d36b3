//go:build linux && amd64

package integration_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

var full = flag.Bool("full", os.Getenv("REMOTEDBG_FULL") != "",
	"the long forms of the tests that hold a request under load (also: REMOTEDBG_FULL=1)")

// What all tests share: programs are built once, markers are read once.
var (
	builder *harness.Builder
	marks   map[string]harness.Mark
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if builder, err = harness.NewBuilder(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer builder.Remove()
	if marks, err = harness.Marks(filepath.Join(builder.Root, "integration", "targets", "shop")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
