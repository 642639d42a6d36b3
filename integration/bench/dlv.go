//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"net/rpc"
	"net/rpc/jsonrpc"
	"strconv"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// dlvVersion is the dlv that remotedbg is compared with: that whose packages it
// uses itself.
const dlvVersion = "v1.27.2"

// dlvResult is the outcome of (b).
type dlvResult struct {
	none, armed harness.LoadResult
	survived    bool // the service answers after dlv has detached
}

// measureDlv measures the traffic of a service of its own without a debugger
// and with dlv attached.
func (b *bench) measureDlv() (*dlvResult, error) {
	dlv, err := b.builder.Module("github.com/go-delve/delve/cmd/dlv@" + dlvVersion)
	if err != nil {
		return nil, err
	}
	s, err := b.start()
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	if _, err := load(s, b.window); err != nil { // warm up
		return nil, err
	}
	r := &dlvResult{}
	if r.none, err = load(s, b.window); err != nil {
		return nil, err
	}
	if r.armed, err = b.underDlv(dlv, s); err != nil {
		return nil, fmt.Errorf("dlv: %w", err)
	}
	client := harness.NewClient(s.URL, harness.Others, 1)
	defer client.Close()
	// dlv was asked to detach and not to kill; under load that does not always
	// go well, and is a result, too.
	r.survived = client.All(100, path, time.Minute) == nil
	return r, nil
}

// underDlv measures one window with dlv attached and a breakpoint at the line
// whose condition never holds.
func (b *bench) underDlv(dlv string, s *harness.Service) (harness.LoadResult, error) {
	var none harness.LoadResult
	p, err := harness.Start(dlv, "attach", strconv.Itoa(s.PID), "--headless", "--api-version=2", "--listen=127.0.0.1:0")
	if err != nil {
		return none, err
	}
	const ready = "API server listening at: "
	line, err := p.Stdout.WaitLine(ready, time.Minute)
	if err != nil {
		p.Kill()
		return none, errors.Join(err, errors.New(p.Stderr.String()))
	}
	client, err := jsonrpc.Dial("tcp", strings.TrimPrefix(line, ready))
	if err := errors.Join(err, unpin(p)); err != nil {
		p.Kill()
		return none, err
	}
	defer client.Close()
	result, err := b.neverTrue(client, s)
	var nothing struct{}
	if detached := within(client.Go("RPCServer.Detach", map[string]bool{"Kill": false}, &nothing, nil)); detached != nil {
		// Killing a dlv that has breakpoints set kills the service as well;
		// there is nothing better left, and it is ours.
		p.Kill()
		return none, errors.Join(err, detached)
	}
	_, waited := p.Wait(30 * time.Second)
	return result, errors.Join(err, waited)
}

// neverTrue sets the breakpoint, continues, measures and halts.
func (b *bench) neverTrue(client *rpc.Client, s *harness.Service) (harness.LoadResult, error) {
	var none harness.LoadResult
	type breakpoint struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Cond string
	}
	var any struct{}
	create := map[string]breakpoint{"Breakpoint": {b.line.File, b.line.Line, "id == -1"}}
	if err := within(client.Go("RPCServer.CreateBreakpoint", create, &any, nil)); err != nil {
		return none, err
	}
	type state struct{ State struct{ Running bool } }
	running := client.Go("RPCServer.Command", map[string]string{"name": "continue"}, new(state), nil)
	result, err := load(s, b.window)
	select {
	case <-running.Done:
		return none, fmt.Errorf("it stopped at a breakpoint whose condition is never true: %v", running.Error)
	default:
	}
	halted := within(client.Go("RPCServer.Command", map[string]string{"name": "halt"}, new(state), nil))
	return result, errors.Join(err, halted, within(running))
}

// within waits for a call, but not for ever.
func within(call *rpc.Call) error {
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s: no answer", call.ServiceMethod)
	}
}
