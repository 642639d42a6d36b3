//go:build linux && amd64

package integration_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/rpc"
	"net/rpc/jsonrpc"
	"strings"
	"testing"
	"time"
)

// greedyRPC is a JSON-RPC client that asks for everything.
type greedyRPC struct {
	*vaultRig
	*rpc.Client
	tap    *tap
	shown  strings.Builder // all answers
	places []uint64        // addresses that it was given
}

// ask calls a method; the answer is kept, and its addresses. It answers nil for an
// error.
func (g *greedyRPC) ask(method string, args any) map[string]any {
	g.t.Helper()
	var reply json.RawMessage
	call := g.Go("RPCServer."+method, args, &reply, nil)
	select {
	case <-call.Done:
	case <-time.After(30 * time.Second):
		g.t.Fatalf("%s is not answered", method)
	}
	if call.Error != nil {
		return nil
	}
	var body map[string]any
	must(g.t, json.Unmarshal(reply, &body))
	g.shown.Write(reply)
	g.addresses(body)
	return body
}

// addresses notes all that an answer has.
func (g *greedyRPC) addresses(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if n, ok := inner.(float64); ok && (k == "addr" || k == "base") && n > 4096 && len(g.places) < 4000 {
				g.places = append(g.places, uint64(n))
			}
			g.addresses(inner)
		}
	case []any:
		for _, inner := range v {
			g.addresses(inner)
		}
	}
}

var (
	fullLoad = map[string]any{"FollowPointers": true, "MaxVariableRecurse": 4, "MaxStringLen": 4096, "MaxArrayValues": 256, "MaxStructFields": -1}
	here     = map[string]any{"GoroutineID": -1, "Frame": 0}
)

// TestSecretsRPC is TestSecretsDAP for Delve's JSON-RPC.
func TestSecretsRPC(t *testing.T) {
	v := newVaultRig(t)
	a := v.attach("--role", "mutate", "--audit", v.audit)
	g := &greedyRPC{vaultRig: v, tap: tapped(t, a)}
	g.Client = jsonrpc.NewClient(g.tap)
	g.ask("SetApiVersion", map[string]any{"APIVersion": 2})

	m, log := v.marks["vault"], v.marks["vault-log"]
	wishes := map[string]any{
		"file": m.File, "line": m.Line, "goroutine": true, "stacktrace": 30, "LoadArgs": fullLoad, "LoadLocals": fullLoad,
		"variables": []string{"alias", "acct.apiKey", "*acct", "len(acct.Note)", "blob", "*(*string)(0xc000010000)", "acct.Owner"},
	}
	if g.ask("CreateBreakpoint", map[string]any{"Breakpoint": wishes}) == nil {
		t.Fatal("no breakpoint")
	}
	traced := map[string]any{}
	for k, w := range wishes {
		traced[k] = w
	}
	traced["line"], traced["continue"] = log.Line, true // a trace point
	g.ask("CreateBreakpoint", map[string]any{"Breakpoint": traced})
	if g.ask("CreateBreakpoint", map[string]any{"Breakpoint": map[string]any{
		"file": m.File, "line": v.marks["vault-condition"].Line, "Cond": `acct.apiKey < "v5"`,
	}}) != nil {
		t.Error("a condition on a secret was accepted")
	}
	var state json.RawMessage
	moved := g.Go("RPCServer.Command", map[string]any{"name": "continue", "ReturnInfoLoadConfig": fullLoad}, &state, nil)
	var done <-chan error
	started := time.After(500 * time.Millisecond) // continue has to be there first: it is what makes requests wanted
	select {
	case <-started:
		done = v.transfer()
	case <-moved.Done:
		t.Fatalf("continue: %v", moved.Error)
	}
	select {
	case <-moved.Done:
		must(t, moved.Error)
	case <-time.After(30 * time.Second):
		t.Fatal("no stop")
	}
	g.shown.Write(state)
	g.lookAround()
	g.attackRPC()
	allowed := g.examine()
	t.Logf("%d addresses, %d reads of memory were allowed", len(g.places), allowed)
	for _, want := range []string{"Ada", "799", "eu-central", "teal", "‹redacted›", "leaf"} {
		if !strings.Contains(g.shown.String(), want) {
			t.Errorf("%q was not shown", want)
		}
	}
	_ = g.Go("RPCServer.Command", map[string]any{"name": "continue"}, new(json.RawMessage), nil)
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the request does not end")
	}
	g.ask("GetBufferedTracepoints", map[string]any{})
	g.ask("Detach", map[string]any{"Kill": false})
	g.Close()
	g.none("JSON-RPC", g.tap.bytes())
	v.noneInFiles(a)
}

