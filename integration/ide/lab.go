//go:build linux && amd64

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

const (
	// sessionTimeout bounds the whole session; each wait in it has a bound of
	// its own that says more when it is over.
	sessionTimeout = 4 * time.Minute
	// endTimeout bounds the end of each process.
	endTimeout = 20 * time.Second
	// manyOthers is how many requests that are not allowlisted are sent while one
	// is frozen.
	manyOthers = 100
	// niceness is that of VS Code and the browser, which belong on another
	// machine: here they must not take the processor from the agent, whose
	// watchdog kills it when it does not get to run for half a second.
	niceness = "15"
)

// lab is the service, its agent, and VS Code.
type lab struct {
	tools   tools
	dir     string // for everything that a session writes, but the screenshots
	marks   map[string]harness.Mark
	service *harness.Service
	agent   *harness.Agent
	server  *harness.Process // VS Code's
	script  *harness.Process // the person at the mouse, and Chromium
	url     string           // of VS Code
}

// newLab starts everything but the browser. It ends what it started if it fails.
func newLab(builder *harness.Builder, t tools) (l *lab, err error) {
	l = &lab{tools: t}
	if l.dir, err = os.MkdirTemp("", "remotedbg-ide-"); err != nil {
		return nil, fmt.Errorf("remotedbg: ide test: %w", err)
	}
	if err := l.start(builder); err != nil {
		return nil, fmt.Errorf("%w\n%s", errors.Join(err, l.end()), l.outputs())
	}
	return l, nil
}

func (l *lab) start(builder *harness.Builder) error {
	shop, err := builder.Shop(harness.Variant{})
	if err != nil {
		return err
	}
	agent, err := builder.Agent()
	if err != nil {
		return err
	}
	if l.marks, err = harness.Marks(filepath.Join(builder.Root, "integration", "targets", "shop")); err != nil {
		return err
	}
	if l.service, err = harness.StartService(shop); err != nil {
		return err
	}
	if l.agent, err = harness.StartAgent(agent, l.service.PID); err != nil {
		return err
	}
	return errors.Join(
		os.Mkdir(l.path("tmp"), 0o755),
		writeFolder(l.folder(), filepath.Dir(l.marks["order-loaded"].File), l.agent),
		writeSettings(l.path("user")),
		os.CopyFS(l.path("extensions", "remotedbg.remotedbg-attach-0.0.1"), os.DirFS(filepath.Join(l.tools.scripts, "extension"))),
		l.startServer(),
	)
}

func (l *lab) path(names ...string) string {
	return filepath.Join(append([]string{l.dir}, names...)...)
}

func (l *lab) folder() string { return l.path("src", "shop") }

// startServer starts VS Code's server on a free loopback port.
func (l *lab) startServer() error {
	var err error
	l.server, err = harness.Start("nice", "-n", niceness, "env",
		"-u", "VSCODE_IPC_HOOK_CLI", // set in VS Code's own terminal: the folder would be opened in that window
		"-u", "PORT", "-u", "PASSWORD", "-u", "HASHED_PASSWORD", "-u", "XDG_RUNTIME_DIR",
		"TMPDIR="+l.path("tmp"), // for its sockets, which it leaves behind
		"XDG_DATA_HOME="+l.path("data"), "XDG_CONFIG_HOME="+l.path("config"), "XDG_CACHE_HOME="+l.path("cache"),
		l.tools.node, l.tools.server,
		"--config", l.path("config.yaml"),
		"--auth", "none", "--bind-addr", "127.0.0.1:0",
		"--user-data-dir", l.path("user"), "--extensions-dir", l.path("extensions"),
		"--disable-telemetry", "--disable-update-check", "--disable-workspace-trust",
		"--disable-getting-started-override",
	)
	if err != nil {
		return err
	}
	const ready = "HTTP server listening on "
	line, err := l.server.Stdout.WaitLine(ready, time.Minute)
	if err != nil {
		return fmt.Errorf("remotedbg: ide test: VS Code's server: %w", err)
	}
	_, url, _ := strings.Cut(line, ready)
	l.url = strings.TrimSuffix(strings.TrimSpace(url), "/")
	return nil
}

// session has one session and judges it.
func (l *lab) session(ctx context.Context, screenshots string) error {
	p := l.plan(screenshots)
	want, err := l.answers(ctx, p)
	if err != nil {
		return err
	}
	seen, err := l.drive(ctx, p)
	if err != nil {
		return err
	}
	return errors.Join(
		judge(seen, p, l.marks, want),
		// The client has the response before the handler's slot is free.
		harness.Until(2*time.Second, "every slot is free", func() error { return harness.SlotsFree(l.service.PID) }),
		harness.Untraced(l.service.PID),
		harness.TextIntact(l.service.PID),
	)
}

