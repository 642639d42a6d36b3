//go:build linux && amd64

package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// TestSecretsAtOnce: the agent looks for secrets while the client asks where the
// request is, and a client that asks for a value as fast as it can sees none. Each
// request brings others, which no stop before has found.
func TestSecretsAtOnce(t *testing.T) {
	v := newVaultRig(t)
	a := v.attach("--role", "mutate", "--audit", v.audit)
	g := &greedy{vaultRig: v, tap: tapped(t, a), expanded: make(map[string]bool)}
	g.Client = daptest.New(g.tap)
	g.Timeout = 30 * time.Second
	m := v.marks["vault"]
	must(t, g.SessionWith(nil, m.File, m.Line))
	const rounds = 12
	for round := range rounds {
		condition := ""
		if round%2 == 1 {
			condition = `acct.Owner == "Ada"` // judged behind a search of its own
		}
		_, err := g.Do("setBreakpoints", dap.SetBreakpointsArguments{Source: dap.Source{Path: m.File}, Breakpoints: []dap.SourceBreakpoint{{Line: m.Line, Condition: condition}}})
		must(t, err)
		for _, place := range placesOfRequest {
			v.hidden[place] = planted(fmt.Sprint(t.Name(), round, time.Now().UnixNano()), place)
		}
		done := v.transfer()
		stop, err := g.WaitStopped(daptest.AnyThread)
		must(t, err)
		frames, _, err := g.StackTrace(stop.ThreadId, 0, 1)
		must(t, err)
		if round%4 < 2 { // a copy of what a header has, as the first value of the stop
			for _, expr := range []string{"alias", "alias[7:20]", "string(copied)"} {
				body, err := g.Evaluate(expr, frames[0].Id, "watch")
				if err == nil && !strings.Contains(body.Result, "‹redacted›") {
					t.Errorf("round %d: %s is shown as %s", round, expr, body.Result)
				}
			}
		}
		scopes, err := g.Scopes(frames[0].Id)
		must(t, err)
		shown := ""
		for _, s := range scopes {
			rows, err := g.Variables(s.VariablesReference)
			must(t, err)
			for _, row := range rows {
				shown += row.Name + " = " + row.Value + "\n"
			}
		}
		if !strings.Contains(shown, "alias = ") || !strings.Contains(shown, "‹redacted›") {
			t.Errorf("round %d: %s", round, shown)
		}
		g.none(fmt.Sprintf("DAP, round %d", round), g.tap.bytes())
		must(t, g.Continue(stop.ThreadId))
		must(t, <-done)
	}
	must(t, g.Disconnect())
	v.noneInFiles(a)
}
