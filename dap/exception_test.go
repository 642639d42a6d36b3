//go:build linux && amd64

package dap_test

import (
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// TestExceptionFilters: which filters there are, that none is on by itself, and
// that each that is asked for has an answer in its place.
func TestExceptionFilters(t *testing.T) {
	fake := newFake()
	b := attached(t, fake)
	got := ask[*godap.SetExceptionBreakpointsResponse](t, b, "setExceptionBreakpoints", godap.SetExceptionBreakpointsArguments{
		Filters: []string{"recovered", "nonsense"},
		FilterOptions: []godap.ExceptionFilterOptions{
			{FilterId: "panic", Condition: `panicType == "string"`},
			{FilterId: "fatal", Condition: "1 +"},
			{FilterId: "panic", Condition: "/[/"},
			{FilterId: "panic", Condition: "call f()"},
			{FilterId: "error", Condition: "status == 404"},
		},
	}).Body.Breakpoints
	if len(got) != 7 {
		t.Fatalf("%d answers: %+v", len(got), got)
	}
	for i, id := range []int{2, 0, 1, 0, 0, 0, 3} { // those of the fake, which has no room for the last
		armed := id == 1 || id == 2
		if got[i].Id != id || got[i].Verified != armed || armed == (got[i].Message != "") {
			t.Errorf("answer %d: %+v, want breakpoint %d", i, got[i], id)
		}
	}
	if !fake.called(`SetExceptionFilters raised=true fatal=false recovered=true response=true`) {
		t.Errorf("the engine was asked for %q", fake.calls)
	}
}

// TestStoppedAtPanic: the frames above the one that panicked are not shown.
func TestStoppedAtPanic(t *testing.T) {
	fake := newFake()
	fake.requests = []session.Request{aRequest(1)}
	fake.target = startProgram(t, "panicking", "-gcflags=all=-N -l").target()
	b := attached(t, fake)
	b.stopped(t, 1)
	all := ask[*godap.StackTraceResponse](t, b, "stackTrace", godap.StackTraceArguments{ThreadId: 1}).Body
	const hidden = 2
	fake.events <- session.Event{
		Kind: session.EventStopped, Request: session.Request{ID: 1, Frozen: true}, Reason: session.StopException,
		Text: "panic: 42", Exception: &session.ExceptionStop{Hidden: hidden},
	}
	stop, err := b.WaitStopped(1)
	for err == nil && stop.Reason != "exception" {
		stop, err = b.WaitStopped(1)
	}
	must(t, err)
	if stop.Description != "panic: 42" {
		t.Errorf("stopped: %+v", stop)
	}
	shown := ask[*godap.StackTraceResponse](t, b, "stackTrace", godap.StackTraceArguments{ThreadId: 1}).Body
	if shown.TotalFrames != all.TotalFrames-hidden || len(shown.StackFrames) != len(all.StackFrames)-hidden {
		t.Errorf("%d of %d frames are shown, of %d", len(shown.StackFrames), shown.TotalFrames, all.TotalFrames)
	}
	if shown.StackFrames[0].Name != all.StackFrames[hidden].Name || shown.StackFrames[0].Line != all.StackFrames[hidden].Line {
		t.Errorf("the first is %+v, want %+v", shown.StackFrames[0], all.StackFrames[hidden])
	}
	one := ask[*godap.StackTraceResponse](t, b, "stackTrace", godap.StackTraceArguments{ThreadId: 1, StartFrame: 1, Levels: 1}).Body
	if len(one.StackFrames) != 1 || one.StackFrames[0].Id != shown.StackFrames[1].Id {
		t.Errorf("a page of one: %+v, want %+v", one.StackFrames, shown.StackFrames[1])
	}
}