func (l *lab) plan(screenshots string) plan {
	at := l.marks["order-loaded"]
	return plan{
		URL: l.url, Folder: l.folder(), Chromium: l.tools.chromium, Screenshots: screenshots, SideBar: 520,
		Service: l.service.URL, Allowed: harness.Allowed, OtherAddress: harness.Others, Others: manyOthers,
		File: filepath.Base(at.File), BreakLine: at.Line,
		First: 7, Second: 3, Third: 14, Last: 20,
	}
}

// answers is what the service says to the requests of a plan when nobody stops
// them.
func (l *lab) answers(ctx context.Context, p plan) (map[int]string, error) {
	client := harness.NewClient(l.service.URL, harness.Others, 1)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	want := make(map[int]string)
	for _, id := range []int{p.First, p.Second, p.Third, p.Last} {
		r := client.Get(ctx, fmt.Sprintf("/orders/%d", id))
		if r.Err != nil || r.Status != http.StatusOK {
			return nil, fmt.Errorf("remotedbg: ide test: order %d before the session: status %d, %w", id, r.Status, r.Err)
		}
		want[id] = r.Body
	}
	return want, nil
}

// drive runs session.mjs and returns what it saw.
func (l *lab) drive(ctx context.Context, p plan) (saw, error) {
	argument, err := json.Marshal(p)
	if err != nil {
		return saw{}, err
	}
	if err := l.copyScripts(); err != nil {
		return saw{}, fmt.Errorf("remotedbg: ide test: scripts: %w", err)
	}
	l.script, err = harness.Start("nice", "-n", niceness, "env", "TMPDIR="+l.path("tmp"), l.tools.node, l.path("scripts", "session.mjs"), string(argument))
	if err != nil {
		return saw{}, err
	}
	select {
	case <-l.script.Done():
	case <-ctx.Done():
		return saw{}, errors.New("remotedbg: ide test: interrupted")
	case <-time.After(sessionTimeout):
		return saw{}, fmt.Errorf("remotedbg: ide test: the session is not over after %v", sessionTimeout)
	}
	fmt.Print(l.script.Stderr) // the stages
	code, err := l.script.Wait(time.Second)
	if err != nil || code != 0 {
		return saw{}, fmt.Errorf("remotedbg: ide test: the session in VS Code ended with %d, %v; see above and the last screenshot", code, err)
	}
	var seen saw
	if err := json.Unmarshal([]byte(l.script.Stdout.String()), &seen); err != nil {
		return saw{}, fmt.Errorf("remotedbg: ide test: %w in what the session printed:\n%s", err, l.script.Stdout)
	}
	return seen, nil
}

// copyScripts puts the scripts beside node_modules, where their imports look.
func (l *lab) copyScripts() error {
	files, err := filepath.Glob(filepath.Join(l.tools.scripts, "*.mjs"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(l.path("scripts"), 0o755); err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.path("scripts", filepath.Base(file)), text, 0o644); err != nil {
			return err
		}
	}
	return os.Symlink(l.tools.modules, l.path("scripts", "node_modules"))
}

// end ends everything that was started. What has to end well does, or that is
// an error.
func (l *lab) end() error {
	var errs []error
	if l.script != nil && l.script.Running() {
		// A signal has Playwright close the browser first.
		if _, err := l.script.Stop(syscall.SIGTERM, endTimeout); err != nil {
			errs = append(errs, err)
		}
	}
	if l.server != nil {
		_, err := l.server.Stop(syscall.SIGTERM, endTimeout)
		errs = append(errs, err)
	}
	if l.agent != nil {
		code, err := l.agent.Stop(syscall.SIGTERM, endTimeout)
		if err == nil && code != 0 {
			err = fmt.Errorf("remotedbg: ide test: the agent ended with %d", code)
		}
		errs = append(errs, err)
	}
	if l.service != nil {
		errs = append(errs, l.service.Shutdown())
	}
	return errors.Join(append(errs, endOrphans(), os.RemoveAll(l.dir))...)
}

// outputs is what the processes wrote, for a failure's report.
func (l *lab) outputs() string {
	var b strings.Builder
	for _, one := range []struct {
		name    string
		process *harness.Process
	}{{"VS Code's server", l.server}, {"agent", agentProcess(l.agent)}, {"service", serviceProcess(l.service)}} {
		if one.process != nil {
			fmt.Fprintf(&b, "-- %s (pid %d) wrote:\n%s%s", one.name, one.process.PID, tail(one.process.Stdout), tail(one.process.Stderr))
		}
	}
	return b.String()
}

// tail is the end of what a process wrote: VS Code's server prints a long trace
// for every package that it can do without and that is not installed.
func tail(o *harness.Output) string {
	const most = 40
	lines := strings.SplitAfter(o.String(), "\n")
	if len(lines) <= most {
		return strings.Join(lines, "")
	}
	return fmt.Sprintf("(%d lines left out)\n%s", len(lines)-most, strings.Join(lines[len(lines)-most:], ""))
}

func agentProcess(a *harness.Agent) *harness.Process {
	if a == nil {
		return nil
	}
	return a.Process
}

func serviceProcess(s *harness.Service) *harness.Process {
	if s == nil {
		return nil
	}
	return s.Process
}
