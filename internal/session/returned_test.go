//go:build linux && amd64

package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/session"
)

const returnedDir = "../../integration/targets/returned"

// returnedRig is the target returned with an IDE that stops where errors are
// returned, if judge says so; nil: at all.
func returnedRig(t *testing.T, cfg session.Config, judge func(t *proc.Target, at session.ExceptionStop) (bool, string)) (*rig, session.Breakpoint) {
	t.Helper()
	r := newRigOf(t, returnedDir)
	r.openWith(t, cfg)
	r.ide(t)
	if judge == nil {
		judge = func(t *proc.Target, at session.ExceptionStop) (bool, string) { return true, "an error" }
	}
	set, err := r.s.SetExceptionFilters(session.ExceptionFilters{Returned: &session.ExceptionFilter{Judge: judge}})
	if err != nil {
		t.Fatal(err)
	}
	if set.Returned.Verified {
		if ev := <-r.s.Events(); ev.Kind != session.EventOutput || !strings.Contains(ev.Text, "functions of the main module are watched") {
			t.Fatalf("event %+v", ev)
		}
	}
	return r, set.Returned
}

// expectReturned takes the next event, which must be a stop at a returned error.
func (r *rig) expectReturned(t *testing.T, mark string) session.Event {
	t.Helper()
	ev := r.expect(t, session.EventStopped)
	if ev.Reason != session.StopException || ev.Exception == nil || ev.Exception.Returned == 0 || ev.Exception.By != "" {
		t.Fatalf("event %+v, %+v", ev, ev.Exception)
	}
	r.at(t, ev.Request.ID, mark)
	return ev
}

