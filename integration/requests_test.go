//go:build linux && amd64

package integration_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// ask sends a request that must succeed.
func ask[R dap.ResponseMessage](c *ide, command string, args any) R {
	c.t.Helper()
	m, err := c.Do(command, args)
	must(c.t, err)
	r, ok := m.(R)
	if !ok {
		c.t.Fatalf("%s: the response is a %T", command, m)
	}
	return r
}

// refused fails unless a request is answered with an error that contains why.
func (c *ide) refused(command string, args any, why string) {
	c.t.Helper()
	_, err := c.Do(command, args)
	var e *daptest.ResponseError
	if !errors.As(err, &e) || !strings.Contains(e.Message, why) {
		c.t.Errorf("%s: %v, want a refusal with %q", command, err, why)
	}
}

// read returns count bytes of memory.
func (c *ide) read(ref string, count int) []byte {
	c.t.Helper()
	got := ask[*dap.ReadMemoryResponse](c, "readMemory", dap.ReadMemoryArguments{MemoryReference: ref, Count: count}).Body
	data, err := base64.StdEncoding.DecodeString(got.Data)
	must(c.t, err)
	return data
}

// TestMemory reads and writes a frozen request's memory while the service goes
// on, and never its program text.
func TestMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--role", "mutate", "--no-redaction"), nil, "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	r.serving(100)

	order, err := c.Evaluate("order", th.top().ID, "watch")
	must(t, err)
	if id := c.read(order.MemoryReference, 8); len(id) != 8 || id[0] != 7 {
		t.Fatalf("order.ID at %s: %v", order.MemoryReference, id)
	}
	write := func(ref string, offset int, data []byte, partial bool) dap.WriteMemoryArguments {
		return dap.WriteMemoryArguments{MemoryReference: ref, Offset: offset, Data: base64.StdEncoding.EncodeToString(data), AllowPartial: partial}
	}
	got := ask[*dap.WriteMemoryResponse](c, "writeMemory", write(order.MemoryReference, 0, []byte{0x67, 0x12}, false)).Body
	if v, err := c.Evaluate("order.ID", th.top().ID, "watch"); got.BytesWritten != 2 || err != nil || v.Result != "4711" {
		t.Errorf("wrote %d bytes, order.ID is %q, %v", got.BytesWritten, v.Result, err)
	}

	frames, _, err := c.StackTrace(th.id, 0, 1)
	must(t, err)
	pc := frames[0].InstructionPointerReference
	text := c.read(pc, 16)
	c.refused("writeMemory", write(pc, 0, []byte{0xcc}, true), "program text")
	c.refused("writeMemory", write("0x10", 0, []byte{1}, true), "not mapped")
	if now := c.read(pc, 16); !slices.Equal(now, text) {
		t.Errorf("the text at %s was % x, is % x", pc, text, now)
	}
	r.serving(100)
	th.resume()
	if reply := p.ok(t); !strings.Contains(reply.Body, `"id":4711`) {
		t.Errorf("the request did not see what was written: %s", reply.Body)
	}
	c.refused("readMemory", dap.ReadMemoryArguments{MemoryReference: pc, Count: 1}, "no request is stopped")
}

