package daptest

import (
	"fmt"

	"github.com/google/go-dap"
)

// do is Do with the response's type.
func do[R dap.ResponseMessage](c *Client, command string, arguments any) (R, error) {
	var zero R
	m, err := c.Do(command, arguments)
	if err != nil {
		return zero, err
	}
	r, ok := m.(R)
	if !ok {
		return zero, fmt.Errorf("daptest: %s: the response is a %T", command, m)
	}
	return r, nil
}

// Initialize sends what VS Code sends and returns the capabilities.
func (c *Client) Initialize() (dap.Capabilities, error) {
	r, err := do[*dap.InitializeResponse](c, "initialize", dap.InitializeRequestArguments{
		ClientID: "daptest", ClientName: "daptest", AdapterID: "go", PathFormat: "path",
		LinesStartAt1: true, ColumnsStartAt1: true,
		SupportsVariableType: true, SupportsVariablePaging: true,
		SupportsMemoryReferences: true, SupportsMemoryEvent: true,
		SupportsInvalidatedEvent: true, SupportsProgressReporting: true,
	})
	if err != nil {
		return dap.Capabilities{}, err
	}
	return r.Body, nil
}

// Attach attaches with mode remote and the given arguments beside it, which
// may be nil.
func (c *Client) Attach(arguments map[string]any) error {
	all := map[string]any{"request": "attach", "mode": "remote"}
	for k, v := range arguments {
		all[k] = v
	}
	_, err := do[*dap.AttachResponse](c, "attach", all)
	return err
}

// SetBreakpoints replaces the breakpoints of a file.
func (c *Client) SetBreakpoints(file string, lines ...int) ([]dap.Breakpoint, error) {
	args := dap.SetBreakpointsArguments{Source: dap.Source{Path: file}, Breakpoints: []dap.SourceBreakpoint{}}
	for _, line := range lines {
		args.Breakpoints = append(args.Breakpoints, dap.SourceBreakpoint{Line: line})
	}
	r, err := do[*dap.SetBreakpointsResponse](c, "setBreakpoints", args)
	if err != nil {
		return nil, err
	}
	return r.Body.Breakpoints, nil
}

// ConfigurationDone ends the configuration: the server may stop threads now.
func (c *Client) ConfigurationDone() error {
	_, err := do[*dap.ConfigurationDoneResponse](c, "configurationDone", nil)
	return err
}

// Threads lists the threads.
func (c *Client) Threads() ([]dap.Thread, error) {
	r, err := do[*dap.ThreadsResponse](c, "threads", nil)
	if err != nil {
		return nil, err
	}
	return r.Body.Threads, nil
}

// StackTrace returns levels frames, or all if levels is 0, from the start-th
// on, and how many there are.
func (c *Client) StackTrace(threadID, start, levels int) (frames []dap.StackFrame, total int, err error) {
	r, err := do[*dap.StackTraceResponse](c, "stackTrace",
		dap.StackTraceArguments{ThreadId: threadID, StartFrame: start, Levels: levels})
	if err != nil {
		return nil, 0, err
	}
	return r.Body.StackFrames, r.Body.TotalFrames, nil
}

// Scopes lists the scopes of a frame.
func (c *Client) Scopes(frameID int) ([]dap.Scope, error) {
	r, err := do[*dap.ScopesResponse](c, "scopes", dap.ScopesArguments{FrameId: frameID})
	if err != nil {
		return nil, err
	}
	return r.Body.Scopes, nil
}

// Variables lists all children of a scope or variable.
func (c *Client) Variables(reference int) ([]dap.Variable, error) {
	return c.VariablesPage(dap.VariablesArguments{VariablesReference: reference})
}

// VariablesPage lists some children: Filter is "indexed", "named" or empty,
// Start and Count are a range.
func (c *Client) VariablesPage(args dap.VariablesArguments) ([]dap.Variable, error) {
	r, err := do[*dap.VariablesResponse](c, "variables", args)
	if err != nil {
		return nil, err
	}
	return r.Body.Variables, nil
}

// Evaluate evaluates an expression in a frame, as from where ("repl", "watch",
// "hover", "clipboard", "variables").
func (c *Client) Evaluate(expression string, frameID int, where string) (dap.EvaluateResponseBody, error) {
	r, err := do[*dap.EvaluateResponse](c, "evaluate",
		dap.EvaluateArguments{Expression: expression, FrameId: frameID, Context: where})
	if err != nil {
		return dap.EvaluateResponseBody{}, err
	}
	return r.Body, nil
}

// Continue lets a thread go on and returns once the server has agreed.
func (c *Client) Continue(threadID int) error {
	r, err := do[*dap.ContinueResponse](c, "continue", dap.ContinueArguments{ThreadId: threadID})
	if err == nil && r.Body.AllThreadsContinued {
		err = fmt.Errorf("daptest: continue: the server says that it continued all threads")
	}
	return err
}

// Next steps a thread over calls; WaitStopped tells where it came to.
func (c *Client) Next(threadID int) error {
	_, err := do[*dap.NextResponse](c, "next", dap.NextArguments{ThreadId: threadID})
	return err
}

// StepIn steps a thread into a call.
func (c *Client) StepIn(threadID int) error {
	_, err := do[*dap.StepInResponse](c, "stepIn", dap.StepInArguments{ThreadId: threadID})
	return err
}

// StepOut runs a thread to its caller.
func (c *Client) StepOut(threadID int) error {
	_, err := do[*dap.StepOutResponse](c, "stepOut", dap.StepOutArguments{ThreadId: threadID})
	return err
}

// Pause asks a running thread to stop.
func (c *Client) Pause(threadID int) error {
	_, err := do[*dap.PauseResponse](c, "pause", dap.PauseArguments{ThreadId: threadID})
	return err
}

// Disconnect ends the session in good order. The connection is still to be
// closed.
func (c *Client) Disconnect() error {
	_, err := do[*dap.DisconnectResponse](c, "disconnect", dap.DisconnectArguments{})
	return err
}

// Terminate asks the server to end the session.
func (c *Client) Terminate() error {
	_, err := do[*dap.TerminateResponse](c, "terminate", nil)
	return err
}
