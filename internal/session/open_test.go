//go:build linux && amd64

package session_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/session"
)

// openRefuses: each failure is a Refusal with a hint, and leaves nothing.
func openRefuses(t *testing.T, r *rig) {
	sleep := exec.Command("/bin/sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait() // says that it was killed
	}()
	over := exec.Command("/bin/true")
	if err := over.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		pid  int
		want error
	}{
		{"armed already", r.pid, board.ErrArmed},
		{"no Go program", sleep.Process.Pid, board.ErrNotGo},
		{"no such process", over.Process.Pid, os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := session.Open(context.Background(), session.Config{PID: c.pid, Allow: allow, For: time.Minute})
			var refusal *session.Refusal
			if e != nil || !errors.Is(err, c.want) || !errors.As(err, &refusal) || refusal.Hint() == "" {
				t.Errorf("Open = %v, %v, want a Refusal for %v", e, err, c.want)
			}
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if e, err := session.Open(ctx, session.Config{PID: r.pid, Allow: allow, For: time.Minute}); e != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, %v", e, err)
	}
	noGoroutineLeft(t)
	ask(allowed, r.url+"/orders/7").ok(t)
}

// TestRuleThatDoesNotFit: arming fails, after everything else.
func TestRuleThatDoesNotFit(t *testing.T) {
	r := newRig(t)
	rules := []session.Rule{{Prefix: allow[0].Prefix, PathPrefix: "/" + strings.Repeat("x", 500)}}
	if e, err := session.Open(context.Background(), session.Config{PID: r.pid, Allow: rules, For: time.Minute}); e != nil || err == nil {
		t.Fatalf("Open = %v, %v", e, err)
	}
	noGoroutineLeft(t)
	r.disarmed(t)
}
