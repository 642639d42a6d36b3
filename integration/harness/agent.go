//go:build linux

package harness

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// The loopback addresses that clients of the tests come from. Linux takes all
// of 127.0.0.0/8 for its own.
const (
	Others  = "127.0.0.1" // never allowlisted
	Allowed = "127.0.0.2" // what agents of StartAgent allow
)

// Agent is a running remotedbg attach.
type Agent struct {
	*Process
	Addr string // where it serves DAP
}

// AgentArgs is the command line that allows requests from Allowed. Later flags
// of args win.
func AgentArgs(pid int, args ...string) []string {
	return append([]string{"attach", "--pid", strconv.Itoa(pid), "--allow", Allowed, "--listen", "127.0.0.1:0"}, args...)
}

// StartAgent attaches to a process and waits until the agent is ready.
func StartAgent(binary string, pid int, args ...string) (*Agent, error) {
	p, err := Start(binary, AgentArgs(pid, args...)...)
	if err != nil {
		return nil, err
	}
	return AwaitAgent(p)
}

// AwaitAgent waits until an agent that was just started is ready; it kills one
// that does not get there.
func AwaitAgent(p *Process) (*Agent, error) {
	const ready = "listening on "
	line, err := p.Stdout.WaitLine(ready, startTimeout)
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("harness: agent: %w\n%s", err, p.Stderr)
	}
	// (DAP), or (DAP over TLS).
	addr, _, isDAP := strings.Cut(strings.TrimPrefix(line, ready), " (DAP")
	if !isDAP {
		p.Kill()
		return nil, fmt.Errorf("harness: agent: it printed %q", line)
	}
	return &Agent{Process: p, Addr: addr}, nil
}

// Dial connects a DAP client.
func (a *Agent) Dial() (*daptest.Client, error) {
	c, err := daptest.Dial(a.Addr)
	if err != nil {
		return nil, fmt.Errorf("harness: agent: %w", err)
	}
	c.Timeout = 20 * time.Second // the machine may be busy
	return c, nil
}
