//go:build linux && amd64

package dap

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// asked is a request as an IDE sends it, and the role that it takes.
type asked struct {
	command, arguments string
	role               access.Role
}

// everyRequest has every route at least once. What a role may do is written down
// here a second time on purpose: a change of the table is a change of what people
// were promised.
var everyRequest = []asked{
	{"initialize", `{"clientID":"vscode"}`, access.Observe},
	{"launch", `{"program":"/bin/sh"}`, access.Observe}, // refused as such
	{"attach", `{"stopOnEntry":true}`, access.Observe},
	{"configurationDone", ``, access.Observe},
	{"disconnect", ``, access.Observe},
	{"terminate", ``, access.Observe},
	{"cancel", `{"requestId":1}`, access.Observe},

	{"setBreakpoints", `{"source":{"path":"/a.go"},"breakpoints":[{"line":1}]}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"breakpoints":[{"line":1,"condition":"x > 1"}]}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"breakpoints":[{"line":1,"logMessage":"{x}"}]}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"BREAKPOINTS":[{"line":1}]}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"lines":[1]}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"breakpoints":7}`, access.Control},
	{"setBreakpoints", `{"source":{"path":"/a.go"},"breakpoints":[]}`, access.Observe},
	{"setBreakpoints", `{"source":{"path":"/a.go"}}`, access.Observe},
	{"setFunctionBreakpoints", `{"breakpoints":[{"name":"main.main"}]}`, access.Control},
	{"setFunctionBreakpoints", `{"breakpoints":[]}`, access.Observe},
	{"setInstructionBreakpoints", `{"breakpoints":[{"instructionReference":"0x1"}]}`, access.Control},
	{"setExceptionBreakpoints", `{"filters":["panic"]}`, access.Control},
	{"setExceptionBreakpoints", `{"filters":[],"filterOptions":[{"filterId":"panic"}]}`, access.Control},
	{"setExceptionBreakpoints", `{"filters":[]}`, access.Observe},
	{"setDataBreakpoints", `{"breakpoints":[{"dataId":"x"}]}`, access.Control},
	{"dataBreakpointInfo", `{"name":"x"}`, access.Observe},
	{"breakpointLocations", `{"source":{"path":"/a.go"},"line":1}`, access.Observe},

	{"threads", ``, access.Observe},
	{"stackTrace", `{"threadId":1}`, access.Observe},
	{"scopes", `{"frameId":1}`, access.Observe},
	{"variables", `{"variablesReference":1}`, access.Observe},
	{"evaluate", `{"expression":"x.y","frameId":1}`, access.Observe},
	{"evaluate", `{"expression":"call f()","frameId":1}`, access.Mutate},
	{"evaluate", `{"Expression":" call  f()","frameId":1,"context":"hover"}`, access.Mutate},
	{"evaluate", `{"expression":7}`, access.Mutate}, // who knows
	{"setVariable", `{"variablesReference":1,"name":"x","value":"1"}`, access.Mutate},
	{"setExpression", `{"expression":"x","value":"1"}`, access.Mutate},
	{"writeMemory", `{"memoryReference":"0x1000","data":"AAAA"}`, access.Mutate},
	{"readMemory", `{"memoryReference":"0x1000","count":1}`, access.Observe},
	{"disassemble", `{"memoryReference":"0x1000","instructionCount":1}`, access.Observe},
	{"completions", `{"text":"x","column":1}`, access.Observe},
	{"exceptionInfo", `{"threadId":1}`, access.Observe},
	{"source", `{"sourceReference":1}`, access.Observe},
	{"modules", ``, access.Observe},
	{"loadedSources", ``, access.Observe},
	{"remotedbg/status", ``, access.Observe},

	{"continue", `{"threadId":1}`, access.Observe},
	{"pause", `{"threadId":1}`, access.Observe},
	{"next", `{"threadId":1}`, access.Control},
	{"stepIn", `{"threadId":1}`, access.Control},
	{"stepOut", `{"threadId":1}`, access.Control},
}

var everyRole = []access.Role{0, access.Observe, access.Control, access.Mutate}

// asking is a connection that is ready for every request, and its audit.
type asking struct {
	t     *testing.T
	conn  *conn
	sent  *bufferCloser
	audit string // path
}

