//go:build linux && amd64

package main

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// checks are the rows of the table: all requests of the protocol that a client
// sends to a debugger that attaches.
var checks = []check{
	{"initialize, attach, configurationDone", false, func(*probe) error { return nil }}, // newProbe does it
	{"launch", false, launch},
	{"setBreakpoints", false, func(p *probe) error { return p.stopsAt("order-loaded", "/orders/7") }},
	{"setBreakpoints: condition", false, condition},
	{"setBreakpoints: hitCondition", false, hitCondition},
	{"setBreakpoints: logMessage", false, logMessage},
	{"setFunctionBreakpoints", false, functionBreakpoint},
	{"setInstructionBreakpoints", true, plain("setInstructionBreakpoints", func(p *probe) any {
		return map[string]any{"breakpoints": []map[string]any{{"instructionReference": p.pc}}}
	})},
	{"setExceptionBreakpoints", true, plain("setExceptionBreakpoints", func(*probe) any { return map[string]any{"filters": []string{}} })},
	{"dataBreakpointInfo", true, plain("dataBreakpointInfo", func(p *probe) any {
		return map[string]any{"variablesReference": p.scope, "name": "order", "frameId": p.frame}
	})},
	{"setDataBreakpoints", true, dataBreakpoint},
	{"breakpointLocations", true, breakpointLocations},
	{"threads", true, plain("threads", nil)},
	{"stackTrace", true, plain("stackTrace", func(p *probe) any { return dap.StackTraceArguments{ThreadId: p.thread} })},
	{"scopes", true, plain("scopes", func(p *probe) any { return dap.ScopesArguments{FrameId: p.frame} })},
	{"variables", true, variables},
	{"evaluate: watch", true, says("id + 1", "watch", "8")},
	{"evaluate: hover", true, says("id", "hover", "7")},
	{"evaluate: repl", true, says("id", "repl", "7")},
	{"evaluate: clipboard", true, says("id", "clipboard", "7")},
	{"evaluate: function call", true, says("call a.service.Price(order)", "repl", "")},
	{"evaluate: dlv commands", true, says("dlv config -list", "repl", "hideSystemGoroutines")},
	{"setVariable", true, setVariable},
	{"setExpression", true, setExpression},
	{"completions", true, plain("completions", func(p *probe) any {
		return dap.CompletionsArguments{FrameId: p.frame, Text: "ord", Column: 4, Line: 1}
	})},
	{"exceptionInfo", true, plain("exceptionInfo", func(p *probe) any { return dap.ExceptionInfoArguments{ThreadId: p.thread} })},
	{"source", true, plain("source", func(p *probe) any {
		return map[string]any{"sourceReference": 0, "source": map[string]any{"path": p.line.File}}
	})},
	{"modules", true, plain("modules", func(*probe) any { return dap.ModulesArguments{} })},
	{"loadedSources", true, plain("loadedSources", nil)},
	{"readMemory", true, readMemory},
	{"writeMemory", true, writeMemory},
	{"disassemble", true, plain("disassemble", func(p *probe) any {
		return dap.DisassembleArguments{MemoryReference: p.pc, InstructionCount: 4}
	})},
	{"locations", true, plain("locations", func(*probe) any { return map[string]any{"locationReference": 1} })},
	{"next", true, moves("next")},
	{"stepIn", true, moves("stepIn")},
	{"stepOut", true, moves("stepOut")},
	{"next: instruction", true, instruction},
	{"continue", true, func(p *probe) error { return p.resume() }},
	{"pause", false, pause},
	{"stepInTargets", true, plain("stepInTargets", func(p *probe) any { return dap.StepInTargetsArguments{FrameId: p.frame} })},
	{"gotoTargets", true, plain("gotoTargets", func(p *probe) any {
		return map[string]any{"source": map[string]any{"path": p.line.File}, "line": p.line.Line + 1}
	})},
	{"goto", true, plain("goto", func(p *probe) any { return dap.GotoArguments{ThreadId: p.thread, TargetId: 1} })},
	{"restartFrame", true, plain("restartFrame", func(p *probe) any { return dap.RestartFrameArguments{FrameId: p.frame} })},
	{"stepBack", true, moves("stepBack")},
	{"reverseContinue", true, moves("reverseContinue")},
	{"terminateThreads", true, plain("terminateThreads", func(p *probe) any { return map[string]any{"threadIds": []int{p.thread}} })},
	{"cancel", true, plain("cancel", func(*probe) any { return map[string]any{"requestId": 1} })},
	{"restart", false, restart},
	{"the service's other requests while one is stopped", true, othersServed},
	{"two requests stopped at a time", true, twoStopped},
	{"terminate", false, plain("terminate", nil)},
	{"disconnect", false, plain("disconnect", func(*probe) any { return map[string]any{} })},
	{"disconnect while stopped: the service goes on", true, disconnectStopped},
}

