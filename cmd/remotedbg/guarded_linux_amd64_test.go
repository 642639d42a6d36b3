package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// guardPatience bounds every wait for another process.
const guardPatience = 30 * time.Second

// builtPrograms builds the command and the example service, once.
var builtPrograms = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "remotedbg-guarded-"); err != nil {
		return "", err
	}
	afterTests = append(afterTests, func() { _ = os.RemoveAll(dir) })
	for name, src := range map[string][2]string{"remotedbg": {".", "."}, "shop": {filepath.Join("..", "..", "integration", "targets"), "./shop"}} {
		// -buildvcs=false: the checkout may belong to another user.
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, name), src[1])
		cmd.Dir = src[0]
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

// program is a started program.
type program struct {
	t      *testing.T
	pid    int
	first  string // line of output
	stderr *os.File
	done   chan struct{} // closed when it has been reaped
	cmd    *exec.Cmd
}

func startProgram(t *testing.T, name string, args ...string) *program {
	t.Helper()
	dir, err := builtPrograms()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, done: make(chan struct{}), cmd: exec.Command(filepath.Join(dir, name), args...)}
	// A file and no pipe: whoever is killed first, nobody waits for its end.
	if p.stderr, err = os.CreateTemp(t.TempDir(), name); err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = p.cmd.Process.Pid
	p.first, err = bufio.NewReader(stdout).ReadString('\n')
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // wait tells how it ended
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s %q wrote:\n%s", name, args, p.said())
		}
		p.stderr.Close()
	})
	if err != nil {
		t.Fatalf("%s wrote %q, %v\n%s", name, p.first, err, p.said())
	}
	p.first = strings.TrimSpace(p.first)
	return p
}

func (p *program) said() string {
	text, err := os.ReadFile(p.stderr.Name())
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

func (p *program) signal(sig unix.Signal) {
	p.t.Helper()
	if err := unix.Kill(p.pid, sig); err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended
		p.t.Fatal(err)
	}
}

// wait waits for the end: the exit code, or minus the signal.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(guardPatience):
		p.t.Fatalf("%s does not end\n%s", p.cmd.Path, p.said())
	}
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return -int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// guarded is a service, its agent, an IDE and, once freeze was called, a
// request that is frozen.
type guarded struct {
	t        *testing.T
	shop     *program
	agent    *program
	watchdog int
	url      string
	ide      *daptest.Client
	thread   int
	reply    chan error // of the frozen request
}

const guardAllowed = "127.0.0.2"

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, shop: startProgram(t, "shop", "-addr", "127.0.0.1:0"), reply: make(chan error, 1)}
	g.url = "http://" + strings.TrimPrefix(g.shop.first, "shop listening on ")
	g.attach()
	return g
}

func (g *guarded) attach() {
	g.t.Helper()
	g.agent = startProgram(g.t, "remotedbg", "attach", "--pid", strconv.Itoa(g.shop.pid), "--allow", guardAllowed, "--listen", "127.0.0.1:0")
	g.watchdog = 0
	for _, pid := range watchdogsOf(g.t, g.agent.pid) {
		g.watchdog = pid
	}
	if g.watchdog == 0 {
		g.t.Fatal("the agent has no watchdog")
	}
	addr := strings.TrimSuffix(strings.TrimPrefix(g.agent.first, "listening on "), " (DAP)")
	var err error
	if g.ide, err = daptest.Dial(addr); err != nil {
		g.t.Fatal(err)
	}
	g.ide.Timeout = guardPatience
	g.t.Cleanup(func() { g.ide.Close() })
}

// watchdogsOf finds the watchdogs of an agent by their command lines.
func watchdogsOf(t *testing.T, agent int) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may have ended
		if bytes.Contains(text, []byte("\x00watchdog-of-agent\x00"+strconv.Itoa(agent)+"\x00")) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// freeze sends a request and waits until it is stopped.
func (g *guarded) freeze() {
	g.t.Helper()
	file, line := g.mark("order-loaded")
	if err := g.ide.Session(file, line); err != nil {
		g.t.Fatal(err)
	}
	go func() { g.reply <- request(g.url+"/orders/7", guardAllowed) }()
	stop, err := g.ide.WaitStopped(daptest.AnyThread)
	if err != nil {
		g.t.Fatal(err)
	}
	g.thread = stop.ThreadId
}

// mark finds the line of the service that is marked //bp:name.
func (g *guarded) mark(name string) (file string, line int) {
	g.t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "integration", "targets", "shop"))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	files, globErr := filepath.Glob(filepath.Join(dir, "*.go"))
	if err := errors.Join(err, globErr); err != nil {
		g.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			g.t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.HasSuffix(line, "//bp:"+name) {
				return file, i + 1
			}
		}
	}
	g.t.Fatalf("no line is marked //bp:%s", name)
	return "", 0
}

// answered waits for the response to the request that was frozen.
func (g *guarded) answered() {
	g.t.Helper()
	select {
	case err := <-g.reply:
		if err != nil {
			g.t.Errorf("the request that was frozen: %v", err)
		}
	case <-time.After(guardPatience):
		g.t.Fatal("the request that was frozen is not answered")
	}
}

// intact fails unless nothing is left of the agent: no tracer, no stopped
// thread, no watchdog, and requests are served.
func (g *guarded) intact() {
	g.t.Helper()
	g.untraced()
	until(g.t, "the watchdog has ended", func() bool { return len(watchdogsOf(g.t, g.agent.pid)) == 0 })
	for i := range 200 {
		from := "127.0.0.1"
		if i%10 == 0 {
			from = guardAllowed
		}
		if err := request(g.url+"/orders/7", from); err != nil {
			g.t.Fatalf("request %d afterwards, from %s: %v", i, from, err)
		}
	}
	g.untraced()
}

func (g *guarded) untraced() {
	g.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", g.shop.pid))
	if err != nil || len(files) == 0 {
		g.t.Fatalf("the service has no threads: %v", err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // the thread may have ended
		for line := range strings.Lines(string(text)) {
			if tracer, ok := strings.CutPrefix(line, "TracerPid:\t"); ok && tracer != "0\n" || strings.HasPrefix(line, "State:\tt") || strings.HasPrefix(line, "State:\tT") {
				g.t.Errorf("%s: %s", file, strings.TrimSpace(line))
			}
		}
	}
}

// request sends one and wants a 200.
func request(url, from string) error {
	client := http.Client{
		Timeout: guardPatience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext,
		},
	}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return errors.Join(err, resp.Body.Close())
}

// slowest sends requests, one after the other, until stopped, and tells how
// long the slowest took.
func (g *guarded) slowest() (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan time.Duration, 1)
	go func() {
		var worst time.Duration
		for ctx.Err() == nil {
			began := time.Now()
			if err := request(g.url+"/orders/3", "127.0.0.1"); err != nil {
				g.t.Errorf("a request of somebody else: %v", err)
			}
			worst = max(worst, time.Since(began))
		}
		result <- worst
	}()
	return func() time.Duration { cancel(); return <-result }
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(guardPatience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", guardPatience, what)
		}
	}
}
