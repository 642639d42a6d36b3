//go:build linux && amd64

package integration_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestAgents lists what can be connected to, and nothing that is gone.
func TestAgents(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	binary, err := builder.Agent()
	must(t, err)
	a, err := harness.StartAgent(binary, r.service.PID, "--listen", "unix", "--for", "10m")
	must(t, err)
	t.Cleanup(a.Kill)
	path := strings.TrimPrefix(a.Addr, "unix://")
	listed := func(args ...string) string {
		out, err := exec.Command(binary, append([]string{"agents"}, args...)...).Output()
		must(t, err)
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, path) {
				return line
			}
		}
		return ""
	}
	if line := listed(); !strings.Contains(line, fmt.Sprintf("pid %d ", r.service.PID)) || strings.Contains(line, "until -") {
		t.Errorf("listed is %q", line)
	}
	if line := listed("--json"); !strings.Contains(line, fmt.Sprintf(`"pid":%d`, r.service.PID)) || !strings.Contains(line, `"expires":"20`) {
		t.Errorf("as JSON: %q", line)
	}
	r.debugThrough(r.ide(r.connect("unix://"+path), nil, "order-loaded", "order-price"))
	a.Kill()
	must(t, harness.Until(5*time.Second, "the agent is not listed", func() error {
		if line := listed(); line != "" {
			return errors.New(line)
		}
		return nil
	}))
}