func launch(p *probe) error {
	c, end, err := p.server.another()
	if err != nil {
		return err
	}
	defer end()
	if _, err := c.Initialize(); err != nil {
		return err
	}
	_, err = c.Do("launch", map[string]any{"mode": "exec", "program": p.target.binary, "args": []string{"-addr", "127.0.0.1:0"}})
	if err == nil {
		_, err = c.Do("disconnect", map[string]any{"terminateDebuggee": true})
	}
	return err
}

func condition(p *probe) error {
	defer usual(p)
	if _, err := breakAt(p, "order-loaded", dap.SourceBreakpoint{Condition: "id == 8"}); err != nil {
		return err
	}
	return errors.Join(p.passes("/orders/7"), p.stopsAt("order-loaded", "/orders/8"))
}

func hitCondition(p *probe) error {
	defer usual(p)
	if _, err := breakAt(p, "order-loaded", dap.SourceBreakpoint{HitCondition: "% 2"}); err != nil {
		return err
	}
	return errors.Join(p.passes("/orders/7"), p.stopsAt("order-loaded", "/orders/7"))
}

func logMessage(p *probe) error {
	defer usual(p)
	if _, err := breakAt(p, "order-loaded", dap.SourceBreakpoint{LogMessage: "order {id}"}); err != nil {
		return err
	}
	if err := p.passes("/orders/7"); err != nil {
		return err
	}
	_, err := p.WaitOutput("order 7")
	return err
}

func functionBreakpoint(p *probe) error {
	defer plain("setFunctionBreakpoints", func(*probe) any { return map[string]any{"breakpoints": []any{}} })(p)
	r, err := do[*dap.SetFunctionBreakpointsResponse](p, "setFunctionBreakpoints",
		map[string]any{"breakpoints": []map[string]any{{"name": "main.(*api).order"}}})
	if err != nil {
		return err
	}
	if len(r.Body.Breakpoints) != 1 || !r.Body.Breakpoints[0].Verified {
		return wrong("%+v", r.Body.Breakpoints)
	}
	p.forget()
	p.replied = p.send("/orders/7")
	return p.stopped()
}

func dataBreakpoint(p *probe) error {
	r, err := do[*dap.DataBreakpointInfoResponse](p, "dataBreakpointInfo",
		map[string]any{"variablesReference": p.scope, "name": "id", "frameId": p.frame})
	id := "id"
	if err == nil {
		id, _ = r.Body.DataId.(string)
	}
	set, err := do[*dap.SetDataBreakpointsResponse](p, "setDataBreakpoints",
		map[string]any{"breakpoints": []map[string]any{{"dataId": id, "accessType": "write"}}})
	if err == nil && len(set.Body.Breakpoints) != 1 {
		err = wrong("%+v", set.Body.Breakpoints)
	}
	return err
}

func breakpointLocations(p *probe) error {
	r, err := do[*dap.BreakpointLocationsResponse](p, "breakpointLocations",
		map[string]any{"source": map[string]any{"path": p.line.File}, "line": p.line.Line, "endLine": p.line.Line + 3})
	if err == nil && len(r.Body.Breakpoints) == 0 {
		err = wrong("none")
	}
	return err
}

func variables(p *probe) error {
	vars, err := p.locals()
	if err == nil && vars["id"].Value != "7" {
		err = wrong("id is %q", vars["id"].Value)
	}
	return err
}

func setVariable(p *probe) error {
	if _, err := p.Do("setVariable", dap.SetVariableArguments{VariablesReference: p.scope, Name: "id", Value: "9"}); err != nil {
		return err
	}
	return says("id", "watch", "9")(p)
}

func setExpression(p *probe) error {
	if _, err := p.Do("setExpression", dap.SetExpressionArguments{Expression: "id", Value: "7", FrameId: p.frame}); err != nil {
		return err
	}
	return says("id", "watch", "7")(p)
}

