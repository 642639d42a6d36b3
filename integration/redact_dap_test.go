//go:build linux && amd64

package integration_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// greedy is a DAP client that asks for everything.
type greedy struct {
	*vaultRig
	*daptest.Client
	tap      *tap
	frames   []int    // ids
	values   []string // that it was shown
	memory   []string // references
	spelled  []byte   // what the numbers of lists spell
	calls    int
	expanded map[string]bool
}

const (
	greedyCalls = 2500 // variables requests at most
	greedyDepth = 8
)

// everything expands all that can be reached.
func (g *greedy) everything(thread int) {
	frames, _, err := g.StackTrace(thread, 0, 0)
	must(g.t, err)
	type open struct{ ref, depth int }
	var queue []open
	for _, f := range frames {
		g.frames = append(g.frames, f.Id)
		scopes, err := g.Scopes(f.Id)
		must(g.t, err)
		for _, s := range scopes {
			queue = append(queue, open{s.VariablesReference, 0})
		}
	}
	for len(queue) > 0 && g.calls < greedyCalls {
		next := queue[0]
		queue = queue[1:]
		g.calls++
		rows, err := g.Variables(next.ref)
		if err != nil {
			continue // what cannot be read shows nothing
		}
		g.spell(rows)
		for _, row := range rows {
			g.values = append(g.values, row.Name+" = "+row.Value)
			if row.MemoryReference != "" {
				g.memory = append(g.memory, row.MemoryReference)
			}
			// The same value is shown in many frames.
			key := fmt.Sprint(row.Type, row.Value, row.MemoryReference, next.depth)
			if row.VariablesReference != 0 && next.depth < greedyDepth && (row.MemoryReference == "" || !g.expanded[key]) {
				g.expanded[key] = true
				queue = append(queue, open{row.VariablesReference, next.depth + 1})
			}
		}
	}
}

// spell puts the elements of a list together.
func (g *greedy) spell(rows []dap.Variable) {
	for _, row := range rows {
		n, err := strconv.ParseUint(strings.Fields(row.Value + " x")[0], 0, 8)
		if err == nil && strings.HasPrefix(row.Name, "[") {
			g.spelled = append(g.spelled, byte(n))
		}
	}
	g.spelled = append(g.spelled, 0)
}

// readAll reads memory at everything that it was given an address of, and around.
func (g *greedy) readAll() (allowed int) {
	slices.Sort(g.memory)
	for _, ref := range slices.Compact(g.memory) {
		for _, offset := range []int{0, -64, 64, 4096} {
			m, err := g.Do("readMemory", dap.ReadMemoryArguments{MemoryReference: ref, Offset: offset, Count: 8192})
			if err != nil {
				continue
			}
			allowed++
			data, err := base64.StdEncoding.DecodeString(m.(*dap.ReadMemoryResponse).Body.Data)
			must(g.t, err)
			g.none("memory at "+ref, data)
		}
	}
	return allowed
}

// attack evaluates everything that it can think of.
func (g *greedy) attack() {
	addrs := append(slices.Compact(slices.Clone(g.memory))[:min(len(g.memory)/2, 12)], "0xc000010000", "0xc000100018", "0x600000")
	frame := g.frames[0]
	eval := func(expr, where string) string {
		body, err := g.Evaluate(expr, frame, where)
		if err != nil {
			return ""
		}
		if body.VariablesReference != 0 {
			if rows, err := g.Variables(body.VariablesReference); err == nil {
				g.spell(rows)
			}
		}
		return body.Result
	}
	for _, expr := range attacks {
		for i, addr := range addrs {
			if i > 0 && !strings.Contains(expr, "%s") {
				break
			}
			for _, where := range []string{"repl", "watch", "hover", "clipboard"} {
				e := strings.ReplaceAll(expr, "%s", addr)
				eval(e, where)
				eval(e+",raw", where)
			}
		}
	}
	// Letter by letter, and with comparisons.
	var letters []byte
	for _, of := range []string{"alias", "plain", "acct.apiKey", "reference[0]"} {
		for i := range 60 {
			if n, err := strconv.Atoi(strings.Fields(eval(fmt.Sprintf("int(%s[%d])", of, i), "watch") + " x")[0]); err == nil {
				letters = append(letters, byte(n))
			}
		}
		letters = append(letters, 0)
	}
	g.none("letter by letter", letters)
	for expr, secret := range map[string]string{
		"alias == %q": "Bearer " + g.hidden["bearer"], "acct.apiKey == %q": g.hidden["field"], "acct.Note == %q": g.hidden["tag"],
		"plain[31:55] == %q": g.hidden["body"], "string(copied) == %q": "copy of Bearer " + g.hidden["bearer"],
	} {
		for _, shown := range []string{eval(fmt.Sprintf(expr, secret), "watch"), eval("!("+fmt.Sprintf(expr, secret)+")", "watch")} {
			if !strings.Contains("‹redacted› false true", shown) {
				g.t.Errorf("%s: %q", expr, shown)
			}
		}
		if yes, no := eval(fmt.Sprintf(expr, secret), "watch"), eval(fmt.Sprintf(expr, "wrong"), "watch"); yes != no {
			g.t.Errorf("%s tells the right value (%q) from a wrong one (%q)", expr, yes, no)
		}
	}
}

