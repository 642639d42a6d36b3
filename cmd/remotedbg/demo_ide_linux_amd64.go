package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// ide is the demo's side of DAP: what an IDE asks for, in the order it does.
// The project's test client speaks the protocol; ctx ends its waits by closing
// the connection.
type ide struct {
	ctx    context.Context
	client *daptest.Client
	detach func() bool // keeps ctx from closing the connection
}

// stop is a request that stands still.
type stop struct {
	thread int
	name   string // as the IDE lists it
}

type frame struct {
	id       int
	function string
	at       place
}

type variable struct{ name, value string }

// attachIDE connects to the agent and sets one breakpoint, which must be
// verified.
func attachIDE(ctx context.Context, addr string, at place) (*ide, error) {
	client, err := daptest.Dial(addr)
	if err != nil {
		return nil, fmt.Errorf("demo: connect to the agent: %w", err)
	}
	i := &ide{ctx: ctx, client: client}
	i.detach = context.AfterFunc(ctx, func() { client.Close() })
	if err := client.Session(at.file, at.line); err != nil {
		err = i.failed("attach over DAP", err)
		i.close()
		return nil, err
	}
	return i, nil
}

// failed says which of the IDE's wishes did not come true; a connection that
// ctx closed says why ctx ended instead.
func (i *ide) failed(what string, err error) error {
	if i.ctx.Err() != nil {
		err = context.Cause(i.ctx)
	}
	return fmt.Errorf("demo: %s: %w", what, err)
}

// close disconnects as an IDE does, which lets everything go.
func (i *ide) close() {
	if i.detach() {
		_ = i.client.Disconnect() // the connection may be the reason for closing
		_ = i.client.Close()
	}
}

// stopped waits for a request to stop.
func (i *ide) stopped() (stop, error) {
	event, err := i.client.WaitStopped(daptest.AnyThread)
	if err != nil {
		return stop{}, i.failed("wait for the request to stop at "+marker, err)
	}
	threads, err := i.client.Threads()
	if err != nil {
		return stop{}, i.failed("list the threads", err)
	}
	for _, t := range threads {
		if t.Id == event.ThreadId {
			return stop{thread: t.Id, name: t.Name}, nil
		}
	}
	return stop{}, fmt.Errorf("demo: thread %d stopped and is not among the %d listed", event.ThreadId, len(threads))
}

// next steps over one line.
func (i *ide) next(at stop) error {
	if err := i.client.Next(at.thread); err != nil {
		return i.failed("next", err)
	}
	if _, err := i.client.WaitStopped(at.thread); err != nil {
		return i.failed("wait for the step to end", err)
	}
	return nil
}

// resume lets the request go on and waits until it is no longer debugged.
func (i *ide) resume(at stop) error {
	if err := i.client.Continue(at.thread); err != nil {
		return i.failed("continue", err)
	}
	if _, err := i.client.WaitThread("exited", at.thread); err != nil {
		return i.failed("wait for the request to end", err)
	}
	return nil
}

// stack returns up to levels frames, innermost first, and at least one.
func (i *ide) stack(at stop, levels int) ([]frame, error) {
	list, _, err := i.client.StackTrace(at.thread, 0, levels)
	if err != nil {
		return nil, i.failed("stackTrace", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("demo: the stopped request has no stack")
	}
	frames := make([]frame, len(list))
	for n, f := range list {
		frames[n] = frame{id: f.Id, function: f.Name}
		if f.Source != nil {
			frames[n].at = place{f.Source.Path, f.Line}
		}
	}
	return frames, nil
}

// locals lists the variables of a frame, unopened.
func (i *ide) locals(of frame) ([]variable, error) {
	scopes, err := i.client.Scopes(of.id)
	if err != nil {
		return nil, i.failed("scopes", err)
	}
	var all []variable
	for _, scope := range scopes {
		if strings.Contains(scope.Name, "Global") || strings.Contains(scope.Name, "Register") {
			continue
		}
		list, err := i.client.Variables(scope.VariablesReference)
		if err != nil {
			return nil, i.failed("variables", err)
		}
		for _, v := range list {
			all = append(all, variable{v.Name, v.Value})
		}
	}
	return all, nil
}
