//go:build linux && amd64

package integration_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// beyond asks for something that the role does not allow, and wants to be told of
// the role that does.
func (c *ide) beyond(command string, arguments any, role string) {
	c.t.Helper()
	_, err := c.Do(command, arguments)
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "needs the role "+role) || !strings.Contains(refused.Message, "--role "+role) {
		c.t.Errorf("%s: %v, want it to need the role %s", command, err, role)
	}
}

// TestObserver looks at a request and lets it go, and can do nothing else to it.
func TestObserver(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "observe")
	c := &ide{r.dial(a), t}
	caps, err := c.Initialize()
	must(t, err)
	if caps.SupportsSetVariable || caps.SupportsConditionalBreakpoints || caps.SupportsLogPoints || caps.SupportsWriteMemoryRequest || !caps.SupportsReadMemoryRequest {
		t.Errorf("an observer is offered %+v", caps)
	}
	must(t, c.Attach(map[string]any{"stopOnEntry": true}))
	loaded := mark(t, "order-loaded")
	c.beyond("setBreakpoints", dap.SetBreakpointsArguments{Source: dap.Source{Path: loaded.File}, Breakpoints: []dap.SourceBreakpoint{{Line: loaded.Line}}}, "control")
	if _, err := c.SetBreakpoints(loaded.File); err != nil {
		t.Errorf("no breakpoints: %v", err) // clients send that to every server
	}
	must(t, c.ConfigurationDone())

	p := r.request("/orders/7")
	stop, err := c.WaitStopped(daptest.AnyThread)
	must(t, err)
	th := &thread{c, stop.ThreadId}
	frame := th.top()
	if _, err := c.Locals(th.id); err != nil {
		t.Errorf("locals: %v", err)
	}
	method, err := c.Evaluate("r.Method", frame.ID, "watch")
	if err != nil || !strings.Contains(method.Result, "GET") {
		t.Errorf("r.Method is %q, %v", method.Result, err)
	}
	for _, step := range []string{"next", "stepIn", "stepOut"} {
		c.beyond(step, map[string]int{"threadId": th.id}, "control")
	}
	c.beyond("setExpression", dap.SetExpressionArguments{Expression: "r.Method", Value: `""`, FrameId: frame.ID}, "mutate")
	c.beyond("evaluate", dap.EvaluateArguments{Expression: "call r.UserAgent()", FrameId: frame.ID, Context: "repl"}, "mutate")
	c.beyond("writeMemory", dap.WriteMemoryArguments{MemoryReference: "0x1000", Data: "AA=="}, "mutate")
	p.held(t)
	th.resume()
	p.ok(t)
}

// TestController has the role that there is without a flag.
func TestController(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	frame := th.top().ID
	c.beyond("setExpression", dap.SetExpressionArguments{Expression: "order.ID", Value: "8", FrameId: frame}, "mutate")
	c.beyond("evaluate", dap.EvaluateArguments{Expression: "call a.service.Price(order)", FrameId: frame, Context: "repl"}, "mutate")
	order, err := c.Evaluate("order", frame, "watch")
	must(t, err)
	c.beyond("writeMemory", dap.WriteMemoryArguments{MemoryReference: order.MemoryReference, Data: "AA=="}, "mutate")
	if id, err := c.Evaluate("order.ID", frame, "watch"); err != nil || id.Result != "7" {
		t.Errorf("order.ID is %q, %v", id.Result, err)
	}
	th.step(th.Next)
	th.resume()
	p.ok(t)
}

// TestRolesOverRPC: the same rules hold in the other protocol.
func TestRolesOverRPC(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := dialRPC(t, r.attach("--role", "observe"))
	m := mark(t, "order-loaded")
	for method, args := range map[string]any{
		"CreateBreakpoint": map[string]any{"Breakpoint": map[string]any{"file": m.File, "line": m.Line}},
		"Command":          map[string]any{"name": "next"},
		"Set":              map[string]any{"Symbol": "x", "Value": "1"},
	} {
		if err := c.Call("RPCServer."+method, args, new(struct{})); err == nil || !strings.Contains(err.Error(), "needs the role") {
			t.Errorf("%s: %v", method, err)
		}
	}
	var list struct{ Sources []string }
	c.call("ListSources", map[string]any{"Filter": "handlers.go$"}, &list)
	if len(list.Sources) == 0 {
		t.Error("an observer sees no sources")
	}
}

// TestDenyList: what nobody may do, at every role, leaves a service that runs.
func TestDenyList(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	for _, role := range []string{"observe", "control", "mutate"} {
		a := r.attach("--role", role, "--max-hold", "1m")
		c := dialRPC(t, a)
		for method, args := range map[string]any{
			"Detach":    map[string]any{"Kill": true},
			"Restart":   map[string]any{"Rebuild": true},
			"DumpStart": map[string]any{"Destination": t.TempDir() + "/core"},
		} {
			if err := c.Call("RPCServer."+method, args, new(struct{})); err == nil || !strings.Contains(err.Error(), "is refused") {
				t.Errorf("%s at role %s: %v", method, role, err)
			}
		}
		ide := r.ide(a, nil)
		for _, command := range []string{"restart", "restartFrame", "goto", "stepBack", "reverseContinue", "terminateThreads", "runInTerminal", "startDebugging", "kill", "dump"} {
			if _, err := ide.Do(command, map[string]int{"threadId": 1}); err == nil {
				t.Errorf("%s at role %s is answered", command, role)
			}
		}
		launcher := r.dial(a)
		if _, err := launcher.Initialize(); err != nil {
			t.Error(err)
		}
		if _, err := launcher.Do("launch", map[string]string{"program": "/bin/true", "mode": "exec"}); err == nil {
			t.Errorf("launch at role %s is answered", role)
		}
		if _, err := ide.Do("disconnect", dap.DisconnectArguments{TerminateDebuggee: true}); err != nil {
			t.Errorf("disconnect at role %s: %v", role, err)
		}
		if !r.service.Running() {
			t.Fatalf("the service has ended at role %s", role)
		}
		r.request("/orders/7").ok(t)
		if code, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil || code != 0 {
			t.Errorf("the agent ended with %d, %v", code, err)
		}
		for _, what := range []string{"kill", "launch", "restart", "disconnect: terminateDebuggee", "Detach", "Restart", "DumpStart"} {
			if !strings.Contains(a.Stderr.String(), "audit: ") {
				t.Error("the agent does not say where the audit is")
			}
			denied := auditOf(t, a).find("refused", "command", what)
			if len(denied) == 0 || denied[0]["needs"] != "never" || denied[0]["role"] != role {
				t.Errorf("%s at role %s: the audit has %v", what, role, denied)
			}
		}
	}
}
