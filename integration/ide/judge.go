//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// verdict collects what was not as it must be.
type verdict struct{ wrong []error }

func (v *verdict) check(right bool, format string, args ...any) {
	if !right {
		v.wrong = append(v.wrong, fmt.Errorf("remotedbg: ide test: "+format, args...))
	}
}

// judge holds what was to be seen in VS Code against the service's source and
// the answers that nobody stopped.
func judge(s saw, p plan, marks map[string]harness.Mark, want map[int]string) error {
	var v verdict
	v.check(s.Configuration == launch, "the launch configuration is %q", s.Configuration)
	v.check(s.VerifiedLine == p.BreakLine, "the breakpoint is at line %d, want %d", s.VerifiedLine, p.BreakLine)
	v.one(s, p, marks)
	v.two(s, p)
	for _, notification := range s.Notifications {
		v.check(false, "VS Code complains: %s", notification)
	}
	for _, one := range []struct {
		id  int
		got reply
	}{{p.First, s.OneReply}, {p.Third, s.GoneReply}, {p.Second, s.LeftReply}, {p.Last, s.EndReply}} {
		v.check(one.got.Status == 200 && one.got.Body == want[one.id],
			"order %d was answered with %d %q, want 200 %q", one.id, one.got.Status, one.got.Body, want[one.id])
	}
	return errors.Join(v.wrong...)
}

// one looks at the request that was frozen alone and stepped once.
func (v *verdict) one(s saw, p plan, marks map[string]harness.Mark) {
	v.stopped(s.One.shown, p.First, p.BreakLine)
	v.check(s.One.Arrow == p.BreakLine, "the arrow is at line %d, want %d", s.One.Arrow, p.BreakLine)
	v.check(s.One.Message == "Paused on breakpoint", "the call stack says %q", s.One.Message)
	at := slices.IndexFunc(s.One.Frames, func(r row) bool { return r.Frame != "" })
	v.check(at >= 0 && s.One.Frames[at] == row{Frame: "main.(*api).order", File: p.File, Line: p.BreakLine},
		"the call stack is %+v, want main.(*api).order innermost, at line %d", s.One.Frames, p.BreakLine)
	v.check(slices.ContainsFunc(s.One.Frames, func(r row) bool { return r.Frame == "http.(*conn).serve" }),
		"no http.(*conn).serve in the call stack %+v", s.One.Frames)
	v.check(strings.Contains(valueOf(s.One.Fields, "Customer"), `Name: "Edsger"`),
		"order.Customer is %q, want Edsger in it", valueOf(s.One.Fields, "Customer"))
	for _, part := range []variable{{"method", "GET"}, {"path", fmt.Sprintf("/orders/%d", p.First)}, {"client", p.Allowed}} {
		v.check(strings.Contains(valueOf(s.Request, part.Name), part.Value), "%s of the request is %q, want %s", part.Name, valueOf(s.Request, part.Name), part.Value)
	}
	v.check(s.Others == p.Others && s.HeldThen, "while it was frozen %d of %d others were served; it is held: %t", s.Others, p.Others, s.HeldThen)

	// The next line of the source; the compiler may leave out label's.
	end := marks["order-price"].Line
	v.check(s.Stepped.Line > p.BreakLine && s.Stepped.Line <= end,
		"a step led from line %d to %d, want at most %d", p.BreakLine, s.Stepped.Line, end)
	v.check(valueOf(s.Stepped.Variables, "attempts") == "4", "attempts is %q, want 4 after 3 items", valueOf(s.Stepped.Variables, "attempts"))
}

// two looks at the requests that were frozen at the same time.
func (v *verdict) two(s saw, p plan) {
	staying, going := threadName(p, p.Second), threadName(p, p.Third)
	for _, name := range []string{staying, going} {
		v.check(slices.Contains(s.Two, row{Thread: name, State: "Paused on breakpoint", Line: p.BreakLine}),
			"the threads are %+v, want %q among them, paused at line %d", s.Two, name, p.BreakLine)
	}
	v.check(slices.Contains(s.OneMoved, row{Thread: staying, State: "Paused on breakpoint", Line: p.BreakLine}),
		"after a step of %q the threads are %+v, want the other still paused at line %d", going, s.OneMoved, p.BreakLine)
	v.check(slices.ContainsFunc(s.OneMoved, func(r row) bool {
		return r.Thread == going && r.State == "Paused on step" && r.Line > p.BreakLine
	}), "after a step of %q the threads are %+v, want it beyond line %d", going, s.OneMoved, p.BreakLine)

	v.stopped(s.Left, p.Second, p.BreakLine)
	v.check(s.LeftHeld, "%q was answered when only %q was continued", staying, going)
	v.check(s.LeftMessage == "Paused on breakpoint", "with one left the call stack says %q", s.LeftMessage)
}

// stopped looks at a request that stopped at the breakpoint.
func (v *verdict) stopped(s shown, id, line int) {
	v.check(s.Line == line, "order %d: line %d is highlighted, want %d", id, s.Line, line)
	v.check(valueOf(s.Variables, "id") == fmt.Sprint(id), "order %d: id is %q", id, valueOf(s.Variables, "id"))
	order := valueOf(s.Variables, "order")
	v.check(strings.Contains(order, fmt.Sprintf("ID: %d,", id)), "order %d: order is %q", id, order)
}

// threadName is what the agent must call the thread of an order's request.
func threadName(p plan, id int) string { return fmt.Sprintf("GET /orders/%d from %s", id, p.Allowed) }

// valueOf is the value of the first variable with a name.
func valueOf(variables []variable, name string) string {
	for _, one := range variables {
		if one.Name == name {
			return one.Value
		}
	}
	return ""
}
