//go:build linux && amd64

package integration_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestTimeoutHandler: with the middleware inside of http.TimeoutHandler the
// handler's goroutine stops, and outside of it because it is followed. Where it is
// not, it cannot, and the person is told why: while a request waits, and when one
// is over.
func TestTimeoutHandler(t *testing.T) {
	t.Parallel()
	binary, err := builder.Target("moved")
	must(t, err)
	places, err := harness.Marks(filepath.Join(builder.Root, "integration", "targets", "moved"))
	must(t, err)
	r := rigOf(t, binary)
	c := r.dial(r.attach())
	must(t, c.Session(places["moved-done"].File, places["moved-done"].Line))

	p := r.request("/right")
	stop, err := c.WaitStopped(daptest.AnyThread)
	must(t, err)
	must(t, c.Continue(stop.ThreadId))
	p.ok(t)

	p = r.request("/wrong")
	stop, err = c.WaitStopped(daptest.AnyThread)
	must(t, err)
	must(t, c.Continue(stop.ThreadId))
	p.ok(t)
	must(t, c.Disconnect())
	if code, err := r.agents[0].Stop(syscall.SIGTERM, endTimeout); err != nil || code != 0 {
		t.Fatalf("the agent ended with %d, %v", code, err)
	}
	r.agents = nil

	c = r.dial(r.attach("--follow", "off"))
	must(t, c.Session(places["moved-done"].File, places["moved-done"].Line))
	p = r.request("/wrong?ms=2500")
	_, err = c.WaitOutput("only waits (select) for a goroutine that it has started")
	must(t, err)
	p.ok(t)
	_, err = c.WaitOutput("reached no breakpoint. This service uses http.TimeoutHandler")
	must(t, err)
	gone, err := c.WaitThread("exited", daptest.AnyThread)
	must(t, err)
	r.request("/wrong").ok(t)
	for next := gone; next == gone; { // of the second one
		next, err = c.WaitThread("exited", daptest.AnyThread)
		must(t, err)
	}
	for _, text := range outputs(c.Events()) {
		if strings.Contains(text, "reached no breakpoint") {
			t.Error("it is told a second time")
		}
	}
}
