//go:build linux && amd64

package dap_test

import (
	"testing"

	"github.com/remotedbg/remotedbg/internal/session"
)

func TestStaleReferences(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	refs := func() (frame, scope, variable int) {
		t.Helper()
		top, _, err := b.StackTrace(1, 0, 1)
		must(t, err)
		scopes, err := b.Scopes(top[0].Id)
		must(t, err)
		rows, err := b.Children(scopes[0].VariablesReference)
		must(t, err)
		return top[0].Id, scopes[0].VariablesReference, rows["o"].VariablesReference
	}
	stale := func(what string, frame, scope, variable int) {
		t.Helper()
		if _, err := b.Scopes(frame); failure(t, err).ID != 1302 {
			t.Errorf("%s: frame: %v", what, err)
		}
		if _, err := b.Evaluate("o", frame, "watch"); failure(t, err).ID != 1302 {
			t.Errorf("%s: evaluate: %v", what, err)
		}
		for _, ref := range []int{scope, variable} {
			if _, err := b.Variables(ref); failure(t, err).ID != 1302 {
				t.Errorf("%s: variables: %v", what, err)
			}
		}
	}
	frame, scope, variable := refs()
	must(t, b.Next(1))
	stale("after next", frame, scope, variable)

	b.stopped(t, 1)
	frame, scope, variable = refs()
	b.stopped(t, 1)
	stale("after another stop", frame, scope, variable)

	frame, scope, variable = refs()
	b.stopped(t, 2) // another request's stop changes nothing
	if _, err := b.Variables(variable); err != nil {
		t.Errorf("another request stopped: %v", err)
	}
	b.fake.fail["Continue"] = session.ErrRunning
	if err := b.Continue(1); err == nil {
		t.Error("scripted failure missing")
	}
	if _, err := b.Variables(variable); err != nil {
		t.Errorf("a continue that failed: %v", err)
	}
	b.fake.events <- session.Event{Kind: session.EventContinued, Request: aRequest(1)}
	_, err := b.WaitEvent("continued")
	must(t, err)
	stale("after the engine let it go", frame, scope, variable)

	if _, err := b.Variables(1 << 20); failure(t, err).ID != 1303 {
		t.Errorf("never given out: %v", err)
	}
	if _, err := b.Scopes(-1); failure(t, err).ID != 1303 {
		t.Errorf("negative: %v", err)
	}
}
