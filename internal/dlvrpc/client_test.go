//go:build linux && amd64

package dlvrpc_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// values is what a client loads of variables.
var values = api.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1, MaxStringLen: 64, MaxArrayValues: 64, MaxStructFields: -1}

var current = api.EvalScope{GoroutineID: -1}

// row is one call of a client's method: what is called, and what must come of
// it.
type row struct {
	method  string
	refused string // a part of the reason; "": it is answered
	call    func() (any, error)
}

// TestEveryClientMethod calls all that rpc2.RPCClient has, at a stop, and prints
// what came of it.
func TestEveryClientMethod(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("order-price")
	bp, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line, Name: "priced"})
	must(t, err)
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/orders/7")
	st := state(t, ch)
	s.at(st.CurrentThread, "order-price")
	g, th, pc := st.SelectedGoroutine.ID, st.CurrentThread.ID, st.CurrentThread.PC

	rows := slices.Concat(aboutRows(c, file), lookRows(c, g, th, pc), breakpointRows(c, bp.ID, pc), refusedRows(c), moveRows(s, c, g, th))
	called := map[string]bool{"CallAPI": true, "Detach": true, "Disconnect": true, "SetEventsFn": true, "SetReturnValuesLoadConfig": true, "Continue": true, "CreateBreakpoint": true}
	for _, r := range rows {
		called[r.method] = true
		v, err := r.call()
		switch {
		case err != nil && (r.refused == "" || !strings.Contains(err.Error(), r.refused)):
			t.Errorf("%s: %v", r.method, err)
		case err == nil && r.refused != "":
			t.Errorf("%s is not refused", r.method)
		case err != nil:
			t.Logf("%-28s refused   %s", r.method, strings.TrimPrefix(err.Error(), "remotedbg: "))
		default:
			t.Logf("%-28s answered  %.90s", r.method, fmt.Sprint(v))
		}
	}
	typ := reflect.TypeFor[*rpc2.RPCClient]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; !called[name] {
			t.Errorf("%s was not called", name)
		}
	}
	if err := c.CallAPI("Detach", rpc2.DetachIn{Kill: true}, &rpc2.DetachOut{}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a kill: %v", err)
	} else {
		t.Logf("%-28s refused   %s", "Detach(kill)", err)
	}
	must(t, c.Detach(false))
	t.Logf("%-28s answered", "Detach")
	req.ok()
	s.send("/orders/7").ok()
}

// some makes a result with an error of a list that must not be empty.
func some[T any](list []T, err error) (any, error) {
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("nothing was listed")
	}
	return list, err
}

func aboutRows(c *rpc2.RPCClient, file string) []row {
	yes := func(ok bool) (any, error) {
		if !ok {
			return ok, fmt.Errorf("it is not so")
		}
		return ok, nil
	}
	return []row{
		{"GetVersion", "", func() (any, error) { v := c.GetVersion(); ok, err := yes(v.APIVersion == 2); _ = ok; return *v, err }},
		{"ProcessPid", "", func() (any, error) { pid := c.ProcessPid(); _, err := yes(pid > 0); return pid, err }},
		{"BuildID", "", func() (any, error) { return c.BuildID(), nil }},
		{"LastModified", "", func() (any, error) { at := c.LastModified(); _, err := yes(!at.IsZero()); return at, err }},
		{"IsMulticlient", "", func() (any, error) { return yes(c.IsMulticlient()) }},
		{"AttachedToExistingProcess", "", func() (any, error) { return yes(c.AttachedToExistingProcess()) }},
		{"Recorded", "", func() (any, error) { _, err := yes(!c.Recorded()); return false, err }},
		{"TraceDirectory", "", func() (any, error) { return c.TraceDirectory() }},
		{"FollowExecEnabled", "", func() (any, error) { _, err := yes(!c.FollowExecEnabled()); return false, err }},
		{"GetDebugInfoDirectories", "", func() (any, error) { return c.GetDebugInfoDirectories() }},
		{"CancelDownloads", "", func() (any, error) { return nil, c.CancelDownloads() }},
		{"ListTargets", "", func() (any, error) { return some(c.ListTargets()) }},
		{"ListSources", "", func() (any, error) { return some(c.ListSources("handlers.go$")) }},
		{"ListFunctions", "", func() (any, error) { return some(c.ListFunctions(`^main\.`, 0)) }},
		{"ListTypes", "", func() (any, error) { return some(c.ListTypes(`^main\.Order$`)) }},
		{"TypeInfo", "", func() (any, error) { return c.TypeInfo("main.Order") }},
		{"ListPackagesBuildInfo", "", func() (any, error) { return some(c.ListPackagesBuildInfo("^main$", true)) }},
		{"ListDynamicLibraries", "", func() (any, error) { list, _, err := c.ListDynamicLibraries(); return list, err }},
		{"FunctionReturnLocations", "", func() (any, error) { return some(c.FunctionReturnLocations("main.(*service).Price")) }},
		{"GuessSubstitutePath", "", func() (any, error) { return some(c.GuessSubstitutePath()) }},
		{"FindLocation", "", func() (any, error) {
			l, _, err := c.FindLocation(current, file+":60", true, nil)
			return some(l, err)
		}},
	}
}

