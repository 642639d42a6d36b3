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
	g := newGreedy(t, v, a)
	m := v.marks["vault"]
	must(t, g.SessionWith(nil, m.File, m.Line))
	const rounds = 12
	guess, guessed := 1, 0 // ids of frames and variables are given out in order
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
		frame, right := g.hurry(stop.ThreadId, guess, []string{"alias", "alias[7:20]", "string(copied)"})
		if right {
			guessed++
		}
		scopes, err := g.Scopes(frame)
		must(t, err)
		shown := ""
		guess = frame + 1
		for _, s := range scopes {
			guess = max(guess, s.VariablesReference+1)
			rows, err := g.Variables(s.VariablesReference)
			must(t, err)
			for _, row := range rows {
				guess = max(guess, row.VariablesReference+1)
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
	if guessed < rounds/2 {
		t.Errorf("the id of the frame was guessed %d times of %d: nothing was asked for in time", guessed, rounds)
	}
	must(t, g.Disconnect())
	v.noneInFiles(a)
}

// hurry asks for the innermost frame, and without waiting for its id for copies of
// what a header has, as the first values of the stop. right: guess is the id.
func (g *greedy) hurry(thread, guess int, exprs []string) (frame int, right bool) {
	g.t.Helper()
	stack, err := g.Start("stackTrace", dap.StackTraceArguments{ThreadId: thread, Levels: 1})
	must(g.t, err)
	var answers []func() (dap.ResponseMessage, error)
	for _, expr := range exprs {
		answer, err := g.Start("evaluate", dap.EvaluateArguments{Expression: expr, FrameId: guess, Context: "watch"})
		must(g.t, err)
		answers = append(answers, answer)
	}
	m, err := stack()
	must(g.t, err)
	frame = m.(*dap.StackTraceResponse).Body.StackFrames[0].Id
	for i, answer := range answers {
		m, err := answer()
		if frame == guess && err == nil && !strings.Contains(m.(*dap.EvaluateResponse).Body.Result, "‹redacted›") {
			g.t.Errorf("%s is shown as %s", exprs[i], m.(*dap.EvaluateResponse).Body.Result)
		}
	}
	return frame, frame == guess
}
