//go:build linux && amd64

package session_test

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
	"github.com/remotedbg/remotedbg/internal/vmem"
)

// allMarks are the names of all marks in some files of the shop.
func allMarks(t *testing.T, files ...string) (names []string) {
	t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(shopDir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`//bp:([a-z0-9-]+)`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// manyFiles have the marks of all that a request for an order passes, and more.
var manyFiles = []string{"handlers.go", "service.go", "store.go", "steps.go", "values.go", "memory.go", "fanout.go", "spin.go", "drawer.go", "locked.go"}

// textClean says whether the service's text is that of its executable.
func (r *rig) textClean(t *testing.T) bool {
	t.Helper()
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", r.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := f.Section(".text")
	want, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	have := make([]byte, len(want))
	if _, err := (vmem.Process{PID: r.pid}).ReadMemory(have, section.Addr); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(have, want)
}

// awaitClean waits until no uprobe is in the service's text.
func (r *rig) awaitClean(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); !r.textClean(t); {
		if time.Now().After(deadline) {
			t.Fatal("uprobes are left in the service")
		}
	}
}

// TestExtraBreakpoints: sixty breakpoints and more are all set, each that a
// request passes stops it, in front of its line, and while it is stopped the
// service is as it was.
func TestExtraBreakpoints(t *testing.T) {
	r := newRig(t)
	r.open(t, 10*time.Minute)
	names := allMarks(t, manyFiles...)
	if len(names) < 60 {
		t.Fatalf("only %d marks", len(names))
	}
	r.ide(t, names...)
	req, re := r.request(t, "/orders/7")
	var passed []string
	for {
		ev := r.next(t)
		if ev.Kind == session.EventExited {
			break
		}
		if ev.Kind != session.EventStopped || ev.Reason != session.StopBreakpoint || len(ev.BreakpointIDs) != 1 || ev.Text != "" {
			t.Fatalf("event %+v", ev)
		}
		_, line := r.where(t, req.ID)
		i := slices.IndexFunc(names, func(name string) bool { return marked(t, name).line == line })
		if i < 0 {
			t.Errorf("stopped on line %d, where no breakpoint is", line)
		} else {
			passed = append(passed, names[i])
		}
		r.awaitClean(t)
		r.goOn(t, r.s.Continue(req.ID))
	}
	re.ok(t)
	r.awaitClean(t)
	rest := passed
	for _, name := range []string{"order-entry", "service-load", "repo-find", "service-loaded", "order-loaded", "order-price", "service-price", "service-priced", "order-priced"} {
		i := slices.IndexFunc(rest, func(p string) bool { return marked(t, p).line == marked(t, name).line })
		if i < 0 {
			t.Fatalf("//bp:%s was not stopped at in its turn: %v", name, passed)
		}
		rest = rest[i+1:]
	}
}

// TestExtraCondition: conditions and counts hold for breakpoints without
// hardware, too, and steps go on from them.
func TestExtraCondition(t *testing.T) {
	r := attach(t, "account-open")
	for _, file := range []string{"steps.go", "values.go"} {
		r.setBreakpoints(t, allMarks(t, file)...)
	}
	entry, loaded := marked(t, "order-entry"), marked(t, "order-loaded")
	got, err := r.s.SetBreakpoints(entry.file, []session.SourceBreakpoint{
		{Line: entry.line, When: session.When{HitCondition: "2"}},
		{Line: loaded.line, When: session.When{Condition: "id == 7"}},
	})
	if err != nil || !got[0].Verified || !got[1].Verified {
		t.Fatalf("%+v, %v", got, err)
	}
	req, re := r.request(t, "/orders/3")
	r.exited(t, req.ID) // neither
	re.ok(t)
	req, re = r.request(t, "/orders/7")
	ev := r.stopped(t, req.ID, session.StopBreakpoint)
	if ev.BreakpointIDs[0] != got[0].ID {
		t.Fatalf("stopped by %v", ev.BreakpointIDs)
	}
	r.at(t, req.ID, "order-entry")
	r.goOn(t, r.s.Next(req.ID))
	r.stopped(t, req.ID, session.StopStep)
	if _, line := r.where(t, req.ID); line != entry.line+1 {
		t.Errorf("next led from line %d to %d", entry.line, line)
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.stopped(t, req.ID, session.StopBreakpoint)
	r.at(t, req.ID, "order-loaded")
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
	re.ok(t)
	r.awaitClean(t)
}

// TestNoExtraBreakpoints: each breakpoint without hardware says so, why, and
// which to disable.
func TestNoExtraBreakpoints(t *testing.T) {
	r := newRig(t)
	e, err := session.Open(context.Background(), session.Config{PID: r.pid, Allow: allow, For: time.Minute, Log: r.log.add, NoExtra: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = e
	if r.s, err = e.NewSession(access.Identity{Role: access.Mutate}); err != nil {
		t.Fatal(err)
	}
	file := marked(t, "order-entry").file
	var want []session.SourceBreakpoint
	for _, name := range allMarks(t, "handlers.go") {
		want = append(want, session.SourceBreakpoint{Line: marked(t, name).line})
	}
	got, err := r.s.SetBreakpoints(file, want)
	if err != nil {
		t.Fatal(err)
	}
	verified := 0
	for _, b := range got {
		if b.Verified {
			verified++
			continue
		}
		for _, says := range []string{"--extra-breakpoints=off", "disable", "handlers.go:"} {
			if !strings.Contains(b.Message, says) {
				t.Errorf("breakpoint on line %d: %q does not say %q", b.Line, b.Message, says)
			}
		}
	}
	if verified != 4 || len(got) < 8 {
		t.Errorf("%d of %d are verified", verified, len(got))
	}

	// One that goes makes room for another one.
	store := marked(t, "repo-find")
	other, err := r.s.SetBreakpoints(store.file, []session.SourceBreakpoint{{Line: store.line}})
	if err != nil || other[0].Verified {
		t.Fatalf("%+v, %v", other, err)
	}
	if _, err := r.s.SetBreakpoints(file, want[:1]); err != nil {
		t.Fatal(err)
	}
	if b := r.expect(t, session.EventBreakpoint).Breakpoint; b.ID != other[0].ID || !b.Verified || b.Message != "" {
		t.Errorf("%+v, want breakpoint %d to be verified", b, other[0].ID)
	}
}

// TestExtraBreakpointsAreTakenAway: a request that runs for long loses them, and
// the IDE is told which.
func TestExtraBreakpointsAreTakenAway(t *testing.T) {
	r := newRig(t)
	e, err := session.Open(context.Background(), session.Config{PID: r.pid, Allow: allow, For: time.Minute, Log: r.log.add, ExtraFor: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = e
	r.ide(t, allMarks(t, "steps.go")...)
	req, re := r.request(t, "/slow?ms=2000")
	timeout := time.After(patience)
	for {
		select {
		case ev := <-r.s.Events():
			if ev.Kind == session.EventOutput && strings.Contains(ev.Text, "200ms") && strings.Contains(ev.Text, "(steps.go:") {
				r.awaitClean(t)
				r.exited(t, req.ID)
				re.ok(t)
				return
			}
			if ev.Kind != session.EventOutput {
				t.Fatalf("event %+v", ev)
			}
		case <-timeout:
			t.Fatal("nothing is said")
		}
	}
}
