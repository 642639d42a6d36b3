//go:build linux && amd64

package dap

import (
	"encoding/json"
	"testing"
)

func TestErrorIDsAreUnique(t *testing.T) {
	seen := map[int]*kind{}
	for _, k := range kinds {
		if other := seen[k.id]; other != nil {
			t.Errorf("%d is both %q and %q", k.id, k.what, other.what)
		}
		seen[k.id] = k
		if k.what == "" || k.hint == "" {
			t.Errorf("error %d does not say what failed and what to try next", k.id)
		}
		m := k.becauseOf("a cause").message()
		if m.Id != k.id || m.ShowUser != k.show || m.Format != "remotedbg: "+k.what+": a cause ("+k.hint+")" {
			t.Errorf("error %d is sent as %+v", k.id, m)
		}
	}
	if len(kinds) < 20 {
		t.Errorf("only %d kinds registered", len(kinds))
	}
}

// needs names what must answer for each capability. A capability that is
// advertised and not listed here fails the test: nothing is promised without a
// thought of who keeps it.
var needs = map[string][]string{
	"supportsConfigurationDoneRequest": {"configurationDone"},
	"supportsEvaluateForHovers":        {"evaluate"},
	"supportsClipboardContext":         {"evaluate"},
	"supportsDelayedStackTraceLoading": {"stackTrace"},

	"supportsConditionalBreakpoints":    {"setBreakpoints", "setFunctionBreakpoints"},
	"supportsHitConditionalBreakpoints": {"setBreakpoints", "setFunctionBreakpoints"},
	"supportsLogPoints":                 {"setBreakpoints"},
	"supportsFunctionBreakpoints":       {"setFunctionBreakpoints"},
	"supportsInstructionBreakpoints":    {"setInstructionBreakpoints"},
	"supportsDataBreakpoints":           {"dataBreakpointInfo", "setDataBreakpoints"},
	"supportsDataBreakpointBytes":       {"dataBreakpointInfo"},

	"supportsBreakpointLocationsRequest": {"breakpointLocations"},
	"supportsExceptionInfoRequest":       {"exceptionInfo"},
	"supportsModulesRequest":             {"modules"},
	"supportsLoadedSourcesRequest":       {"loadedSources"},

	"supportsSetVariable":         {"setVariable"},
	"supportsSetExpression":       {"setExpression"},
	"supportsCompletionsRequest":  {"completions"},
	"completionTriggerCharacters": {"completions"},

	"supportsSteppingGranularity": {"next", "stepIn", "stepOut"},

	"exceptionBreakpointFilters":     {"setExceptionBreakpoints", "exceptionInfo"},
	"supportsExceptionFilterOptions": {"setExceptionBreakpoints"},

	"supportsCancelRequest":      {"cancel"},
	"supportsReadMemoryRequest":  {"readMemory"},
	"supportsWriteMemoryRequest": {"writeMemory"},
	"supportsDisassembleRequest": {"disassemble"},
}

func TestCapabilitiesAreHonest(t *testing.T) {
	raw, err := json.Marshal(capabilities)
	if err != nil {
		t.Fatal(err)
	}
	var advertised map[string]any
	if err := json.Unmarshal(raw, &advertised); err != nil {
		t.Fatal(err)
	}
	if len(advertised) != len(needs) {
		t.Errorf("advertised %v, expected %d capabilities", advertised, len(needs))
	}
	for name := range advertised {
		commands := needs[name]
		if len(commands) == 0 {
			t.Errorf("%s is advertised and nothing is known to answer for it", name)
		}
		for _, command := range commands {
			if _, ok := routes[command]; !ok {
				t.Errorf("%s is advertised, %s has no handler", name, command)
			}
		}
	}
}

func TestRoutesAndRefusalsAreDisjoint(t *testing.T) {
	for command, r := range routes {
		if _, refused := refusals[command]; refused {
			t.Errorf("%s has a route and is listed as unsupported", command)
		}
		if r.run.do == nil || r.in == 0 {
			t.Errorf("%s can never run", command)
		}
	}
}
