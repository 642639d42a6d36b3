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

// dlvResult is the outcome of (b), and of a round of dlv in (e).
type dlvResult struct {
	none, armed window
	survived    bool // the service answers after dlv has detached
}

// measureDlv measures the traffic of a service of its own without a debugger
// and with dlv attached, with breakpoints at the lines whose condition never
// holds. The service is dlv's own since it may not survive dlv's detaching.
func (b *bench) measureDlv(condition string, lines ...harness.Mark) (*dlvResult, error) {
	dlv, err := b.builder.Module("github.com/go-delve/delve/cmd/dlv@" + dlvVersion)
	if err != nil {
		return nil, err
	}
	s, err := b.start()
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	defer b.rest()
	if _, err := b.load(s, b.window, 0, nil); err != nil { // warm up
		return nil, err
	}
	r := &dlvResult{}
	if r.none, err = b.load(s, 2*b.window, 0, nil); err != nil {
		return nil, err
	}
	b.rest()
	if err = b.underDlv(dlv, s, r, condition, lines); err != nil {
		return nil, fmt.Errorf("dlv: %w", err)
	}
	return r, nil
}

// underDlv measures one window with dlv attached.
func (b *bench) underDlv(dlv string, s *harness.Service, r *dlvResult, condition string, lines []harness.Mark) error {
	p, err := harness.Start(dlv, "attach", strconv.Itoa(s.PID), "--headless", "--api-version=2", "--listen=127.0.0.1:0")
	if err != nil {
		return err
	}
	defer p.Kill() // a dlv that has breakpoints set takes its service along, which is ours
	const ready = "API server listening at: "
	line, err := p.Stdout.WaitLine(ready, time.Minute)
	if err != nil {
		return errors.Join(err, errors.New(p.Stderr.String()))
	}
	client, err := jsonrpc.Dial("tcp", strings.TrimPrefix(line, ready))
	if err := errors.Join(err, unpin(p)); err != nil {
		return err
	}
	defer client.Close()
	if err := neverTrue(client, condition, lines); err != nil {
		return err
	}
	running := client.Go("RPCServer.Command", map[string]string{"name": "continue"}, new(dlvState), nil)
	if r.armed, err = b.load(s, 2*b.window, p.PID, nil); err != nil {
		return err
	}
	b.rest()
	select {
	case <-running.Done:
		return fmt.Errorf("it stopped at a breakpoint whose condition is never true: %v", running.Error)
	default:
	}
	r.survived = leave(client, running, p) == nil && answers(s)
	return nil
}

type dlvState struct{ State struct{ Running bool } }

// neverTrue sets the breakpoints.
func neverTrue(client *rpc.Client, condition string, lines []harness.Mark) error {
	type breakpoint struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Cond string
	}
	for _, at := range lines {
		var any struct{}
		create := map[string]breakpoint{"Breakpoint": {at.File, at.Line, condition}}
		if err := within(client.Go("RPCServer.CreateBreakpoint", create, &any, nil)); err != nil {
			return err
		}
	}
	return nil
}

// leave has dlv stop, detach and not kill. Under load that does not always go
// well, and is a result, too.
func leave(client *rpc.Client, running *rpc.Call, p *harness.Process) error {
	if err := within(client.Go("RPCServer.Command", map[string]string{"name": "halt"}, new(dlvState), nil)); err != nil {
		return err
	}
	if err := within(running); err != nil {
		return err
	}
	var nothing struct{}
	if err := within(client.Go("RPCServer.Detach", map[string]bool{"Kill": false}, &nothing, nil)); err != nil {
		return err
	}
	_, err := p.Wait(dlvPatience)
	return err
}

// answers says whether a service still does.
func answers(s *harness.Service) bool {
	client := harness.NewClient(s.URL, harness.Others, 1)
	defer client.Close()
	return client.All(100, path, dlvPatience) == nil
}

const dlvPatience = 10 * time.Second

// within waits for a call, but not for ever.
func within(call *rpc.Call) error {
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(dlvPatience):
		return fmt.Errorf("%s: no answer", call.ServiceMethod)
	}
}