// lookAround calls what shows something.
func (g *greedyRPC) lookAround() {
	for frame := range 20 {
		scope := map[string]any{"GoroutineID": -1, "Frame": frame}
		g.ask("ListLocalVars", map[string]any{"Scope": scope, "Cfg": fullLoad})
		g.ask("ListFunctionArgs", map[string]any{"Scope": scope, "Cfg": fullLoad})
		g.ask("ListRegisters", map[string]any{"IncludeFp": true, "Scope": scope})
	}
	g.ask("ListRegisters", map[string]any{"IncludeFp": true})
	g.ask("Stacktrace", map[string]any{"Id": -1, "Depth": 40, "Full": true, "Defers": true, "Cfg": fullLoad})
	g.ask("ListPackageVars", map[string]any{"Filter": `^(main|os|syscall|flag|net/http)\.`, "Cfg": fullLoad})
	g.ask("State", map[string]any{"NonBlocking": true})
	g.ask("ListThreads", map[string]any{})
	g.ask("ListTargets", map[string]any{})
	g.ask("ListGoroutines", map[string]any{"Start": 0, "Count": 100})
	g.ask("ListGoroutines", map[string]any{"Start": 1, "Count": 400})
	for _, guess := range []string{g.hidden["label"], "wrong"} {
		if g.ask("ListGoroutines", map[string]any{"Filters": []any{map[string]any{"Kind": 5, "Arg": "session_token=" + guess}}}) != nil {
			g.t.Error("a filter on a label that is a secret was accepted")
		}
	}
	g.ask("ListGoroutines", map[string]any{"GroupBy": 5, "GroupByKey": "session_token", "MaxGroups": 10, "MaxGroupMembers": 5, "Count": 100})
	for _, loc := range []string{"*acct.Card.cvv", "*acct.Card.cardNumber", "*(*uint64)(0xc000010000)"} {
		if g.ask("FindLocation", map[string]any{"Scope": here, "Loc": loc}) != nil {
			g.t.Errorf("location %s was found", loc)
		}
	}
}

// attackRPC evaluates everything that it can think of, and copies it.
func (g *greedyRPC) attackRPC() {
	addrs := append([]uint64{0xc000010000, 0xc000100018, 0x600000}, g.places[:min(len(g.places), 10)]...)
	var letters []byte
	for _, expr := range attacks {
		for i, addr := range addrs {
			if i > 0 && !strings.Contains(expr, "%s") {
				break
			}
			g.ask("Eval", map[string]any{"Scope": here, "Expr": strings.ReplaceAll(expr, "%s", fmt.Sprintf("%#x", addr)), "Cfg": fullLoad})
		}
	}
	for _, of := range []string{"alias", "plain", "acct.apiKey", "reference[0]"} {
		for i := range 60 {
			body := g.ask("Eval", map[string]any{"Scope": here, "Expr": fmt.Sprintf("int(%s[%d])", of, i), "Cfg": fullLoad})
			if v, ok := body["Variable"].(map[string]any); ok {
				var n int
				if _, err := fmt.Sscan(fmt.Sprint(v["value"]), &n); err == nil {
					letters = append(letters, byte(n))
				}
			}
		}
		letters = append(letters, 0)
	}
	g.none("letter by letter", letters)
	for _, value := range []string{"acct.Card.cvv", "int(acct.Card.cardNumber)", "*(*int)(0xc000010000)"} {
		g.ask("Set", map[string]any{"Scope": here, "Symbol": "acct.Balance", "Value": value})
	}
	if v := g.ask("Eval", map[string]any{"Scope": here, "Expr": "acct.Balance", "Cfg": fullLoad}); !strings.Contains(fmt.Sprint(v), "799") {
		g.t.Errorf("the balance was set to a secret: %v", v)
	}
}

// examine reads memory wherever it was given an address, and around.
func (g *greedyRPC) examine() (allowed int) {
	seen := make(map[uint64]bool)
	for _, place := range g.places {
		for _, at := range []uint64{place, place - 64, place + 64} {
			if seen[at] {
				continue
			}
			seen[at] = true
			for _, n := range []int{8, 24, 512} {
				body := g.ask("ExamineMemory", map[string]any{"Address": at, "Length": n})
				if body == nil {
					break
				}
				allowed++
				data, err := base64.StdEncoding.DecodeString(fmt.Sprint(body["Mem"]))
				must(g.t, err)
				g.none(fmt.Sprintf("memory at %#x", at), data)
			}
		}
	}
	return allowed
}
