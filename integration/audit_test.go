//go:build linux && amd64

package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-dap"
	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/integration/harness"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// auditLines are the lines of one agent.
type auditLines []map[string]any

// auditOf reads what an agent wrote to its audit, which it names at its start, and
// holds every line against the documentation.
func auditOf(t *testing.T, a *harness.Agent) auditLines {
	t.Helper()
	_, path, found := strings.Cut(a.Stderr.String(), "audit: ")
	path, _, _ = strings.Cut(path, "\n")
	if !found {
		t.Fatalf("the agent does not say where its audit is: %s", a.Stderr)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	var lines auditLines
	for line := range bytes.Lines(text) {
		if err := audit.Check(line); err != nil {
			t.Error(err)
			continue
		}
		var m map[string]any
		must(t, json.Unmarshal(line, &m))
		if m["agent"] == float64(a.PID) { // agents share the file
			lines = append(lines, m)
		}
	}
	return lines
}

// find lists the lines of an event whose field has a value.
func (l auditLines) find(event, field string, value any) (found auditLines) {
	for _, m := range l {
		if m["event"] == event && (field == "" || fmt.Sprint(m[field]) == fmt.Sprint(value)) {
			found = append(found, m)
		}
	}
	return found
}

// TestAudit: a whole session is written down, in its order, with who it was.
func TestAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "mutate")
	c := r.ide(a, nil, "order-loaded")
	m := mark(t, "order-loaded")
	_, err := c.Do("setBreakpoints", dap.SetBreakpointsArguments{
		Source: dap.Source{Path: m.File}, Breakpoints: []dap.SourceBreakpoint{{Line: m.Line, Condition: "order.ID == 7"}},
	})
	must(t, err)
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	frame := th.top().ID
	_, err = c.Evaluate("order.Customer", frame, "watch")
	must(t, err)
	_, err = c.Do("setExpression", dap.SetExpressionArguments{Expression: "order.ID", Value: "8", FrameId: frame})
	must(t, err)
	// Questions may have secrets in them; whether they are answered is beside the point.
	_, _ = c.Evaluate(`order.Customer.Name == "4111111111111111"`, frame, "watch")
	_, _ = c.Do("setExpression", dap.SetExpressionArguments{Expression: "user.Password", Value: `"hunter2"`, FrameId: frame})
	th.step(th.Next)
	th.resume()
	p.ok(t)
	must(t, c.Disconnect())
	if code, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil || code != 0 {
		t.Errorf("the agent ended with %d, %v", code, err)
	}

	lines := auditOf(t, a)
	var events []string
	for i, l := range lines {
		if l["seq"] != float64(i+1) {
			t.Errorf("line %d has the number %v", i+1, l["seq"])
		}
		what := fmt.Sprint(l["event"])
		if l["event"] == audit.Command {
			what += " " + fmt.Sprint(l["command"])
		}
		events = append(events, what)
		if session, ok := l["session"]; ok && (session != 1.0 || l["proof"] != "uid" || l["uid"] != float64(os.Getuid()) || l["role"] != "mutate" || !strings.HasPrefix(fmt.Sprint(l["from"]), "127.0.0.1:")) {
			t.Errorf("whose session it is: %v", l)
		}
	}
	next := 0
	for _, want := range []string{
		audit.AgentStarted, audit.AgentArmed, audit.ConnectionAccepted, "command initialize", audit.SessionOpened, "command configurationDone",
		"command setBreakpoints", audit.RequestTaken, audit.RequestStopped, "command stackTrace", "command evaluate", "command setExpression",
		"command next", audit.RequestThawed, audit.RequestStopped, "command continue", audit.RequestThawed, audit.RequestReleased,
		"command disconnect", audit.SessionClosed, audit.AgentEnded,
	} {
		i := slices.Index(events[next:], want)
		if i < 0 {
			t.Fatalf("no %q where it should be in %q", want, events)
		}
		next += i + 1
	}
	if len(lines.find(audit.ConnectionClosed, "", nil)) != 1 {
		t.Errorf("the end of the connection is not written down: %q", events)
	}
	checkAuditFields(t, lines, th.id, m)
}