func ask(t *testing.T, role access.Role) *asking {
	t.Helper()
	a := &asking{t: t, sent: &bufferCloser{}, audit: filepath.Join(t.TempDir(), "audit.log")}
	log, err := audit.Open(audit.Config{To: a.audit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	who := access.Identity{Proof: access.ProofCertificate, Name: "alice", From: "203.0.113.7:4711", Role: role}
	a.conn = &conn{
		cfg:     Config{NewSession: func(access.Identity) (Session, error) { return brokenSession{}, nil }, Log: func(string) {}},
		who:     who,
		audit:   log.With(audit.Who(who)...),
		out:     newOutbox(a.sent, time.Minute),
		handles: newHandles(),
	}
	return a
}

// request has the connection carry out one request, in a state in which it may be
// sent, and returns the id of the error that came of it; 0 if none did. What was
// allowed fails in the session, which panics.
func (a *asking) request(r asked) int {
	a.t.Helper()
	a.conn.state, a.conn.sess = stateConfigured, brokenSession{}
	for _, s := range []state{stateUninitialised, stateInitialised, stateAttached} {
		if routes[r.command].in&s != 0 && routes[r.command].in&stateConfigured == 0 {
			a.conn.state = s
		}
	}
	body := map[string]any{"seq": 1, "type": "request", "command": r.command}
	if r.arguments != "" {
		body["arguments"] = json.RawMessage(r.arguments)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	got := 0
	reply, err := a.conn.route(context.Background(), must(decode(raw)))
	if err != nil {
		got = asFailure(err).id
	} else if reply == nil {
		a.t.Errorf("%s: neither an answer nor an error", r.command)
	}
	return got
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// last is the last line of the audit, when all of them are on the disk.
func (a *asking) last() map[string]any {
	a.t.Helper()
	if err := a.conn.audit.RecordSync(audit.AgentEnded); err != nil {
		a.t.Fatal(err)
	}
	text, err := os.ReadFile(a.audit)
	if err != nil {
		a.t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var m map[string]any
	if len(lines) < 2 {
		a.t.Fatal("nothing was written down")
	}
	if err := audit.Check(lines[len(lines)-2]); err != nil {
		a.t.Error(err)
	}
	if err := json.Unmarshal(lines[len(lines)-2], &m); err != nil {
		a.t.Fatal(err)
	}
	return m
}

// TestEveryRequestAtEveryRole: who may do what, and that either way it is written
// down with who it was.
func TestEveryRequestAtEveryRole(t *testing.T) {
	covered := map[string]bool{}
	for _, role := range everyRole {
		a := ask(t, role)
		for _, r := range everyRequest {
			covered[r.command] = true
			got, may := a.request(r), role.May(r.role)
			if (got == kindRole.id) == may {
				t.Errorf("%s %s at role %v: error %d", r.command, r.arguments, role, got)
			}
			line := a.last()
			event, needs := audit.Command, ""
			switch {
			case !may:
				event, needs = audit.Refused, r.role.String()
			case r.command == "launch":
				event, needs = audit.Refused, never
			}
			if line["event"] != event || line["command"] != r.command || line["who"] != "alice" || line["proof"] != "certificate" ||
				line["from"] != "203.0.113.7:4711" || line["role"] != role.String() || line["protocol"] != protocol {
				t.Errorf("%s at role %v is written down as %v", r.command, role, line)
			}
			if got, _ := line["needs"].(string); got != needs {
				t.Errorf("%s at role %v: needs %q, want %q", r.command, role, got, needs)
			}
			if mutates := line["mutates"] == true; mutates != (may && r.role == access.Mutate) {
				t.Errorf("%s at role %v: mutates %v", r.command, role, mutates)
			}
		}
	}
	for command := range routes {
		if !covered[command] {
			t.Errorf("no test says which role %s takes", command)
		}
	}
}

// TestDenyList: what nobody may do, at every role.
func TestDenyList(t *testing.T) {
	for _, role := range everyRole[1:] {
		a := ask(t, role)
		for command := range refusals {
			if got := a.request(asked{command: command}); got != kindUnsupported.id {
				t.Errorf("%s at role %v: error %d", command, role, got)
			}
			if line := a.last(); line["event"] != audit.Refused || line["command"] != command || line["needs"] != never {
				t.Errorf("%s at role %v is written down as %v", command, role, line)
			}
		}
		for _, command := range []string{"kill", "dump", "rebuild"} {
			if got := a.request(asked{command: command}); got != kindUnknown.id {
				t.Errorf("%s at role %v: error %d", command, role, got)
			}
			if line := a.last(); line["event"] != audit.Refused || line["command"] != command {
				t.Errorf("%s at role %v is written down as %v", command, role, line)
			}
		}
		if got := a.request(asked{command: "launch", arguments: `{"program":"/bin/sh"}`}); got != kindLaunch.id {
			t.Errorf("launch at role %v: error %d", role, got)
		}
		// Both detach, and say that they do no more.
		a.request(asked{command: "disconnect", arguments: `{"terminateDebuggee":true}`})
		if line := a.last(); line["event"] != audit.Refused || line["needs"] != never || !strings.Contains(fmt.Sprint(line["reason"]), "ignored") {
			t.Errorf("terminateDebuggee at role %v is written down as %v", role, line)
		}
	}
	for _, command := range []string{"restart", "restartFrame", "goto", "stepBack", "reverseContinue", "terminateThreads", "runInTerminal", "startDebugging"} {
		if refusals[command] == "" {
			t.Errorf("%s is not on the deny list", command)
		}
	}
}

// TestNothingChangesUnrecorded: when the audit cannot be written, what would change
// the service is refused, and all else goes on.
func TestNothingChangesUnrecorded(t *testing.T) {
	a := ask(t, access.Mutate)
	if err := os.Remove(a.audit); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.audit, 0o700); err != nil { // lines can go nowhere
		t.Fatal(err)
	}
	for _, r := range everyRequest {
		got := a.request(r)
		if (got == kindAudit.id) != (r.role == access.Mutate) {
			t.Errorf("%s %s: error %d", r.command, r.arguments, got)
		}
	}
	if err := os.Remove(a.audit); err != nil {
		t.Fatal(err)
	}
	if got := a.request(asked{"setVariable", `{"name":"x"}`, access.Mutate}); got == kindAudit.id {
		t.Errorf("with room again: error %d", got)
	}
}

// TestCapabilitiesFitTheRole: an IDE is told of what it may use, and of all of that.
func TestCapabilitiesFitTheRole(t *testing.T) {
	roleOf := map[string]access.Role{}
	for _, r := range everyRequest {
		roleOf[r.command] = max(roleOf[r.command], r.role)
	}
	roleOf["evaluate"] = access.Observe           // without calls
	roleOf["dataBreakpointInfo"] = access.Control // of no use to who may not set them
	for _, role := range everyRole[1:] {
		var advertised map[string]any
		if err := json.Unmarshal(must(json.Marshal(capabilitiesOf(role))), &advertised); err != nil {
			t.Fatal(err)
		}
		for name, commands := range needs {
			may := true
			for _, command := range commands {
				may = may && role.May(roleOf[command])
			}
			if _, is := advertised[name]; is != may {
				t.Errorf("role %v: %s is advertised: %t", role, name, is)
			}
		}
	}
}

// TestNothingIsHidden: a client cannot hide what it asks for behind what nobody
// reads.
func TestNothingIsHidden(t *testing.T) {
	a := ask(t, access.Mutate)
	args := map[string]any{"EXPRESSION": "call evil()", "frameId": 1}
	for i := range 200 {
		args[fmt.Sprintf("a%03d", i)] = strings.Repeat("x", 500)
	}
	raw := string(must(json.Marshal(args)))
	a.request(asked{"evaluate", raw, access.Mutate})
	if line := a.last(); line["mutates"] != true || fmt.Sprint(line["arguments"]) != "map[expression:call evil() frameId:1]" {
		t.Errorf("padded arguments are written down as %v", line)
	}
	long := strings.Repeat(" ", 3000)
	for _, r := range []asked{
		{"evaluate", `{"expression":"` + long + `call evil()","frameId":1}`, access.Mutate},
		{"setVariable", `{"variablesReference":1,"name":"x","value":"` + long + `1"}`, access.Mutate},
	} {
		if got := a.request(r); got != kindAudit.id {
			t.Errorf("%s with more than a line holds: error %d", r.command, got)
		}
		if line := a.last(); line["event"] != audit.Refused || !strings.Contains(fmt.Sprint(line["reason"]), "too long") {
			t.Errorf("%s is written down as %v", r.command, line)
		}
	}
}

func TestWritten(t *testing.T) {
	for _, tt := range []struct{ command, arguments, want string }{
		{"setVariable", `{"variablesReference":3,"name":"x","value":"1"}`, `{"name":"x","value":"1","variablesReference":3}`},
		{"writeMemory", `{"memoryReference":"0x1","data":"c2VjcmV0"}`, `{"base64":8,"memoryReference":"0x1"}`},
		{"attach", `{"mode":"remote","stopOnEntry":true,"env":{"TOKEN":"x"},"requests":{"pathPrefix":"/a"}}`, `{"mode":"remote","requests":{"pathPrefix":"/a"},"stopOnEntry":true}`},
		{"threads", ``, ``},
		{"evaluate", `[1]`, ``},
	} {
		got := written(request{Command: tt.command, Arguments: json.RawMessage(tt.arguments)})
		text := ""
		if got.Key != "" {
			text = string(must(json.Marshal(got.Value.Any())))
		}
		if text != tt.want {
			t.Errorf("%s %s is written down as %s", tt.command, tt.arguments, text)
		}
	}
}
