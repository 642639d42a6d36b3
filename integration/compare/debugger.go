//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// dlvVersion is the dlv that remotedbg is compared with: that whose packages it
// uses itself.
const dlvVersion = "v1.27.2"

// readyTimeout allows for the symbols of a large binary on a busy machine.
const readyTimeout = 3 * time.Minute

// debugger is one of the two servers.
type debugger struct {
	name  string
	start func(pid int) (*server, error)
}

// server is one that runs.
type server struct {
	process *harness.Process
	client  *daptest.Client
	attach  map[string]any // what its attach request says beside the mode

	// another is a connection on which nothing was said yet, and what ends it.
	another func() (*daptest.Client, func(), error)
}

func newOurs(b *harness.Builder) (debugger, error) {
	binary, err := b.Agent()
	return debugger{"remotedbg", func(pid int) (*server, error) {
		p, err := harness.Start(binary, harness.AgentArgs(pid, "--max-hold=10m", "--role=mutate")...)
		if err != nil {
			return nil, err
		}
		line, err := p.Stdout.WaitLine("listening on ", readyTimeout)
		if err != nil {
			p.Kill()
			return nil, fmt.Errorf("%w\n%s", err, p.Stderr)
		}
		addr := strings.TrimSuffix(strings.TrimPrefix(line, "listening on "), " (DAP)")
		s, err := dial(p, addr, nil)
		if err != nil {
			return nil, err
		}
		s.another = func() (*daptest.Client, func(), error) {
			c, err := daptest.Dial(addr)
			return c, func() { _ = c.Close() }, err
		}
		return s, nil
	}}, err
}

func newDlv(b *harness.Builder) (debugger, error) {
	binary, err := b.Module("github.com/go-delve/delve/cmd/dlv@" + dlvVersion)
	var start func(pid int) (*server, error)
	start = func(pid int) (*server, error) {
		p, err := harness.Start(binary, "dap", "--listen=127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		const ready = "DAP server listening at: "
		line, err := p.Stdout.WaitLine(ready, readyTimeout)
		if err != nil {
			p.Kill()
			return nil, fmt.Errorf("%w\n%s", err, p.Stderr)
		}
		s, err := dial(p, strings.TrimPrefix(line, ready), map[string]any{"mode": "local", "processId": pid})
		if err != nil {
			return nil, err
		}
		s.another = func() (*daptest.Client, func(), error) { // a dlv serves one
			s, err := start(pid)
			if err != nil {
				return nil, nil, err
			}
			return s.client, func() { _ = s.stop() }, nil
		}
		return s, nil
	}
	return debugger{"dlv " + dlvVersion, start}, err
}

func dial(p *harness.Process, addr string, attach map[string]any) (*server, error) {
	c, err := daptest.Dial(addr)
	if err != nil {
		p.Kill()
		return nil, err
	}
	c.Timeout = readyTimeout
	return &server{process: p, client: c, attach: attach}, nil
}

// configure attaches a client that is initialised, with a breakpoint at a line,
// whose condition may be empty.
func (s *server) configure(line harness.Mark, condition string) error {
	args := map[string]any{"request": "attach", "mode": "remote"}
	maps.Copy(args, s.attach)
	if _, err := s.client.Do("attach", args); err != nil {
		return err
	}
	if _, err := s.client.WaitEvent("initialized"); err != nil {
		return err
	}
	if _, err := s.client.Do("setBreakpoints", breakpointAt(line, condition)); err != nil {
		return err
	}
	if err := s.client.ConfigurationDone(); err != nil {
		return err
	}
	s.client.Timeout = 15 * time.Second
	return nil
}

func breakpointAt(line harness.Mark, condition string) any {
	return map[string]any{"source": map[string]any{"path": line.File},
		"breakpoints": []map[string]any{{"line": line.Line, "condition": condition}}}
}

// stop disconnects, and ends a server that does not end by itself. The service
// goes on, if the debugger lets it.
func (s *server) stop() error {
	_ = s.client.Close()
	if _, err := s.process.Wait(3 * time.Second); errors.Is(err, harness.ErrStillRunning) {
		_, err := s.process.Stop(syscall.SIGTERM, 10*time.Second)
		return err
	}
	return nil
}

// memory is what a process and its children use, in bytes.
type memory struct{ peak, now int64 }

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64) // of other lines: no number
		switch f[0] {
		case "VmHWM:":
			m.peak = kib << 10
		case "VmRSS:":
			m.now = kib << 10
		}
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return m, nil // a kernel without CONFIG_PROC_CHILDREN
	}
	for _, child := range strings.Fields(string(children)) {
		id, err := strconv.Atoi(child)
		if err != nil {
			return m, err
		}
		if c, err := memoryOf(id); err == nil { // it may have ended
			m.peak, m.now = m.peak+c.peak, m.now+c.now
		}
	}
	return m, nil
}