// checkAuditFields looks into the lines of TestAudit.
func checkAuditFields(t *testing.T, lines auditLines, request int, at harness.Mark) {
	t.Helper()
	only := func(event, field string, value any) map[string]any {
		t.Helper()
		found := lines.find(event, field, value)
		if len(found) == 0 {
			t.Fatalf("no %s with %s %v", event, field, value)
		}
		return found[len(found)-1]
	}
	is := func(l map[string]any, want map[string]any) {
		t.Helper()
		for k, v := range want {
			if fmt.Sprint(l[k]) != fmt.Sprint(v) {
				t.Errorf("%v: %s is %v, want %v", l["event"], k, l[k], v)
			}
		}
	}
	is(only(audit.RequestTaken, "request", request), map[string]any{"rule": harness.Allowed + "/32", "client": harness.Allowed, "method": "GET", "path": "/orders/7", "session": 1})
	is(only(audit.RequestStopped, "reason", "breakpoint"), map[string]any{"file": at.File, "line": at.Line, "request": request})
	is(only(audit.RequestThawed, "reason", "continue"), map[string]any{"request": request})
	is(only(audit.RequestReleased, "request", request), map[string]any{"reason": "it has finished", "stops": 2})
	text, err := json.Marshal(lines)
	must(t, err)
	for _, secret := range []string{"hunter2", "4111111111111111"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the audit has %s", secret)
		}
	}
	if hidden := lines.find(audit.Command, "command", "setExpression"); len(hidden) != 2 || !strings.Contains(fmt.Sprint(hidden[1]["arguments"]), "user.Password") {
		t.Errorf("what was set is written down as %v", hidden)
	}
	set := lines.find(audit.Command, "command", "setExpression")[0]
	is(set, map[string]any{"mutates": true, "protocol": "dap", "request": request})
	is(set["arguments"].(map[string]any), map[string]any{"expression": "order.ID", "value": "8"})
	is(only(audit.Command, "command", "evaluate"), map[string]any{"mutates": false, "request": request})
	is(lines.find(audit.Command, "command", "evaluate")[0]["arguments"].(map[string]any), map[string]any{"expression": "order.Customer", "context": "watch"})
	if breaks := fmt.Sprint(only(audit.Command, "command", "setBreakpoints")["arguments"]); !strings.Contains(breaks, "order.ID == 7") || !strings.Contains(breaks, at.File) {
		t.Errorf("the breakpoint is written down as %s", breaks)
	}
	is(only(audit.AgentEnded, "", nil), map[string]any{"reason": "the agent was stopped (SIGTERM)"})
}

// TestAuditWhyReleased: whatever ends a freeze, the audit says what it was.
func TestAuditWhyReleased(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		end  func(r *rig, c *ide, th *thread)
		want string
	}{
		{"continue", nil, func(_ *rig, _ *ide, th *thread) { th.resume() }, "continue"},
		{"disconnect", nil, func(_ *rig, c *ide, _ *thread) { must(c.t, c.Disconnect()) }, "its IDE has detached"},
		{"connection lost", nil, func(_ *rig, c *ide, _ *thread) { c.Close() }, "its IDE has detached"},
		{"max hold", []string{"--max-hold", "300ms"}, func(_ *rig, _ *ide, th *thread) { th.gone() }, "--max-hold"},
		{"expiry", []string{"--for", "3s"}, func(r *rig, _ *ide, _ *thread) {
			_, err := r.agents[0].Wait(20 * time.Second)
			must(r.t, err)
		}, "expired after 3s"},
		{"signal", nil, func(r *rig, _ *ide, _ *thread) {
			_, err := r.agents[0].Stop(syscall.SIGINT, endTimeout)
			must(r.t, err)
		}, `the agent was stopped \(SIGINT\)`},
		{"process gone", nil, func(r *rig, _ *ide, _ *thread) {
			r.service.Kill()
			_, err := r.agents[0].Wait(20 * time.Second)
			must(r.t, err)
		}, "its thread has ended|has exited"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, harness.Variant{})
			a := r.attach(tt.args...)
			c := r.ide(a, nil, "order-loaded")
			p := r.request("/orders/7")
			th := c.stopped("breakpoint", "order-loaded")
			tt.end(r, c, th)
			if r.service.Running() {
				p.ok(t)
			}
			must(t, harness.Until(5*time.Second, "the audit says it", func() error {
				lines := auditOf(t, a)
				thawed, released := lines.find(audit.RequestThawed, "request", th.id), lines.find(audit.RequestReleased, "request", th.id)
				if len(thawed) != 1 || len(released) != 1 {
					return fmt.Errorf("%d lines of the thaw, %d of the release", len(thawed), len(released))
				}
				reason := fmt.Sprint(thawed[0]["reason"])
				if !regexp.MustCompile(tt.want).MatchString(reason) {
					return fmt.Errorf("thawed: %s", reason)
				}
				if thawed[0]["frozen_ms"] != released[0]["frozen_ms"] {
					return fmt.Errorf("frozen for %v and in all for %v", thawed[0]["frozen_ms"], released[0]["frozen_ms"])
				}
				return nil
			}))
		})
	}
}