// other asks by all other requests.
func (g *greedy) other(thread int) {
	frame := g.frames[0]
	for _, line := range []string{"dlv requests", "dlv stack", "dlv sources main", "dlv config -list", "dlv help"} {
		if _, err := g.Evaluate(line, frame, "repl"); err != nil {
			g.t.Errorf("%s: %v", line, err)
		}
	}
	for _, text := range []string{"acct.", "r.Header.", "v.", "al", "main."} {
		_, err := g.Do("completions", dap.CompletionsArguments{FrameId: frame, Text: text, Column: len(text) + 1})
		must(g.t, err)
	}
	for _, name := range []string{"acct.apiKey", "alias", "acct.Card.cvv", "acct.Card.Holder"} {
		_, _ = g.Do("dataBreakpointInfo", map[string]any{"name": name, "frameId": frame})
		_, _ = g.Do("dataBreakpointInfo", map[string]any{"name": name, "frameId": frame, "bytes": 8})
	}
	_, _ = g.Do("exceptionInfo", dap.ExceptionInfoArguments{ThreadId: thread})
	_, _ = g.Do("setVariable", map[string]any{"variablesReference": 1, "name": "limit", "value": "acct.Card.cvv"})
	_, _ = g.Do("setExpression", map[string]any{"expression": "limit", "value": "acct.Card.cvv", "frameId": frame})
	_, _ = g.Do("setExpression", map[string]any{"expression": "acct.Owner", "value": "acct.Note", "frameId": frame})
	_, err := g.Do("threads", nil)
	must(g.t, err)
	_, err = g.Do("remotedbg/status", nil)
	must(g.t, err)
}

// shown fails unless the client was shown each of want.
func (g *greedy) shown(want ...string) {
	g.t.Helper()
	all := strings.Join(g.values, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			g.t.Errorf("%q was not shown", w)
		}
	}
}

// newGreedy is a client whose bytes are looked through; it has said nothing yet.
func newGreedy(t *testing.T, v *vaultRig, a *harness.Agent) *greedy {
	t.Helper()
	g := &greedy{vaultRig: v, tap: tapped(t, a), expanded: make(map[string]bool)}
	g.Client = daptest.New(g.tap)
	g.Timeout = 30 * time.Second
	return g
}

