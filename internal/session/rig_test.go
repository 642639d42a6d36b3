//go:build linux && amd64

package session_test

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// rig is a running shop and the engine attached to it.
type rig struct {
	*session.Engine
	s      *session.Session // the IDE's
	cmd    *exec.Cmd
	pid    int
	url    string
	log    *logLines
	path   string // of the requests that show it untouched; empty: /orders/7
	dir    string // of the service's source; empty: the shop's
	killed bool   // by the test
}

type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

var allow = []session.Rule{{Prefix: netip.MustParsePrefix(allowed + "/32")}}

// newRig starts a shop without an engine.
func newRig(t *testing.T, args ...string) *rig {
	t.Helper()
	return newRigOf(t, shopDir, args...)
}

// newRigOf starts the service in dir.
func newRigOf(t *testing.T, dir string, args ...string) *rig {
	t.Helper()
	r := &rig{log: &logLines{}, dir: dir}
	r.cmd, r.url = launch(t, build(t, dir), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	r.pid = r.cmd.Process.Pid
	t.Cleanup(func() { r.end(t) })
	return r
}

// open attaches for d.
func (r *rig) open(t *testing.T, d time.Duration) {
	t.Helper()
	r.openWith(t, session.Config{For: d})
}

// openWith attaches with some of the configuration.
func (r *rig) openWith(t *testing.T, cfg session.Config) {
	t.Helper()
	cfg.PID, cfg.Allow, cfg.For, cfg.Log = r.pid, allow, cmp.Or(cfg.For, 10*time.Minute), r.log.add
	e, err := session.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = e
}

// marked finds a line of the service by its mark.
func (r *rig) marked(t *testing.T, name string) position {
	t.Helper()
	return markedIn(t, cmp.Or(r.dir, shopDir), name)
}

// attach attaches an IDE, too, with breakpoints on the marked lines.
func attach(t *testing.T, names ...string) *rig {
	t.Helper()
	r := newRig(t)
	r.open(t, 10*time.Minute)
	r.ide(t, names...)
	return r
}

// ide attaches an IDE.
func (r *rig) ide(t *testing.T, names ...string) {
	t.Helper()
	s, err := r.NewSession(access.Identity{Role: access.Mutate})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	r.setBreakpoints(t, names...)
	s.Start()
}

// newIDE closes the session there is and attaches the next IDE.
func (r *rig) newIDE(t *testing.T, names ...string) {
	t.Helper()
	if r.s != nil {
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.ide(t, names...)
}

// setBreakpoints sets verified breakpoints, all in one file, on marked lines.
func (r *rig) setBreakpoints(t *testing.T, names ...string) (ids []int) {
	t.Helper()
	byFile := make(map[string][]session.SourceBreakpoint)
	for _, name := range names {
		at := r.marked(t, name)
		byFile[at.file] = append(byFile[at.file], session.SourceBreakpoint{Line: at.line})
	}
	for file, want := range byFile {
		got, err := r.s.SetBreakpoints(file, want)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range got {
			if !b.Verified || b.Line != want[i].Line || b.File != file || b.ID == 0 {
				t.Fatalf("breakpoint %+v, want a verified one on line %d", b, want[i].Line)
			}
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// end closes what the test left open: the service must be as it was.
func (r *rig) end(t *testing.T) {
	if r.Engine != nil {
		if err := r.Close("end of the test"); err != nil {
			t.Error(err)
		}
		if r.s != nil {
			if err := r.s.Close(); err != nil { // nobody may have read its events
				t.Error(err)
			}
		}
		noGoroutineLeft(t)
	}
	if !r.killed {
		r.checkUntouched(t)
	}
	_ = r.cmd.Process.Kill() // fails if it has ended
	_ = r.cmd.Wait()         // says how
	if t.Failed() {
		t.Logf("the engine's log:\n%s", r.log)
	}
}

func (r *rig) checkUntouched(t *testing.T) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", r.pid))
	if err != nil || len(tasks) == 0 {
		t.Errorf("the service has no threads: %v", err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // it ended just now
		}
		if !strings.Contains(string(text), "\nTracerPid:\t0\n") {
			t.Errorf("%s has a tracer", task)
		}
	}
	for range 20 {
		if status, err := get(allowed, r.url+cmp.Or(r.path, "/orders/7")); err != nil || status != 200 {
			t.Fatalf("afterwards: status %d, %v", status, err)
		}
	}
}

// noGoroutineLeft waits until no goroutine of the engine, or of what is below
// it, runs any more.
func noGoroutineLeft(t *testing.T) {
	t.Helper()
	var left []string
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left = nil
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			_, by, _ := strings.Cut(g, "\ncreated by ")
			if strings.HasPrefix(by, "github.com/remotedbg/remotedbg/internal/") && !strings.HasPrefix(by, "github.com/remotedbg/remotedbg/internal/session_test.") {
				left = append(left, g)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines are left after Close:\n%s", len(left), strings.Join(left, "\n\n"))
			return
		}
		<-tick.C
	}
}

// next gives the session's next event that is no text for the console.
func (r *rig) next(t *testing.T) session.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev, open := <-r.s.Events():
			if !open {
				t.Fatal("no more events")
			}
			if ev.Kind != session.EventOutput {
				return ev
			}
			r.log.add("to the IDE: " + ev.Text)
		case <-timeout:
			t.Fatalf("no event within %v; log:\n%s", patience, r.log)
		}
	}
}

