//go:build linux && amd64

package session_test

import (
	"crypto/sha256"
	"encoding/hex"
	"go/constant"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/redact"
	"github.com/remotedbg/remotedbg/internal/session"
)

const vaultDir = "../../integration/targets/vault"

// planted is a secret of the target vault.
func planted(place string) string {
	sum := sha256.Sum256([]byte("vault/" + place))
	return "v" + hex.EncodeToString(sum[:])[:23]
}

// vaultRig is the target vault with an IDE and breakpoints.
func vaultRig(t *testing.T, marks ...string) *rig {
	t.Helper()
	r := newRigOf(t, vaultDir)
	r.open(t, 10*time.Minute)
	r.ide(t, marks...)
	return r
}

// copies are the strings of the vault that nothing marks as secrets.
func copies(target *proc.Target) (list []string, err error) {
	scope, err := proc.ThreadScope(target, target.CurrentThread())
	if err != nil {
		return nil, err
	}
	v, err := scope.EvalExpression("v.Copies", proc.LoadConfig{MaxStringLen: 100, MaxArrayValues: 100})
	if err != nil {
		return nil, err
	}
	for i := range v.Children {
		list = append(list, constant.StringVal(v.Children[i].Value))
	}
	return list, v.Unreadable
}

// TestFirstLookSearches: who is shown values waits until their secrets were looked
// for, also if nobody has looked ahead; who is shown the stack does not.
func TestFirstLookSearches(t *testing.T) {
	r := vaultRig(t, "vault")
	release := r.HoldAhead()
	defer release()
	req, re := r.request(t, "/transfer")
	r.stopped(t, req.ID, session.StopBreakpoint)
	if err := r.s.Unwind(req.ID, func(target *proc.Target) error {
		_, err := proc.ThreadStacktrace(target, target.CurrentThread(), 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if begun, _ := r.s.Searched(req.ID); begun {
		t.Error("a look at the stack has searched")
	}
	var list []string
	if err := r.s.Inspect(req.ID, func(target *proc.Target) (err error) {
		list, err = copies(target)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	shown := strings.Join(list, " ")
	if !strings.Contains(redact.Collapse(shown), redact.Mark) {
		t.Errorf("no secret in %q", shown)
	}
	if strings.Contains(shown, planted("global")) {
		t.Error("the first look shows the secret of a package variable")
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
	<-re.done
}

// TestOldSearchIsRepeated: others may have got hold of secrets since the first look.
func TestOldSearchIsRepeated(t *testing.T) {
	r := vaultRig(t, "vault")
	req, re := r.request(t, "/transfer")
	r.stopped(t, req.ID, session.StopBreakpoint)
	look := func() {
		t.Helper()
		if err := r.s.Inspect(req.ID, func(*proc.Target) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	look()
	for _, done := r.s.Searched(req.ID); !done; _, done = r.s.Searched(req.ID) {
		look()
	}
	again := r.s.AgeSearch(req.ID)
	if look(); !again() {
		t.Error("an old search was not repeated")
	}
	r.goOn(t, r.s.Continue(req.ID))
	r.exited(t, req.ID)
	<-re.done
}

// TestSearchAheadGetsOn: searches ahead make way, and get on nevertheless: for each
// other, and for somebody who wants Delve all the time.
func TestSearchAheadGetsOn(t *testing.T) {
	r := vaultRig(t, "vault")
	release := r.HoldAhead()
	first, re1 := r.request(t, "/transfer")
	r.stopped(t, first.ID, session.StopBreakpoint)
	second, re2 := r.request(t, "/transfer")
	r.stopped(t, second.ID, session.StopBreakpoint)
	secret := planted("field")
	if r.Clean(secret) != secret {
		t.Fatal("it is known before anybody has searched")
	}
	stop := r.WantBrain()
	defer stop()
	release()
	deadline := time.Now().Add(patience)
	for r.Clean(secret) == secret {
		if time.Now().After(deadline) {
			t.Fatal("it was not found")
		}
		time.Sleep(time.Millisecond)
	}
	for _, id := range []session.RequestID{first.ID, second.ID} {
		r.goOn(t, r.s.Continue(id))
		r.exited(t, id)
	}
	<-re1.done
	<-re2.done
}

// TestExceptionIsSearched: what a filter sees and tells of an error that is in no
// variable, and of a panic, is without the secrets that are in it.
func TestExceptionIsSearched(t *testing.T) {
	for path, set := range map[string]func(f *session.ExceptionFilters, judge *session.ExceptionFilter){
		"/refuse":       func(f *session.ExceptionFilters, judge *session.ExceptionFilter) { f.Returned = judge },
		"/refuse?panic": func(f *session.ExceptionFilters, judge *session.ExceptionFilter) { f.Raised = judge },
	} {
		t.Run(path, func(t *testing.T) {
			r := vaultRig(t)
			release := r.HoldAhead()
			defer release()
			var filters session.ExceptionFilters
			seen := make(chan string, 1)
			set(&filters, &session.ExceptionFilter{Judge: func(target *proc.Target, at session.ExceptionStop) (bool, string) {
				text, err := reason(target, at)
				if err != nil {
					text = err.Error()
				}
				seen <- text
				return true, text
			}})
			if _, err := r.s.SetExceptionFilters(filters); err != nil {
				t.Fatal(err)
			}
			if filters.Returned != nil {
				<-r.s.Events() // how many functions are watched
			}
			req, re := r.request(t, path)
			ev := r.expect(t, session.EventStopped)
			if ev.Reason != session.StopException {
				t.Fatalf("event %+v", ev)
			}
			for who, text := range map[string]string{"the filter": <-seen, "the client": ev.Text} {
				if text = redact.Collapse(text); text != "nobody has "+redact.Mark {
					t.Errorf("%s sees %q", who, text)
				}
			}
			r.goOn(t, r.s.Continue(req.ID))
			r.exited(t, req.ID)
			<-re.done
		})
	}
}

// reason is what the error of the target vault says.
func reason(target *proc.Target, at session.ExceptionStop) (string, error) {
	frames, err := proc.ThreadStacktrace(target, target.CurrentThread(), 2)
	if err != nil {
		return "", err
	}
	g, err := proc.GetG(target.CurrentThread())
	if err != nil {
		return "", err
	}
	scope := proc.FrameToScope(target, target.Memory(), g, target.CurrentThread().ThreadID(), frames...)
	v, err := scope.EvalExpression(at.Value()+".(*main.refused).reason", proc.LoadConfig{MaxStringLen: 100})
	if err != nil || v.Value == nil {
		return "", err
	}
	return constant.StringVal(v.Value), nil
}