// TestSecretsDAP: a client that may change values, and so do everything, sees no
// secret in any byte.
func TestSecretsDAP(t *testing.T) {
	v := newVaultRig(t)
	a := v.attach("--role", "mutate", "--audit", v.audit)
	g := newGreedy(t, v, a)
	m := v.marks["vault"]
	must(t, g.SessionWith(nil, m.File, m.Line))
	done := v.transfer()
	stop, err := g.WaitStopped(daptest.AnyThread)
	must(t, err)

	began := time.Now()
	g.everything(stop.ThreadId)
	t.Logf("%d lists of variables in %v, %d values, %d addresses", g.calls, time.Since(began).Round(time.Millisecond), len(g.values), len(g.memory))
	if n := g.readAll(); n == 0 {
		t.Error("no memory at all could be read")
	} else {
		t.Logf("%d reads of memory were allowed", n)
	}
	g.attack()
	g.other(stop.ThreadId)
	g.none("what lists spell", g.spelled)
	g.shown(`"Ada"`, "799", `"eu-central"`, `"teal"`, "vermilion", `"Ada L"`, "limit", `"leaf"`, "‹redacted›", "/transfer", "page=2")

	// What stops a request tells of it as well, and so does what is logged.
	log, cond := v.marks["vault-log"], v.marks["vault-condition"]
	r, err := g.Do("setBreakpoints", dap.SetBreakpointsArguments{Source: dap.Source{Path: m.File}, Breakpoints: []dap.SourceBreakpoint{
		{Line: log.Line, LogMessage: "{acct.Owner} {acct.apiKey} {alias} {alias[7:]} {blob} {plain} {*acct} {failed} {*(*string)(0xc000010000)} {acct.Note} {r.Header}"},
		{Line: cond.Line, Condition: fmt.Sprintf("alias == %q", "Bearer "+v.hidden["bearer"])},
		{Line: m.Line, Condition: fmt.Sprintf("acct.apiKey == %q", v.hidden["field"])},
	}})
	must(t, err)
	for i, bp := range r.(*dap.SetBreakpointsResponse).Body.Breakpoints {
		if bp.Verified != (i < 2) {
			t.Errorf("breakpoint %d: %+v", i, bp)
		}
	}
	must(t, g.Continue(stop.ThreadId))
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the request does not end: a condition has told of its header")
	}
	// Another one, which nobody has looked at before the condition is judged.
	must(t, <-v.transfer())
	logged := strings.Join(outputs(g.Events()), "\n")
	if !strings.Contains(logged, `"Ada" ‹redacted›`) {
		t.Errorf("logged: %s", logged)
	}
	must(t, g.Disconnect())
	g.none("DAP", g.tap.bytes())
	v.noneInFiles(a)
}

// TestRedactionLifted: mutate and --no-redaction together show what the test above
// must not see, but for the field with the tag; each alone shows nothing.
func TestRedactionLifted(t *testing.T) {
	for _, c := range []struct {
		name   string
		flags  []string
		lifted bool
	}{
		{"mutate and no redaction", []string{"--role", "mutate", "--no-redaction"}, true},
		{"control and no redaction", []string{"--role", "control", "--no-redaction"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVaultRig(t)
			a := v.attach(append(c.flags, "--audit", v.audit)...)
			g := &greedy{vaultRig: v, tap: tapped(t, a), expanded: make(map[string]bool)}
			g.Client = daptest.New(g.tap)
			g.Timeout = 30 * time.Second
			m := v.marks["vault"]
			must(t, g.SessionWith(nil, m.File, m.Line))
			done := v.transfer()
			stop, err := g.WaitStopped(daptest.AnyThread)
			must(t, err)
			g.everything(stop.ThreadId)
			everything := v.hidden
			if c.lifted {
				v.hidden = secrets{"tag": everything["tag"]}
			}
			g.readAll()
			v.hidden = everything
			for _, expr := range []string{"main.adminPassword", "acct.Note", "*acct", "acct.Note[1:]", "v.accounts[0].Note", "len(acct.Note)", "&acct.Note", "*(&acct.Note)", "*(*string)(uintptr(&acct.Balance)+24)"} {
				body, err := g.Evaluate(expr, g.frames[0], "clipboard")
				if err == nil && body.Result == "24" {
					t.Errorf("%s: %s", expr, body.Result)
				}
			}
			_, err = g.Evaluate("*(*string)(0xc000010000)", g.frames[0], "repl")
			t.Logf("a pointer made of a number: %v", err)
			must(t, g.Continue(stop.ThreadId))
			must(t, <-done)
			must(t, g.Disconnect())
			all := string(g.tap.bytes())
			for place, secret := range v.hidden {
				if place == "syncmap" || place == "label" || place == "closure" {
					continue // no row shows them
				}
				if got := strings.Contains(all, secret); got != (c.lifted && place != "tag") {
					t.Errorf("%s: shown: %v", place, got)
				}
			}
			if c.lifted && !strings.Contains(all, "737") {
				t.Error("a number with a secret's name is not shown")
			}
		})
	}
}