// expect takes the next event, which must be of a kind.
func (r *rig) expect(t *testing.T, kind session.EventKind) session.Event {
	t.Helper()
	ev := r.next(t)
	if ev.Kind != kind {
		t.Fatalf("event %+v, want one of kind %d; log:\n%s", ev, kind, r.log)
	}
	return ev
}

// stopped takes the next event, which must be a stop of a request for a reason.
func (r *rig) stopped(t *testing.T, id session.RequestID, reason session.StopReason) session.Event {
	t.Helper()
	ev := r.expect(t, session.EventStopped)
	if ev.Request.ID != id || !ev.Request.Frozen || ev.Reason != reason || ev.Text != "" {
		t.Fatalf("event %+v, want request %d stopped: %s; log:\n%s", ev, id, reason, r.log)
	}
	return ev
}

// exited takes the next event, which must be the end of a request.
func (r *rig) exited(t *testing.T, id session.RequestID) {
	t.Helper()
	if ev := r.expect(t, session.EventExited); ev.Request.ID != id || ev.Request.Frozen {
		t.Fatalf("event %+v, want the end of request %d", ev, id)
	}
}

// request sends a gated request until one is taken: on a busy machine the 100 ms
// of an offer can go by.
func (r *rig) request(t *testing.T, path string) (session.Request, *reply) {
	t.Helper()
	re := ask(allowed, r.url+path)
	timeout := time.After(patience)
	for {
		select {
		case ev := <-r.s.Events():
			if ev.Kind != session.EventStarted || ev.Request.ID == 0 || ev.Request.Frozen {
				t.Fatalf("event %+v, want a request to start", ev)
			}
			return ev.Request, re
		case <-re.done:
			select {
			case ev := <-r.s.Events():
				t.Fatalf("the request was over at once: %+v, %v", ev, re.err)
			default:
				re = ask(allowed, r.url+path)
			}
		case <-timeout:
			t.Fatalf("no request was taken within %v", patience)
		}
	}
}

// where is the innermost function and line of a frozen request.
func (r *rig) where(t *testing.T, id session.RequestID) (fn string, line int) {
	t.Helper()
	err := r.s.Inspect(id, func(target *proc.Target) error {
		loc, err := proc.ThreadLocation(target.CurrentThread())
		if err == nil && loc.Fn != nil {
			fn, line = loc.Fn.Name, loc.Line
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fn, line
}

// at fails unless a frozen request stands on a marked line.
func (r *rig) at(t *testing.T, id session.RequestID, name string) {
	t.Helper()
	if fn, line := r.where(t, id); line != r.marked(t, name).line {
		t.Fatalf("request %d is in %s on line %d, want line %d (//bp:%s)", id, fn, line, r.marked(t, name).line, name)
	}
}