// TestSetVariable sets what is in memory, and says why it does not set the rest.
func TestSetVariable(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.ide(r.attach("--role", "mutate"), nil, "order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	frame := th.top().ID

	locals, err := c.Locals(th.id)
	must(t, err)
	set := ask[*dap.SetVariableResponse](c, "setVariable", dap.SetVariableArguments{
		VariablesReference: locals["order"].VariablesReference, Name: "ID", Value: "order.ID + 1000",
	}).Body
	if set.Value != "1007" {
		t.Errorf("setVariable: %+v", set)
	}
	_, err = c.WaitEvent("invalidated")
	must(t, err)
	got := ask[*dap.SetExpressionResponse](c, "setExpression", dap.SetExpressionArguments{
		Expression: "order.Customer.Name", Value: "order.Items[0].SKU", FrameId: frame,
	}).Body
	name, err := c.Evaluate("order.Customer.Name", frame, "watch")
	must(t, err)
	if sku, err := c.Evaluate("order.Items[0].SKU", frame, "watch"); err != nil || name.Result != sku.Result || got.Value != sku.Result {
		t.Errorf("order.Customer.Name is %s, shown as %s, want %s (%v)", name.Result, got.Value, sku.Result, err)
	}
	for expr, why := range map[string]string{
		"order":            "registers",
		"nosuch":           "nosuch",
		"order.Note":       "a number is no pointer",
		"len(order.Items)": "",
	} {
		c.refused("setExpression", dap.SetExpressionArguments{Expression: expr, Value: "4711", FrameId: frame}, why)
	}
	c.refused("setExpression", dap.SetExpressionArguments{Expression: "order.Customer.Name", Value: `"new"`, FrameId: frame}, "heap")
	r.serving(100)
	th.resume()
	if reply := p.ok(t); !strings.Contains(reply.Body, `"id":1007`) {
		t.Errorf("the request did not see what was set: %s", reply.Body)
	}
}

// TestDisassemble: Go's syntax with source lines, while the service goes on.
func TestDisassemble(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-price")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-price")
	frames, _, err := c.StackTrace(th.id, 0, 1)
	must(t, err)
	pc := frames[0].InstructionPointerReference
	list := ask[*dap.DisassembleResponse](c, "disassemble", dap.DisassembleArguments{
		MemoryReference: pc, InstructionOffset: -50, InstructionCount: 200, ResolveSymbols: true,
	}).Body.Instructions
	if len(list) != 200 || list[50].Address != pc {
		t.Fatalf("%d instructions, the fiftieth %+v", len(list), list[50])
	}
	at := mark(t, "order-price")
	lines := slices.ContainsFunc(list, func(in dap.DisassembledInstruction) bool {
		return in.Line == at.Line && in.Location != nil && in.Location.Path == at.File
	})
	calls := slices.ContainsFunc(list, func(in dap.DisassembledInstruction) bool {
		return strings.HasPrefix(in.Instruction, "CALL ") && strings.Contains(in.Instruction, ".")
	})
	if !lines || !calls {
		t.Errorf("around %s: line %d is there: %v, a named call: %v", pc, at.Line, lines, calls)
	}
	r.serving(100)
	th.resume()
	p.ok(t)
}

// TestProgramRequests need no stop: modules, files, their text and their lines.
func TestProgramRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug()
	at := mark(t, "order-price")

	modules := ask[*dap.ModulesResponse](c, "modules", nil).Body.Modules
	named := func(name string) bool {
		return slices.ContainsFunc(modules, func(m dap.Module) bool { return strings.Contains(m.Name, name) && (m.Version != "" || m.IsUserCode) })
	}
	if len(modules) < 3 || !modules[0].IsUserCode || !modules[0].IsOptimized || !named("remotedbg/gate") || !named("standard library") {
		t.Errorf("modules: %+v", modules)
	}
	sources := ask[*dap.LoadedSourcesResponse](c, "loadedSources", nil).Body.Sources
	index := func(end string) int {
		return slices.IndexFunc(sources, func(s dap.Source) bool { return strings.HasSuffix(s.Path, end) })
	}
	own, dependency, std := index("/targets/shop/handlers.go"), index("gate/board.go"), index("/net/http/server.go")
	if own < 0 || dependency < own || std < dependency {
		t.Errorf("of %d files the user's is number %d, the gate's %d, net/http's %d", len(sources), own, dependency, std)
	}
	text := ask[*dap.SourceResponse](c, "source", dap.SourceArguments{Source: &dap.Source{Path: at.File}}).Body
	if !strings.Contains(text.Content, "//bp:order-price") {
		t.Errorf("the text of %s has %d bytes and no mark", at.File, len(text.Content))
	}
	c.refused("source", dap.SourceArguments{Source: &dap.Source{Path: "/etc/shadow"}}, "no source text")

	places := ask[*dap.BreakpointLocationsResponse](c, "breakpointLocations",
		dap.BreakpointLocationsArguments{Source: dap.Source{Path: at.File}, Line: at.Line - 20, EndLine: at.Line + 5}).Body.Breakpoints
	if !slices.ContainsFunc(places, func(l dap.BreakpointLocation) bool { return l.Line == at.Line }) {
		t.Errorf("line %d is not among %v", at.Line, places)
	}
	// What is listed can be set: every line, one after the other.
	for _, l := range places {
		bps, err := c.SetBreakpoints(at.File, l.Line)
		must(t, err)
		if !bps[0].Verified || bps[0].Line != l.Line {
			t.Errorf("line %d is listed, the breakpoint is %+v", l.Line, bps[0])
		}
	}
}