// typeAt is the dynamic type of the error at the stop of a request.
func (r *rig) typeAt(t *testing.T, ev session.Event) (typ string) {
	t.Helper()
	err := r.s.Inspect(ev.Request.ID, func(target *proc.Target) error {
		scope, err := proc.ThreadScope(target, target.CurrentThread())
		if err != nil {
			return err
		}
		v, err := scope.EvalExpression(fmt.Sprintf("*(*error)(%#x)", ev.Exception.Returned), proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1})
		if err == nil && len(v.Children) == 1 {
			typ = v.Children[0].TypeString()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// TestReturned: each error stops the request once, where it is returned first,
// with the function that returns it on top.
func TestReturned(t *testing.T) {
	r, bp := returnedRig(t, session.Config{}, nil)
	if !bp.Verified {
		t.Fatalf("%+v", bp)
	}
	for _, c := range []struct {
		path  string
		marks []string
		typ   string
	}{
		{"/fine?v=x", nil, ""},
		{"/wrapped?v=x", []string{"find"}, "*main.notFound"},
		{"/wrapped?v=", nil, ""},
		{"/library?v=x", []string{"library"}, "*strconv.NumError"},
		{"/library?v=7", nil, ""},
		{"/variable?v=x", []string{"variable"}, "*errors.errorString"},
		{"/helped?v=x", []string{"find"}, "*main.notFound"},
		{"/many?v=x", []string{"many"}, "*main.notFound"},
		{"/many?v=", nil, ""},
		{"/method?v=x", []string{"method"}, "*main.notFound"},
		{"/method?v=", nil, ""},
		{"/blank?v=x", []string{"blank"}, "*main.notFound"},
		{"/blank?v=", nil, ""},
		{"/closure?v=x", []string{"closure"}, "*main.notFound"},
		{"/generic?v=x", []string{"generic"}, "*fmt.wrapError"},
		{"/generic?v=b", nil, ""},
		{"/deferred?v=x", []string{"deferred"}, "*main.notFound"},
		{"/joined?v=x", []string{"find", "method"}, "*main.notFound"},
		{"/again?v=x", []string{"variable", "variable"}, "*errors.errorString"},
	} {
		t.Run(c.path, func(t *testing.T) {
			want, _ := get(others, r.url+c.path)
			req, re := r.request(t, c.path)
			for _, mark := range c.marks {
				ev := r.expectReturned(t, mark)
				if ev.Request.ID != req.ID {
					t.Fatalf("request %d stopped, not %d", ev.Request.ID, req.ID)
				}
				if typ := r.typeAt(t, ev); typ != c.typ {
					t.Errorf("the error is a %s, want %s", typ, c.typ)
				}
				r.awaitClean(t)
				if status, err := get(others, r.url+c.path); err != nil || status != want {
					t.Errorf("another request: %d, %v; want %d", status, err, want)
				}
				r.goOn(t, r.s.Continue(req.ID))
			}
			r.exited(t, req.ID)
			<-re.done
			if re.err != nil || re.status != want {
				t.Errorf("status %d, %v; without a debugger %d", re.status, re.err, want)
			}
		})
	}
	r.awaitClean(t)
}

// TestReturnedCondition: what the filter does not want does not stop, and what
// comes later does.
func TestReturnedCondition(t *testing.T) {
	wanted := func(target *proc.Target, at session.ExceptionStop) (bool, string) {
		scope, err := proc.ThreadScope(target, target.CurrentThread())
		if err != nil {
			return true, err.Error()
		}
		v, err := scope.EvalExpression(fmt.Sprintf(`(*(*error)(%#x)).(*main.notFound).ID == "jx"`, at.Returned), proc.LoadConfig{})
		return err == nil && v.Value != nil && v.Value.String() == "true", "jx"
	}
	r, _ := returnedRig(t, session.Config{}, wanted)
	req, re := r.request(t, "/joined?v=x")
	if ev := r.expectReturned(t, "method"); ev.Text != "jx" {
		t.Errorf("the text is %q", ev.Text)
	}
	r.goOn(t, r.s.StepOut(req.ID))
	ev := r.expect(t, session.EventStopped)
	if fn, _ := r.where(t, req.ID); fn != "main.joined" || ev.Reason != session.StopStep {
		t.Errorf("a step out led to %s: %+v", fn, ev)
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
	<-re.done
}

// TestReturnedByChild: an error of a goroutine that the request has started stops
// that one, and not its starter when it passes it on.
func TestReturnedByChild(t *testing.T) {
	r, _ := returnedRig(t, session.Config{}, nil)
	root, re := r.request(t, "/started?v=x")
	child := r.expect(t, session.EventStarted).Request
	if ev := r.expectReturned(t, "find"); ev.Request.ID != child.ID {
		t.Fatalf("request %d stopped, not %d", ev.Request.ID, child.ID)
	}
	r.goOn(t, r.s.Continue(child.ID))
	r.exited(t, child.ID)
	r.exited(t, root.ID)
	<-re.done
}

// TestReturnedWithoutProbes: the filter says why it is not armed.
func TestReturnedWithoutProbes(t *testing.T) {
	r, bp := returnedRig(t, session.Config{NoExtra: true}, nil)
	if bp.Verified || !strings.Contains(bp.Message, "--extra-breakpoints=off") {
		t.Errorf("%+v", bp)
	}
	req, re := r.request(t, "/wrapped?v=x")
	r.exited(t, req.ID)
	<-re.done
}

// TestReturnedLimits: what slows others down goes, is told, and is back when the
// next request comes.
func TestReturnedLimits(t *testing.T) {
	r, _ := returnedRig(t, session.Config{ExtraFor: time.Minute}, nil)
	req, re := r.request(t, "/slow?v=4000")
	var told session.Event
	for told.Kind == 0 {
		if status, err := get(others, r.url+"/hot?v=6000"); err != nil || status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
		select {
		case told = <-r.s.Events():
		default:
		}
	}
	if told.Kind != session.EventOutput || !strings.Contains(told.Text, "of the returns of errors before its next stop: other requests ran over it") {
		t.Fatalf("event %+v", told)
	}
	r.exited(t, req.ID)
	re.ok(t)
	req, re = r.request(t, "/wrapped?v=x")
	r.expectReturned(t, "find")
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
	<-re.done
}
