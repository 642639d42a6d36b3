//go:build linux && amd64

package frameworks_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// server is an example server of this module, built the ordinary way: optimised,
// without special flags, and as a module of its own, without go.work.
type server struct {
	binary string
	marks  map[string]harness.Mark
}

// buildServer builds the command in a folder of this module.
func buildServer(t *testing.T, folder string) server {
	t.Helper()
	dir := filepath.Join(builder.Root, "integration", "frameworks")
	binary := filepath.Join(t.TempDir(), folder)
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "./"+folder)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build ./%s: %v\n%s", folder, err, out)
	}
	marks, err := harness.Marks(filepath.Join(dir, folder))
	must(t, err)
	return server{binary, marks}
}

// must ends the test if err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