func lookRows(c *rpc2.RPCClient, g int64, th int, pc uint64) []row {
	return []row{
		{"GetState", "", func() (any, error) { st, err := c.GetState(); return st.CurrentThread, err }},
		{"GetStateNonBlocking", "", func() (any, error) { return c.GetStateNonBlocking() }},
		{"ListThreads", "", func() (any, error) { return some(c.ListThreads()) }},
		{"GetThread", "", func() (any, error) { return c.GetThread(th) }},
		{"ListGoroutines", "", func() (any, error) { l, _, err := c.ListGoroutines(0, 0); return some(l, err) }},
		{"ListGoroutinesWithFilter", "", func() (any, error) {
			l, _, _, _, err := c.ListGoroutinesWithFilter(0, 0, []api.ListGoroutinesFilter{{Kind: api.GoroutineUserLoc, Arg: "serve.Run"}}, nil, nil)
			return some(l, err)
		}},
		{"Stacktrace", "", func() (any, error) { return some(c.Stacktrace(g, 20, 0, 0, &values)) }},
		{"Ancestors", "tracebackancestors", func() (any, error) { return c.Ancestors(g, 5, 5) }},
		{"ListLocalVariables", "", func() (any, error) { return some(c.ListLocalVariables(current, values)) }},
		{"ListFunctionArgs", "", func() (any, error) { return some(c.ListFunctionArgs(current, values)) }},
		{"ListPackageVariables", "", func() (any, error) { return some(c.ListPackageVariables(`^main\.Err`, values)) }},
		{"EvalVariable", "", func() (any, error) { v, err := c.EvalVariable(current, "order.Customer.Name", values); return v, err }},
		{"SetVariable", "", func() (any, error) { return nil, c.SetVariable(current, "order.Items[1].Quantity", "13") }},
		{"ListThreadRegisters", "", func() (any, error) { return some(c.ListThreadRegisters(th, true)) }},
		{"ListScopeRegisters", "", func() (any, error) { return some(c.ListScopeRegisters(current, false)) }},
		{"ExamineMemory", "", func() (any, error) {
			v, err := c.EvalVariable(current, "order.ID", values) // what was shown can be read
			if err != nil {
				return nil, err
			}
			m, _, err := c.ExamineMemory(v.Addr, 8)
			return some(m, err)
		}},
		{"ExamineMemory", "redaction is on", func() (any, error) { m, _, err := c.ExamineMemory(pc, 16); return some(m, err) }},
		{"DisassembleRange", "", func() (any, error) { return some(c.DisassembleRange(current, pc, pc+64, api.GoFlavour)) }},
		{"DisassemblePC", "", func() (any, error) { return some(c.DisassemblePC(current, pc, api.IntelFlavour)) }},
		{"GetBufferedTracepoints", "", func() (any, error) { return c.GetBufferedTracepoints(nil) }},
		{"CancelNext", "", func() (any, error) { return nil, c.CancelNext() }},
	}
}

func breakpointRows(c *rpc2.RPCClient, id int, pc uint64) []row {
	var made *api.Breakpoint
	return []row{
		{"ListBreakpoints", "", func() (any, error) { return some(c.ListBreakpoints(true)) }},
		{"GetBreakpoint", "", func() (any, error) { return c.GetBreakpoint(id) }},
		{"GetBreakpointByName", "", func() (any, error) { return c.GetBreakpointByName("priced") }},
		{"AmendBreakpoint", "", func() (any, error) {
			b, err := c.GetBreakpoint(id)
			if err != nil {
				return nil, err
			}
			b.Variables, b.Cond = []string{"order.ID"}, "order.ID > 0"
			return nil, c.AmendBreakpoint(b)
		}},
		{"ToggleBreakpoint", "", func() (any, error) { return c.ToggleBreakpoint(id) }},
		{"ToggleBreakpointByName", "", func() (any, error) { return c.ToggleBreakpointByName("priced") }},
		{"CreateBreakpoint", "Breakpoint exists", func() (any, error) { return c.CreateBreakpoint(&api.Breakpoint{Addrs: []uint64{pc}}) }},
		{"CreateBreakpointWithExpr", "", func() (any, error) {
			var err error
			made, err = c.CreateBreakpointWithExpr(&api.Breakpoint{FunctionName: "main.fail", Name: "failing"}, "main.fail", nil, false)
			return made, err
		}},
		{"ClearBreakpoint", "", func() (any, error) { return c.ClearBreakpoint(made.ID) }},
		{"ClearBreakpointByName", "no breakpoint with name", func() (any, error) { return c.ClearBreakpointByName("failing") }},
	}
}