// orderMemory is the memory reference of a string in the order.
func orderMemory(p *probe) (string, error) {
	vars, err := p.locals()
	if err != nil {
		return "", err
	}
	if ref := vars["order"].MemoryReference; ref != "" {
		return ref, nil
	}
	children, err := p.Variables(vars["order"].VariablesReference)
	if err != nil {
		return "", err
	}
	for i := 0; i < min(len(children), 40); i++ {
		v := children[i]
		if v.MemoryReference != "" {
			return v.MemoryReference, nil
		}
		if v.VariablesReference == 0 {
			continue
		}
		deeper, err := p.Variables(v.VariablesReference)
		if err != nil {
			return "", err
		}
		children = append(children, deeper[:min(len(deeper), 20)]...)
	}
	return p.pc, nil // the text, which every server can name
}

func readMemory(p *probe) error {
	ref, err := orderMemory(p)
	if err != nil {
		return err
	}
	r, err := do[*dap.ReadMemoryResponse](p, "readMemory", dap.ReadMemoryArguments{MemoryReference: ref, Count: 8})
	if err != nil {
		return err
	}
	if data, err := base64.StdEncoding.DecodeString(r.Body.Data); err != nil || len(data) == 0 {
		return wrong("%q: %v", r.Body.Data, err)
	}
	return nil
}

// writeMemory writes what is there already.
func writeMemory(p *probe) error {
	ref, err := orderMemory(p)
	if err != nil {
		return err
	}
	data := base64.StdEncoding.EncodeToString([]byte{0})
	if r, err := do[*dap.ReadMemoryResponse](p, "readMemory", dap.ReadMemoryArguments{MemoryReference: ref, Count: 1}); err == nil {
		data = r.Body.Data
	}
	_, err = p.Do("writeMemory", dap.WriteMemoryArguments{MemoryReference: ref, Data: data})
	return err
}

// moves sends a step and waits for its stop.
func moves(command string) func(p *probe) error { return plainMove(command, nil) }

func plainMove(command string, more map[string]any) func(p *probe) error {
	return func(p *probe) error {
		before := p.pc
		args := map[string]any{"threadId": p.thread}
		for k, v := range more {
			args[k] = v
		}
		p.forget()
		if _, err := p.Do(command, args); err != nil {
			return err
		}
		if err := p.stopped(); err != nil {
			return err
		}
		if p.pc == before {
			return wrong("it did not move")
		}
		return nil
	}
}

// instruction steps over one: the place after it is as near as an instruction of
// amd64 is long.
func instruction(p *probe) error {
	before, err := strconv.ParseUint(p.pc, 0, 64)
	if err != nil {
		return wrong("the instruction pointer is %q", p.pc)
	}
	if err := plainMove("next", map[string]any{"granularity": "instruction"})(p); err != nil {
		return err
	}
	if after, err := strconv.ParseUint(p.pc, 0, 64); err != nil || after-before > 15 {
		return wrong("it moved by more than an instruction")
	}
	return nil
}

// pause stops a request that is running, in user code or soon there.
func pause(p *probe) error {
	p.forget()
	p.replied = p.send("/slow?ms=1500")
	thread := 1
	if _, err := p.WaitThread("started", 0); err == nil {
		if list, err := p.Threads(); err == nil && len(list) > 0 {
			thread = list[len(list)-1].Id
		}
	}
	if err := p.Pause(thread); err != nil {
		return err
	}
	return p.stopped()
}

// restart must not end the service that it was attached to.
func restart(p *probe) error {
	if _, err := p.Do("restart", nil); err != nil {
		return err
	}
	other := harness.NewClient(p.service.URL, harness.Others, 1)
	defer other.Close()
	if err := other.All(1, "/healthz", 5*time.Second); err != nil {
		return wrong("the service does not answer after it")
	}
	return nil
}

func twoStopped(p *probe) error {
	first := p.thread
	p.forget()
	second := p.send("/orders/8")
	timeout := p.Timeout
	p.Timeout = timeout / 4
	s, err := p.WaitStopped(0)
	p.Timeout = timeout
	if err != nil {
		return err
	}
	if s.ThreadId == first {
		return wrong("the same thread")
	}
	_, _, err = p.StackTrace(first, 0, 1)
	if _, more := p.Do("continue", dap.ContinueArguments{ThreadId: s.ThreadId}); err != nil || more != nil {
		return errors.Join(err, more)
	}
	if r := <-second; r.Status != 200 {
		return wrong("the second was answered with %d, %v", r.Status, r.Err)
	}
	return nil
}

func disconnectStopped(p *probe) error {
	if err := p.Disconnect(); err != nil && !strings.Contains(err.Error(), "closed") {
		return err
	}
	p.thread = 0
	if r := <-p.replied; r.Status != 200 {
		return wrong("the request was answered with %d, %v", r.Status, r.Err)
	}
	return nil
}
