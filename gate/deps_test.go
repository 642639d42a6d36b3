package gate

import (
	"os/exec"
	"strings"
	"testing"
)

// TestStandardLibraryOnly: the gate goes into other people's services. A module
// that it required would take part in choosing the versions that they build
// with.
func TestStandardLibraryOnly(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-test", "-f",
		"{{if not .Standard}}{{.ImportPath}}{{end}}", "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	const module = "github.com/remotedbg/remotedbg/gate"
	seen := 0
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, module) {
			seen++
		} else if !strings.HasPrefix(path, "[") { // "[gate.test]" after a test variant
			t.Errorf("depends on %s", path)
		}
	}
	if seen == 0 {
		t.Errorf("go list does not know the module: %s", out)
	}
}