// TestAuditDiskFull: nothing is changed that cannot be written down, and everything
// else goes on: the frozen request, the others, looking and stepping.
func TestAuditDiskFull(t *testing.T) {
	t.Parallel()
	limits := []struct {
		name string
		full func(t *testing.T, a *harness.Agent, path string)
		room func(t *testing.T, a *harness.Agent, path string)
		want string
	}{
		{"file size limit", func(t *testing.T, a *harness.Agent, path string) {
			st, err := os.Stat(path)
			must(t, err)
			limitFileSize(t, a.PID, uint64(st.Size()))
		}, func(t *testing.T, a *harness.Agent, _ string) { limitFileSize(t, a.PID, unix.RLIM_INFINITY) }, "file too large"},
		{"file gone for a folder", func(t *testing.T, _ *harness.Agent, path string) {
			must(t, os.Rename(path, path+".1"))
			must(t, os.Mkdir(path, 0o700))
		}, func(t *testing.T, _ *harness.Agent, path string) { must(t, os.Remove(path)) }, "directory"},
	}
	for _, tt := range limits {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			diskFull(t, filepath.Join(t.TempDir(), "audit.log"), tt.full, tt.room, tt.want)
		})
	}
	if os.Geteuid() != 0 {
		return // only root may mount a small disk; the limit above is the same to write(2)
	}
	t.Run("no space left", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
		defer func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
		ballast := filepath.Join(dir, "ballast")
		diskFull(t, filepath.Join(dir, "audit.log"), func(t *testing.T, _ *harness.Agent, path string) {
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("the disk takes it: %v", err)
			}
			// The file's last page has room left.
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.WriteString("\n")
			}
		}, func(t *testing.T, _ *harness.Agent, _ string) { must(t, os.Remove(ballast)) }, "no space left")
	})
}

func limitFileSize(t *testing.T, pid int, most uint64) {
	t.Helper()
	must(t, unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: unix.RLIM_INFINITY}, nil))
}

func diskFull(t *testing.T, path string, full, room func(*testing.T, *harness.Agent, string), want string) {
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "mutate", "--audit", path)
	c := r.ide(a, nil, "order-loaded", "order-price")
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	set := func() error {
		_, err := c.Do("setExpression", dap.SetExpressionArguments{Expression: "order.ID", Value: "8", FrameId: th.top().ID})
		return err
	}
	id := func() string {
		t.Helper()
		v, err := c.Evaluate("order.ID", th.top().ID, "watch")
		must(t, err)
		return v.Result
	}
	full(t, a, path)
	if err := set(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "not done") {
		t.Errorf("a change that cannot be written down: %v", err)
	}
	if got := id(); got != "7" {
		t.Errorf("order.ID is %s: it was changed", got)
	}
	r.serving(100)
	must(t, th.Continue(th.id))
	th.again("breakpoint", "order-price")
	if _, err := a.Stderr.WaitLine("commands that change the service are refused", 5*time.Second); err != nil {
		t.Errorf("the operator is not told: %v", err)
	}
	room(t, a, path)
	if err := set(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := id(); got != "8" {
		t.Errorf("order.ID is %s: it was not changed", got)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Contains(text, []byte(`"event":"audit.lost"`)) {
		t.Errorf("the lost lines are not told of:\n%s", text)
	}
	th.resume()
	if reply := p.wait(t); reply.Err != nil || reply.Status != http.StatusOK {
		t.Errorf("status %d, %v", reply.Status, reply.Err)
	}
}

// TestAuditThatCannotBeOpened: no audit, no session, and the service is not touched.
func TestAuditThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	binary, err := builder.Agent()
	must(t, err)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink("/dev/null", link))
	for path, want := range map[string]string{
		link:        "symbolic link",
		"/dev/null": "no regular file",
		filepath.Join(t.TempDir(), "missing", "audit.log"): "no such file",
	} {
		p, err := harness.Start(binary, harness.AgentArgs(r.service.PID, "--audit", path)...)
		must(t, err)
		if code, err := p.Wait(endTimeout); err != nil || code != 1 || !strings.Contains(p.Stderr.String(), want) || !strings.Contains(p.Stderr.String(), "hint: --audit PATH") {
			t.Errorf("--audit %s: it ended with %d, %v: %s", path, code, err, p.Stderr)
		}
	}
	r.request("/orders/7").ok(t)
}
