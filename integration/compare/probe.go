//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// probe is a session that checks are run in.
type probe struct {
	*daptest.Client
	server  *server
	service *harness.Service
	http    *harness.Client // allowlisted
	target  target
	line    harness.Mark // where a request stops

	caps    dap.Capabilities
	thread  int // of the stopped request; 0: none is
	at      int // line of it
	frame   int
	scope   int // variables of the innermost frame
	pc      string
	replied chan harness.Reply
}

// newProbe starts a service and a debugger, and attaches.
func newProbe(t target, d debugger) (*probe, error) {
	s, err := harness.StartService(t.binary)
	if err != nil {
		return nil, err
	}
	server, err := d.start(s.PID)
	if err != nil {
		s.Kill()
		return nil, err
	}
	p := &probe{
		Client: server.client, server: server, service: s, target: t, line: t.marks["order-loaded"],
		http: harness.NewClient(s.URL, harness.Allowed, 4),
	}
	if p.caps, err = p.Initialize(); err == nil {
		err = server.configure(p.line, "")
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close ends the debugger, then the service.
func (p *probe) close() {
	_ = p.server.stop()
	p.http.Close()
	p.service.Kill()
}

// send sends an allowlisted request.
func (p *probe) send(path string) chan harness.Reply {
	replied := make(chan harness.Reply, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		replied <- p.http.Get(ctx, path)
	}()
	return replied
}

// stop makes sure that a request is stopped at the usual line, and that its
// frame is known.
func (p *probe) stop() error {
	if p.thread != 0 && p.look() == nil && p.at == p.line.Line {
		return nil
	}
	if err := p.resume(); err != nil {
		return err
	}
	p.forget()
	p.replied = p.send("/orders/7")
	return p.stopped()
}

// forget takes the events that nobody has waited for.
func (p *probe) forget() {
	for range p.Events() {
		_, _ = p.Wait("any event", func(dap.EventMessage) bool { return true }) // it is there
	}
}

// stopped waits for the next stop.
func (p *probe) stopped() error {
	s, err := p.WaitStopped(daptest.AnyThread)
	if err != nil {
		return err
	}
	p.thread = s.ThreadId
	return p.look()
}

func (p *probe) look() error {
	frames, _, err := p.StackTrace(p.thread, 0, 20)
	if err != nil || len(frames) == 0 {
		return fmt.Errorf("no stack of thread %d: %w", p.thread, err)
	}
	p.frame, p.pc, p.at = frames[0].Id, frames[0].InstructionPointerReference, frames[0].Line
	scopes, err := p.Scopes(p.frame)
	if err != nil || len(scopes) == 0 {
		return fmt.Errorf("no scopes: %w", err)
	}
	p.scope = scopes[0].VariablesReference
	return nil
}

// resume lets the stopped request end.
func (p *probe) resume() error {
	if p.thread == 0 {
		return nil
	}
	_, err := p.Do("continue", dap.ContinueArguments{ThreadId: p.thread})
	if err != nil {
		return err
	}
	p.thread = 0
	for {
		select {
		case r := <-p.replied:
			if r.Err != nil || r.Status != http.StatusOK {
				return fmt.Errorf("the request was answered with %d, %w", r.Status, r.Err)
			}
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		for _, ev := range p.Events() { // another breakpoint on its way
			if s, ok := ev.(*dap.StoppedEvent); ok {
				if _, err := p.WaitStopped(s.Body.ThreadId); err != nil {
					return err
				}
				if _, err := p.Do("continue", dap.ContinueArguments{ThreadId: s.Body.ThreadId}); err != nil {
					return err
				}
			}
		}
	}
}

// status is the outcome of a check.
type status string

const (
	supported status = "yes"
	refused   status = "refused"
	missing   status = "no"
)

// result is a status and, unless it is supported, the reason.
type result struct {
	status status
	why    string
}

// unsupported are parts of what servers answer to requests that they do not have.
var unsupported = []string{"unsupported", "not supported", "not yet implemented", "not implemented", "unknown command"}

// judge turns the outcome of a request into a result.
func judge(err error) result {
	if err == nil {
		return result{supported, ""}
	}
	why := err.Error()
	var re *daptest.ResponseError
	if !errors.As(err, &re) {
		return result{missing, why}
	}
	if _, after, ok := strings.Cut(why, ": "); ok {
		why = after
	}
	if slices.ContainsFunc(unsupported, func(s string) bool { return strings.Contains(strings.ToLower(why), s) }) {
		return result{missing, why}
	}
	return result{refused, why}
}
