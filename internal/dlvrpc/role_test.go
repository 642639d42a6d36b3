//go:build linux && amd64

package dlvrpc

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

var everyRole = []access.Role{0, access.Observe, access.Control, access.Mutate}

// beyond are the methods that an observer may not use, and what they take. It is
// written down here a second time on purpose: a change of the table is a change of
// what people were promised.
var beyond = map[string]access.Role{
	"RPCServer.CreateBreakpoint": access.Control, "RPCServer.AmendBreakpoint": access.Control,
	"RPCServer.ClearBreakpoint": access.Control, "RPCServer.ToggleBreakpoint": access.Control,
	"RPCServer.CreateWatchpoint": access.Control, "RPCServer.CancelNext": access.Control,
	"RPCServer.Set": access.Mutate,
}

// asking is a connection without a session, and its audit: what it may do fails
// later.
type asking struct {
	t    *testing.T
	conn *conn
	path string
}

func ask(t *testing.T, role access.Role) *asking {
	t.Helper()
	a := &asking{t: t, path: filepath.Join(t.TempDir(), "audit.log")}
	log, err := audit.Open(audit.Config{To: a.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	who := access.Identity{Proof: access.ProofCertificate, Name: "alice", From: "203.0.113.7:4711", Role: role}
	a.conn = &conn{
		cfg: Config{Log: func(string) {}}, who: who, audit: log.With(audit.Who(who)...),
		world: newWorld(), breakpoints: newBreakpoints(), events: newEvents(),
	}
	return a
}

// call carries out the part of a call that does not wait.
func (a *asking) call(name string, arg any) error {
	a.t.Helper()
	m := methods[name]
	if m == nil {
		a.t.Fatalf("there is no %s", name)
	}
	if arg == nil {
		arg = m.newArg()
	}
	_, err := m.run(a.conn, arg, m.newReply())
	return err
}

// lines are those of the audit.
func (a *asking) lines() (all []map[string]any) {
	a.t.Helper()
	if err := a.conn.audit.RecordSync(audit.AgentEnded); err != nil {
		a.t.Fatal(err)
	}
	text, err := os.ReadFile(a.path)
	if err != nil {
		a.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if err := audit.Check(line); err != nil && !bytes.Contains(line, []byte(audit.AgentEnded)) { // the mark of lines
			a.t.Error(err)
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			a.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all[:len(all)-1]
}

func (a *asking) last() map[string]any {
	a.t.Helper()
	lines := a.lines()
	return lines[len(lines)-1]
}

func beyondRole(err error) bool {
	return err != nil && strings.Contains(err.Error(), "needs the role") && strings.Contains(err.Error(), "--role")
}

// TestEveryMethodHasARole: a method that is not in the table may be called by
// nobody, and the table has no other names.
func TestEveryMethodHasARole(t *testing.T) {
	for name, m := range methods {
		if needs[m.name] == 0 {
			t.Errorf("%s is not in the table", name)
		}
	}
	for name := range needs {
		if methods["RPCServer."+name] == nil {
			t.Errorf("%s is in the table and no method", name)
		}
	}
	a := ask(t, access.Mutate)
	forgotten := &method{name: "Forgotten"}
	if err := a.conn.admit(forgotten, &rpc2.StateIn{}); !beyondRole(err) {
		t.Errorf("a method that was forgotten in the table: %v", err)
	}
}

// TestEveryMethodAtEveryRole: who may call what, and that either way it is written
// down with who it was.
func TestEveryMethodAtEveryRole(t *testing.T) {
	for _, role := range everyRole {
		a := ask(t, role)
		for name := range methods {
			need := max(beyond[name], access.Observe)
			if name == "RPCServer.Command" {
				continue // below
			}
			err := a.call(name, nil)
			if beyondRole(err) == role.May(need) {
				t.Errorf("%s at role %v: %v", name, role, err)
			}
			line := a.last()
			if line["who"] != "alice" || line["from"] != "203.0.113.7:4711" || line["protocol"] != protocol || "RPCServer."+line["command"].(string) != name {
				t.Errorf("%s at role %v is written down as %v", name, role, line)
			}
			if refused := line["event"] == audit.Refused && line["needs"] == need.String(); refused == role.May(need) {
				t.Errorf("%s at role %v is written down as %v", name, role, line)
			}
		}
	}
}

func TestEveryMovementAtEveryRole(t *testing.T) {
	for name, need := range map[string]access.Role{
		api.Continue: access.Observe, api.DirectionCongruentContinue: access.Observe, api.Halt: access.Observe,
		api.SwitchGoroutine: access.Observe, api.SwitchThread: access.Observe,
		api.Next: access.Control, api.Step: access.Control, api.StepOut: access.Control,
		api.NextInstruction: access.Control, api.StepInstruction: access.Control,
		api.Call: access.Mutate,
	} {
		for _, role := range everyRole {
			a := ask(t, role)
			err := a.call("RPCServer.Command", &api.DebuggerCommand{Name: name, Expr: "f()"})
			if beyondRole(err) == role.May(need) {
				t.Errorf("%s at role %v: %v", name, role, err)
			}
			line := a.lines()[0]
			if line["command"] != "Command "+name || (line["mutates"] == true) != (role.May(need) && need == access.Mutate) {
				t.Errorf("%s at role %v is written down as %v", name, role, line)
			}
		}
	}
}

// TestDenyList: what nobody may do, at every role.
func TestDenyList(t *testing.T) {
	type denied struct {
		name string
		arg  any
	}
	list := []denied{
		{"RPCServer.Detach", &rpc2.DetachIn{Kill: true}},
		{"RPCServer.Restart", &rpc2.RestartIn{}},
		{"RPCServer.Restart", &rpc2.RestartIn{Rebuild: true}},
		{"RPCServer.Restart", &rpc2.RestartIn{NewArgs: []string{"/bin/sh"}, ResetArgs: true}},
		{"RPCServer.DumpStart", &rpc2.DumpStartIn{Destination: "/tmp/core"}},
		{"RPCServer.DumpWait", nil},
		{"RPCServer.DumpCancel", nil},
		{"RPCServer.Checkpoint", nil},
		{"RPCServer.ClearCheckpoint", nil},
		{"RPCServer.ListCheckpoints", nil},
		{"RPCServer.StopRecording", nil},
		{"RPCServer.SetExecutionPoint", nil},
		{"RPCServer.CreateEBPFTracepoint", nil},
		{"RPCServer.FollowExec", &rpc2.FollowExecIn{Enable: true}},
		{"RPCServer.DebugInfoDirectories", &rpc2.DebugInfoDirectoriesIn{Set: true, List: []string{"/tmp"}}},
		{"RPCServer.DownloadLibraryDebugInfo", nil},
	}
	for name := range refusedCommands {
		if name != api.Call {
			list = append(list, denied{"RPCServer.Command", &api.DebuggerCommand{Name: name}})
		}
	}
	for _, role := range everyRole[1:] {
		a := ask(t, role)
		for _, d := range list {
			if err := a.call(d.name, d.arg); err == nil || !strings.Contains(err.Error(), " is refused: ") {
				t.Errorf("%s at role %v: %v", d.name, role, err)
			}
			if line := a.last(); line["event"] != audit.Refused || line["needs"] != never {
				t.Errorf("%s at role %v is written down as %v", d.name, role, line)
			}
		}
		if a.conn.detached {
			t.Errorf("a kill at role %v has detached", role)
		}
	}
}

// TestNothingChangesUnrecorded: when the audit cannot be written, what would change
// the service is refused, and all else goes on.
func TestNothingChangesUnrecorded(t *testing.T) {
	a := ask(t, access.Mutate)
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.path, 0o700); err != nil { // lines can go nowhere
		t.Fatal(err)
	}
	changes := []string{"RPCServer.Set"}
	for name := range methods {
		err := a.call(name, nil)
		if unwritten := err != nil && strings.Contains(err.Error(), "not written down"); unwritten != slices.Contains(changes, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.call("RPCServer.Command", &api.DebuggerCommand{Name: api.Call, Expr: "f()"}); err == nil || !strings.Contains(err.Error(), "not written down") {
		t.Errorf("a call: %v", err)
	}
}

// TestAboutRequest: a line names the request that a call is about.
func TestAboutRequest(t *testing.T) {
	a := ask(t, access.Observe)
	a.conn.world.add(&stop{id: 3, goroutine: 30})
	a.conn.world.add(&stop{id: 4, goroutine: 40})
	a.conn.world.current = 3
	for _, tt := range []struct {
		name string
		arg  any
		want any
	}{
		{"Eval", &rpc2.EvalIn{Scope: api.EvalScope{GoroutineID: 40}}, 4.0},
		{"Eval", &rpc2.EvalIn{Scope: api.EvalScope{GoroutineID: -1}}, 3.0},
		{"Eval", &rpc2.EvalIn{Scope: api.EvalScope{GoroutineID: 50}}, nil},
		{"ListRegisters", &rpc2.ListRegistersIn{Scope: &api.EvalScope{GoroutineID: 40}}, 4.0},
		{"ListRegisters", &rpc2.ListRegistersIn{}, 3.0},
		{"Stacktrace", &rpc2.StacktraceIn{Id: 40}, 4.0},
		{"Command", &api.DebuggerCommand{Name: api.SwitchGoroutine, GoroutineID: 40}, 4.0},
		{"State", &rpc2.StateIn{}, 3.0},
	} {
		_ = a.conn.admit(methods["RPCServer."+tt.name], tt.arg)
		if got := a.last()["request"]; got != tt.want {
			t.Errorf("%s %+v is about %v, want %v", tt.name, tt.arg, got, tt.want)
		}
	}
}