// TestConsole: completions and dlv commands on a frozen request, exceptionInfo
// where there is none, and clean refusals of what cannot be.
func TestConsole(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-loaded")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	frame := th.top().ID

	for text, want := range map[string]string{"ord": "order", "order.Cust": "Customer", "order.Customer.": "Name", "http.ErrAb": "ErrAbortHandler"} {
		items := ask[*dap.CompletionsResponse](c, "completions", dap.CompletionsArguments{FrameId: frame, Text: text, Column: len(text) + 1}).Body.Targets
		if !slices.ContainsFunc(items, func(i dap.CompletionItem) bool { return i.Label == want }) {
			t.Errorf("%s: %s is not among %+v", text, want, items)
		}
	}
	for line, want := range map[string]string{
		"dlv help":                              "dlv config",
		"dlv config -list":                      "substitutePath",
		"dlv config -list hideSystemGoroutines": "hideSystemGoroutines\ttrue",
		"dlv sources shop/handlers":             mark(t, "order-loaded").File,
		"dlv stack":                             fmt.Sprintf("%s:%d", mark(t, "order-loaded").File, mark(t, "order-loaded").Line),
		"dlv requests":                          "GET ",
	} {
		got, err := c.Evaluate(line, frame, "repl")
		if err != nil || !strings.Contains(got.Result, want) {
			t.Errorf("%s: %q, %v; want %q", line, got.Result, err, want)
		}
	}
	c.refused("exceptionInfo", dap.ExceptionInfoArguments{ThreadId: th.id}, "no panic is under way")
	c.refused("goto", dap.GotoArguments{ThreadId: th.id, TargetId: 1}, "cannot be moved safely")
	c.refused("restartFrame", dap.RestartFrameArguments{FrameId: frame}, "cannot be unwound")
	c.refused("terminateThreads", dap.TerminateThreadsArguments{ThreadIds: []int{th.id}}, "cannot end a goroutine")
	p.held(t)
	th.resume()
	p.ok(t)
}

// TestStepInstruction: single instructions, and a call as one of them.
func TestStepInstruction(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("order-price")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-price")
	pc := func() string {
		t.Helper()
		frames, _, err := c.StackTrace(th.id, 0, 1)
		must(t, err)
		return frames[0].InstructionPointerReference
	}
	listing := func(offset, count int) []dap.DisassembledInstruction {
		t.Helper()
		return ask[*dap.DisassembleResponse](c, "disassemble", dap.DisassembleArguments{
			MemoryReference: pc(), InstructionOffset: offset, InstructionCount: count,
		}).Body.Instructions
	}
	step := func(command string) {
		t.Helper()
		_, err := c.Do(command, dap.NextArguments{ThreadId: th.id, Granularity: "instruction"})
		must(t, err)
		th.waitStep("")
	}
	// Over everything up to behind the call of Price: each step is one
	// instruction further, unless it is a jump.
	called := false
	for range 40 {
		here := listing(0, 2)
		step("next")
		call := strings.HasPrefix(here[0].Instruction, "CALL ")
		if jump := strings.HasPrefix(here[0].Instruction, "J"); !jump && pc() != here[1].Address {
			t.Fatalf("a step over %q at %s led to %s, want %s", here[0].Instruction, here[0].Address, pc(), here[1].Address)
		}
		th.in("(*api).order")
		if called = call && strings.Contains(here[0].Instruction, "Price"); called {
			break
		}
	}
	if !called {
		t.Fatal("40 instructions behind the line of the call there was no call of Price")
	}
	r.serving(100)
	th.resume()
	p.ok(t)

	// Into the call: the first instruction of the function.
	c.breakAt("order-price")
	p = r.request("/orders/7")
	th = c.stopped("breakpoint", "order-price")
	for range 40 {
		here := listing(0, 1)
		step("stepIn")
		if strings.HasPrefix(here[0].Instruction, "CALL ") {
			break
		}
	}
	th.in("(*service).Price")
	th.resume()
	p.ok(t)
}
