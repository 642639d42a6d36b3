//go:build linux && amd64

package dap

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// proofs names the tests that show each capability at work: here on a target
// of Delve's own back end, in integration/ on a live service.
var proofs = map[string][]string{
	"supportsConfigurationDoneRequest": {"dap.TestStates", "integration.TestConsole"},
	"supportsEvaluateForHovers":        {"dap.TestEvaluate"},
	"supportsClipboardContext":         {"dap.TestEvaluateLongStrings"},
	"supportsDelayedStackTraceLoading": {"dap.TestDeepStackIsPaged"},

	"supportsConditionalBreakpoints":    {"integration.TestConditions"},
	"supportsHitConditionalBreakpoints": {"integration.TestHitConditions"},
	"supportsLogPoints":                 {"integration.TestLogPoints"},
	"supportsFunctionBreakpoints":       {"integration.TestFunctionBreakpoints"},
	"supportsInstructionBreakpoints":    {"integration.TestFunctionBreakpoints"},
	"supportsDataBreakpoints":           {"dap.TestDataBreakpoints", "integration.TestDataBreakpoints"},
	"supportsDataBreakpointBytes":       {"dap.TestDataBreakpoints", "integration.TestDataBreakpoints"},

	"supportsBreakpointLocationsRequest": {"dap.TestBreakpointLocations", "integration.TestProgramRequests"},
	"supportsExceptionInfoRequest":       {"dap.TestExceptionInfo", "dap.TestNoException", "integration.TestConsole", "integration.TestWrappedChain"},
	"supportsModulesRequest":             {"dap.TestModules", "integration.TestProgramRequests"},
	"supportsLoadedSourcesRequest":       {"dap.TestLoadedSources", "integration.TestProgramRequests"},

	"supportsSetVariable":         {"dap.TestSetVariable", "dap.TestSetVariableRefusals", "integration.TestSetVariable"},
	"supportsSetExpression":       {"dap.TestSetExpression", "integration.TestSetVariable"},
	"supportsCompletionsRequest":  {"dap.TestCompletions", "integration.TestConsole"},
	"completionTriggerCharacters": {"dap.TestCompletions"},

	"supportsSteppingGranularity": {"dap.TestGranularity", "integration.TestStepInstruction"},

	"exceptionBreakpointFilters":     {"integration.TestPanics", "integration.TestRecovered", "integration.TestFatalPanics", "integration.TestPanicsThatAreNone", "integration.TestErrorResponses", "integration.TestReturnedErrors"},
	"supportsExceptionFilterOptions": {"dap.TestExceptionFilters", "integration.TestPanicConditions"},

	"supportsCancelRequest":      {"dap.TestCancel"},
	"supportsReadMemoryRequest":  {"dap.TestReadMemory", "integration.TestMemory"},
	"supportsWriteMemoryRequest": {"dap.TestWriteMemory", "integration.TestMemory"},
	"supportsDisassembleRequest": {"dap.TestDisassemble", "integration.TestDisassemble"},
}

// TestCapabilitiesAreProven: the tests are there. That they pass is for go test.
func TestCapabilitiesAreProven(t *testing.T) {
	tests := make(map[string]bool)
	for prefix, dir := range map[string]string{"dap.": ".", "integration.": "../integration"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", dir, err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					tests[prefix+f.Name.Name] = true
				}
			}
		}
	}
	for name := range needs {
		if len(proofs[name]) == 0 {
			t.Errorf("%s is advertised and no test shows it at work", name)
		}
	}
	for name, list := range proofs {
		if needs[name] == nil {
			t.Errorf("%s has tests and is not advertised", name)
		}
		for _, test := range list {
			if !tests[test] {
				t.Errorf("%s: there is no test %s", name, test)
			}
		}
	}
}

// TestEveryRequest: each request of the protocol (1.68) has a route, or a
// refusal with its own reason.
func TestEveryRequest(t *testing.T) {
	for _, command := range []string{
		"cancel", "runInTerminal", "startDebugging", "initialize", "configurationDone", "launch", "attach", "restart",
		"disconnect", "terminate", "breakpointLocations", "setBreakpoints", "setFunctionBreakpoints",
		"setExceptionBreakpoints", "dataBreakpointInfo", "setDataBreakpoints", "setInstructionBreakpoints", "continue",
		"next", "stepIn", "stepOut", "stepBack", "reverseContinue", "restartFrame", "goto", "pause", "stackTrace",
		"scopes", "variables", "setVariable", "source", "threads", "terminateThreads", "modules", "loadedSources",
		"evaluate", "setExpression", "stepInTargets", "gotoTargets", "completions", "exceptionInfo", "readMemory",
		"writeMemory", "disassemble", "locations",
	} {
		_, routed := routes[command]
		why, refused := refusals[command]
		if routed == refused || refused && len(why) < 20 {
			t.Errorf("%s: route %v, refused %q", command, routed, why)
		}
	}
}