func refusedRows(c *rpc2.RPCClient) []row {
	return []row{
		{"Restart", "refused", func() (any, error) { return c.Restart(true) }},
		{"RestartFrom", "refused", func() (any, error) { return c.RestartFrom(false, "", false, nil, [3]string{}, false) }},
		{"SetExecutionPoint", "refused", func() (any, error) { return c.SetExecutionPoint(1) }},
		{"CreateEBPFTracepoint", "refused", func() (any, error) { return nil, c.CreateEBPFTracepoint("main.fail") }},
		{"CreateWatchpoint", "refused", func() (any, error) { return c.CreateWatchpoint(current, "order.ID", api.WatchRead) }},
		{"Checkpoint", "refused", func() (any, error) { return c.Checkpoint("here") }},
		{"ListCheckpoints", "refused", func() (any, error) { return c.ListCheckpoints() }},
		{"ClearCheckpoint", "refused", func() (any, error) { return nil, c.ClearCheckpoint(1) }},
		{"StopRecording", "refused", func() (any, error) { return nil, c.StopRecording() }},
		{"CoreDumpStart", "refused", func() (any, error) { return c.CoreDumpStart("/tmp/core") }},
		{"CoreDumpWait", "refused", func() (any, error) {
			return nil, c.CallAPI("DumpWait", rpc2.DumpWaitIn{}, &rpc2.DumpWaitOut{}) // the client keeps the error to itself
		}},
		{"CoreDumpCancel", "refused", func() (any, error) { c.CoreDumpWait(0); return nil, c.CoreDumpCancel() }},
		{"FollowExec", "refused", func() (any, error) { return nil, c.FollowExec(true, "") }},
		{"SetDebugInfoDirectories", "refused", func() (any, error) { return nil, c.SetDebugInfoDirectories([]string{"/"}) }},
		{"DownloadLibraryDebugInfo", "refused", func() (any, error) { return nil, c.DownloadLibraryDebugInfo(0) }},
		{"Call", "", func() (any, error) {
			st, err := c.Call(-1, "fmt.Sprint(order.ID, order.Customer.Name)", false)
			if err != nil {
				return nil, err
			}
			values := st.CurrentThread.ReturnValues
			if !st.CurrentThread.CallReturn || len(values) != 1 || !strings.Contains(values[0].Value, "7") {
				return nil, fmt.Errorf("it returned %+v", values)
			}
			if st, err = c.Call(-1, "main.reply(nil, 200, nil)", false); err != nil {
				return nil, err
			}
			panics := st.CurrentThread.ReturnValues
			if len(panics) != 1 || panics[0].Name != "~panic" {
				return nil, fmt.Errorf("it panicked with %+v", panics)
			}
			return values[0].Value, nil
		}},
		{"Rewind", "refused", func() (any, error) { st := <-c.Rewind(); return st, st.Err }},
		{"ReverseNext", "refused", func() (any, error) { return c.ReverseNext() }},
		{"ReverseStep", "refused", func() (any, error) { return c.ReverseStep() }},
		{"ReverseStepOut", "refused", func() (any, error) { return c.ReverseStepOut() }},
		{"ReverseStepInstruction", "refused", func() (any, error) { return c.ReverseStepInstruction(false) }},
	}
}

// moveRows come last: they lead the request to its end.
func moveRows(s *shop, c *rpc2.RPCClient, g int64, th int) []row {
	where := func(st *api.DebuggerState, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		return fmt.Sprintf("%s %d", st.CurrentThread.Function.Name(), st.CurrentThread.Line), nil
	}
	return []row{
		{"SwitchGoroutine", "", func() (any, error) { return where(c.SwitchGoroutine(g)) }},
		{"SwitchThread", "", func() (any, error) { return where(c.SwitchThread(th)) }},
		{"Step", "", func() (any, error) { return where(c.Step()) }},
		{"StepOut", "", func() (any, error) { return where(c.StepOut()) }},
		{"Next", "", func() (any, error) { return where(c.Next()) }},
		{"StepInstruction", "", func() (any, error) { return where(c.StepInstruction(true)) }},
		{"DirectionCongruentContinue", "", func() (any, error) {
			ch := c.DirectionCongruentContinue()
			resumed(s.t, c)
			s.send("/orders/14") // stops at the breakpoint in its turn
			st := <-ch
			return where(st, st.Err)
		}},
		{"Halt", "", func() (any, error) { return where(c.Halt()) }},
	}
}
