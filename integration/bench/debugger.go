//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// debugger is an agent, an IDE, and the client whose requests they may stop.
type debugger struct {
	*daptest.Client
	agent  *harness.Agent
	client *harness.Client
	closed bool
}

// connect attaches an agent with an IDE that has not said anything yet.
func (b *bench) connect(s *harness.Service, args ...string) (*debugger, error) {
	a, err := harness.StartAgent(b.agent, s.PID, args...)
	if err != nil {
		return nil, err
	}
	c, err := a.Dial()
	if err != nil {
		a.Kill()
		return nil, err
	}
	d := &debugger{Client: c, agent: a, client: harness.NewClient(s.URL, harness.Allowed, 1)}
	if err := unpin(a.Process); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// attach is connect with a breakpoint at the line.
func (b *bench) attach(s *harness.Service) (*debugger, error) {
	d, err := b.connect(s)
	if err != nil {
		return nil, err
	}
	if err := d.Session(b.line.File, b.line.Line); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// send sends an allowlisted request. It tells when it has been answered.
func (d *debugger) send(path string) <-chan error {
	answered := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r := d.client.Get(ctx, path)
		if r.Err == nil && r.Status != 200 {
			r.Err = fmt.Errorf("%s was answered with %d", path, r.Status)
		}
		answered <- r.Err
	}()
	return answered
}

// stopped is where a request was frozen.
type stopped struct {
	ThreadID int
	Waited   time.Duration // from sending the request to the IDE's stopped event
}

// freeze sends a request and waits until it is frozen.
func (d *debugger) freeze(path string) (stopped, <-chan error, error) {
	sent := time.Now()
	answered := d.send(path)
	stop, err := d.WaitStopped(daptest.AnyThread)
	return stopped{stop.ThreadId, time.Since(sent)}, answered, err
}

// close ends the IDE's session and the agent; everything goes on.
func (d *debugger) close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	_ = d.Disconnect() // nothing is lost if it cannot be told
	d.Client.Close()
	d.client.Close()
	code, err := d.agent.Stop(syscall.SIGTERM, 10*time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("the agent ended with %d:\n%s", code, d.agent.Stderr)
	}
	return err
}

// held fails if a request that is to be under way has been answered.
func held(answered <-chan error) error {
	select {
	case err := <-answered:
		return fmt.Errorf("the request was let go of inside the window: %v", err)
	default:
		return nil
	}
}

// letGo is close for one that has a request under way, which is answered then.
func (d *debugger) letGo(answered <-chan error) error {
	err := d.close()
	return errors.Join(err, <-answered)
}
