//go:build linux && amd64

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

var (
	testPlan = plan{
		Allowed: harness.Allowed, Others: 100, File: "handlers.go", BreakLine: 55,
		First: 7, Second: 3, Third: 14, Last: 20,
	}
	testMarks   = map[string]harness.Mark{"order-price": {Line: 57}}
	testAnswers = map[int]string{7: "seven", 3: "three", 14: "fourteen", 20: "twenty"}
)

// goodSaw is what a session sees in which everything is right.
func goodSaw() saw {
	stop := func(id int) shown {
		return shown{55, []variable{{"id", fmt.Sprint(id)}, {"order", fmt.Sprintf("*main.Order {ID: %d, Note: nil}", id)}}}
	}
	s := saw{Configuration: launch, VerifiedLine: 55, Others: 100, HeldThen: true, LeftHeld: true, LeftMessage: "Paused on breakpoint"}
	s.One.shown, s.One.Arrow, s.One.Message = stop(7), 55, "Paused on breakpoint"
	s.One.Frames = []row{{Frame: "main.(*api).order", File: "handlers.go", Line: 55}, {Frame: "http.(*conn).serve"}}
	s.One.Fields = []variable{{"Customer", `{Name: "Edsger"}`}}
	s.Request = []variable{{"method", "GET"}, {"path", "/orders/7"}, {"client", harness.Allowed}}
	s.Stepped = shown{56, []variable{{"attempts", "4"}}}
	s.Left = stop(3)
	s.OneReply, s.LeftReply, s.GoneReply, s.EndReply = reply{200, "seven"}, reply{200, "three"}, reply{200, "fourteen"}, reply{200, "twenty"}
	three, fourteen := "GET /orders/3 from "+harness.Allowed, "GET /orders/14 from "+harness.Allowed
	s.Two = []row{{Thread: three, State: "Paused on breakpoint", Line: 55}, {Thread: fourteen, State: "Paused on breakpoint", Line: 55}}
	s.OneMoved = []row{{Thread: fourteen, State: "Paused on step", Line: 56}, {Thread: three, State: "Paused on breakpoint", Line: 55}}
	return s
}

// TestJudge holds the verdict against sessions in which one thing each is wrong.
func TestJudge(t *testing.T) {
	if err := judge(goodSaw(), testPlan, testMarks, testAnswers); err != nil {
		t.Fatalf("a session in which everything is right: %v", err)
	}
	for _, one := range []struct {
		name  string
		spoil func(*saw)
		want  string // in the error
	}{
		{"another configuration", func(s *saw) { s.Configuration = "" }, "launch configuration"},
		{"breakpoint moved", func(s *saw) { s.VerifiedLine = 56 }, "the breakpoint is at line 56"},
		{"wrong line highlighted", func(s *saw) { s.One.Line = 57 }, "line 57 is highlighted"},
		{"no arrow", func(s *saw) { s.One.Arrow = 0 }, "the arrow"},
		{"no reason", func(s *saw) { s.One.Message = "Running" }, "the call stack says"},
		{"no frames", func(s *saw) { s.One.Frames = nil }, "want main.(*api).order innermost"},
		{"short stack", func(s *saw) { s.One.Frames = s.One.Frames[:1] }, "no http.(*conn).serve"},
		{"another request's variables", func(s *saw) { s.One.Variables[0].Value = "14" }, `id is "14"`},
		{"no order", func(s *saw) { s.One.Variables = s.One.Variables[:1] }, "order is"},
		{"no fields", func(s *saw) { s.One.Fields = nil }, "want Edsger"},
		{"no Request", func(s *saw) { s.Request = nil }, "path of the request"},
		{"others not served", func(s *saw) { s.Others = 99 }, "99 of 100 others"},
		{"not held", func(s *saw) { s.HeldThen = false }, "it is held: false"},
		{"step too far", func(s *saw) { s.Stepped.Line = 60 }, "to 60"},
		{"step back", func(s *saw) { s.Stepped.Line = 50 }, "to 50"},
		{"nothing computed", func(s *saw) { s.Stepped.Variables = nil }, "attempts is"},
		{"one of two runs", func(s *saw) { s.Two[0].State = "Running" }, "GET /orders/3"},
		{"a thread without a name", func(s *saw) { s.Two[1].Thread = "Thread 2" }, "GET /orders/14"},
		{"both moved", func(s *saw) { s.OneMoved[1] = row{Thread: s.OneMoved[1].Thread, State: "Paused on step", Line: 56} }, "want the other still paused"},
		{"none moved", func(s *saw) { s.OneMoved[0].Line = 55 }, "want it beyond"},
		{"the other is not shown", func(s *saw) { s.Left.Variables = nil }, "order 3"},
		{"both continued", func(s *saw) { s.LeftHeld = false }, "was answered when only"},
		{"the other is not paused", func(s *saw) { s.LeftMessage = "" }, "with one left"},
		{"an error", func(s *saw) { s.LeftReply.Status = 500 }, "order 3 was answered with 500"},
		{"another's body", func(s *saw) { s.GoneReply.Body = "three" }, "order 14 was answered"},
		{"lost at the disconnect", func(s *saw) { s.EndReply = reply{} }, "order 20 was answered with 0"},
		{"a message", func(s *saw) { s.Notifications = []string{"oh"} }, "complains: oh"},
	} {
		t.Run(one.name, func(t *testing.T) {
			s := goodSaw()
			one.spoil(&s)
			err := judge(s, testPlan, testMarks, testAnswers)
			if err == nil || !strings.Contains(err.Error(), one.want) {
				t.Errorf("the verdict is %v, want %q in it", err, one.want)
			}
		})
	}
}
