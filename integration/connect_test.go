//go:build linux && amd64

package integration_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// connect starts remotedbg connect and waits until it is ready. What it serves is
// used like an agent.
func (r *rig) connect(args ...string) *harness.Agent {
	r.t.Helper()
	binary, err := builder.Agent()
	must(r.t, err)
	p, err := harness.Start(binary, append([]string{"connect", "--listen", "127.0.0.1:0"}, args...)...)
	must(r.t, err)
	through, err := harness.AwaitAgent(p)
	must(r.t, err)
	r.t.Cleanup(func() {
		if code, err := p.Stop(syscall.SIGTERM, endTimeout); err != nil || code != 0 {
			r.t.Errorf("connect ended with %d, %v", code, err)
		}
		if r.t.Failed() {
			r.t.Logf("connect (pid %d) wrote:\n%s%s", p.PID, p.Stdout, p.Stderr)
		}
	})
	return through
}

// socket is an agent that listens on a Unix socket.
func (r *rig) socket(args ...string) (*harness.Agent, string) {
	r.t.Helper()
	path := filepath.Join(shortDir(r.t), "agent.sock")
	return r.attach(append([]string{"--listen", "unix://" + path}, args...)...), path
}

// shortDir is a new directory: paths of sockets are bounded, and those of t.TempDir
// have the test's name in them.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rdbg")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// debugThrough freezes a request through a forwarder, steps, and lets it go.
func (r *rig) debugThrough(c *ide) {
	r.t.Helper()
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	p.held(r.t)
	got, err := c.Evaluate("id", th.top().ID, "watch")
	must(r.t, err)
	if got.Result != "7" {
		r.t.Errorf("id is %q", got.Result)
	}
	th.nextTo("order-price")
	p.held(r.t)
	th.resume()
	p.ok(r.t)
}

// TestConnectUnix debugs through the forwarder and the agent's socket, one session
// after the other.
func TestConnectUnix(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	_, path := r.socket()
	through := r.connect("unix://" + path)
	for range 2 {
		c := r.ide(through, nil, "order-loaded", "order-price")
		r.debugThrough(c)
		p := r.request("/orders/7")
		c.stopped("breakpoint", "order-loaded")
		p.held(t)
		must(t, c.Disconnect()) // and what is frozen goes on
		p.ok(t)
		must(t, c.Close())
	}
}

// TestConnectIDEVanishes: the request that an IDE has frozen goes on when the IDE is
// gone, however that came.
func TestConnectIDEVanishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	_, path := r.socket()
	through := r.connect("unix://" + path)
	c := r.ide(through, nil, "order-loaded")
	p := r.request("/orders/7")
	c.stopped("breakpoint", "order-loaded")
	p.held(t)
	must(t, c.Close())
	p.ok(t)

	// The forwarder is killed: the same.
	c = r.ide(through, nil, "order-loaded")
	binary, err := builder.Agent()
	must(t, err)
	other, err := harness.Start(binary, "connect", "--listen", "127.0.0.1:0", "unix://"+path)
	must(t, err)
	second, err := harness.AwaitAgent(other)
	must(t, err)
	must(t, c.Close())
	c = r.ide(second, nil, "order-loaded")
	p = r.request("/orders/7")
	c.stopped("breakpoint", "order-loaded")
	p.held(t)
	other.Kill()
	p.ok(t)
}

// TestConnectAgentDies: the IDE is told when its agent is killed in the middle, and
// can come again when there is a new one.
func TestConnectAgentDies(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	path := filepath.Join(shortDir(t), "agent.sock")
	binary, err := builder.Agent()
	must(t, err)
	agent, err := harness.StartAgent(binary, r.service.PID, "--listen", "unix://"+path)
	must(t, err)
	t.Cleanup(agent.Kill)
	through := r.connect("unix://" + path)
	c := r.ide(through, nil, "order-loaded")
	p := r.request("/orders/7")
	c.stopped("breakpoint", "order-loaded")
	agent.Kill()
	if _, err := c.WaitEvent("terminated"); err != nil {
		t.Errorf("%v; %q", err, outputs(c.Events()))
	}
	if said := strings.Join(outputs(c.Events()), "\n"); !strings.Contains(said, "the agent has closed the connection") {
		t.Errorf("the IDE is told %q", said)
	}
	p.ok(t)

	gone := r.dial(through)
	_, err = gone.Initialize()
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || !refused.Show || !strings.Contains(refused.Message, "remotedbg agents lists") {
		t.Errorf("without an agent: %v", err)
	}

	r.attach("--listen", "unix://"+path)
	r.debugThrough(r.ide(through, nil, "order-loaded", "order-price"))
}

// TestConnectSecondIDE: one IDE at a time, and a second one knows why.
func TestConnectSecondIDE(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	_, path := r.socket()
	through := r.connect("unix://" + path)
	first := r.ide(through, nil, "order-loaded", "order-price")
	second := r.dial(through)
	_, err := second.Initialize()
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || !refused.Show || !strings.Contains(refused.Message, "another IDE") {
		t.Errorf("the second IDE: %v", err)
	}
	r.debugThrough(first)
}

// TestConnectInvited: an invitation is used up when the command starts, and what it
// was exchanged for is good for every IDE that comes. Nobody can use it again.
func TestConnectInvited(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	link := r.invitation()
	through := r.connect(link)
	for range 2 {
		c := r.ide(through, nil, "order-loaded", "order-price")
		r.debugThrough(c)
		must(t, c.Disconnect())
		must(t, c.Close())
	}
	if said := through.Stderr.String() + through.Stdout.String(); strings.Contains(said, link[strings.Index(link, "#")+2:]) {
		t.Error("the secret is shown")
	}
	if code, said := runConnect(t, nil, link); code != 1 || !strings.Contains(said, "used already") || !strings.Contains(said, "hint:") {
		t.Errorf("the second use: exit code %d: %s", code, said)
	}
	if code, said := runConnect(t, nil, link[:len(link)-4]); code != 2 || strings.Contains(said, link[strings.Index(link, "#")+2:len(link)-4]) {
		t.Errorf("half a link: exit code %d: %s", code, said)
	}
}

// invitation starts an agent with TLS and returns what it prints to paste.
func (r *rig) invitation() string {
	r.t.Helper()
	binary, err := builder.Agent()
	must(r.t, err)
	p, err := harness.Start(binary, harness.AgentArgs(r.service.PID, "--invite", "1")...)
	must(r.t, err)
	r.agents = append(r.agents, &harness.Agent{Process: p})
	line, err := p.Stdout.WaitLine("remotedbg connect ", 20*time.Second)
	must(r.t, err)
	return strings.TrimPrefix(line, "remotedbg connect ")
}

// runConnect runs a connect that is to fail, and returns all that it says.
func runConnect(t *testing.T, env []string, args ...string) (code int, said string) {
	t.Helper()
	binary, err := builder.Agent()
	must(t, err)
	cmd := exec.Command(binary, append([]string{"connect", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestConnectPortTaken: the port is looked at first, so that the invitation is still
// good.
func TestConnectPortTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	link := r.invitation()
	if code, said := runConnect(t, nil, "--listen", taken.Addr().String(), link); code != 1 || !strings.Contains(said, "in use") || !strings.Contains(said, "takes a free port") {
		t.Errorf("exit code %d: %s", code, said)
	}
	r.debugThrough(r.ide(r.connect(link), nil, "order-loaded", "order-price"))
}

// TestConnectStdio debugs over the standard streams.
func TestConnectStdio(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	agent, path := r.socket()
	adapter := startAdapter(t, "unix://"+path)
	c := &ide{adapter.client, t}
	must(t, c.SessionWith(nil, ""))
	c.breakAt("order-loaded", "order-price")
	r.debugThrough(c)
	must(t, c.Disconnect())
	adapter.stdin.Close()
	adapter.ends(0)

	// The editor is killed while a request is frozen: its end of the pipes goes.
	adapter = startAdapter(t, "unix://"+path)
	c = &ide{adapter.client, t}
	must(t, c.SessionWith(nil, ""))
	c.breakAt("order-loaded")
	p := r.request("/orders/7")
	c.stopped("breakpoint", "order-loaded")
	p.held(t)
	adapter.stdin.Close()
	adapter.ends(0)
	p.ok(t)

	// The agent ends while the editor is there.
	adapter = startAdapter(t, "unix://"+path)
	c = &ide{adapter.client, t}
	must(t, c.SessionWith(nil, ""))
	code, err := agent.Stop(syscall.SIGTERM, endTimeout)
	if err != nil || code != 0 {
		t.Errorf("the agent ends with %d, %v", code, err)
	}
	if _, err := c.WaitEvent("terminated"); err != nil {
		t.Error(err)
	}
	adapter.ends(0)

	// And before it is there at all.
	adapter = startAdapter(t, "unix://"+path)
	if _, err := adapter.client.Initialize(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("without an agent: %v", err)
	}
	adapter.ends(1)
}

// adapter is a remotedbg connect --stdio that an editor has started.
type adapter struct {
	t      *testing.T
	client *daptest.Client
	stdin  io.WriteCloser
	ended  chan int
}

// stdio joins the two streams of a process.
type stdio struct {
	io.Reader
	io.WriteCloser
}

func startAdapter(t *testing.T, target string) *adapter {
	t.Helper()
	binary, err := builder.Agent()
	must(t, err)
	cmd := exec.Command(binary, "connect", "--stdio", target)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	// Not StdoutPipe: Wait would close it before the last message is read.
	read, write, err := os.Pipe()
	must(t, err)
	cmd.Stdout = write
	must(t, cmd.Start())
	write.Close()
	a := &adapter{t: t, client: daptest.New(stdio{read, stdin}), stdin: stdin, ended: make(chan int, 1)}
	a.client.Timeout = 20 * time.Second
	go func() {
		_ = cmd.Wait()
		a.ended <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill() // it has ended, unless the test has failed
		read.Close()
	})
	return a
}

// ends waits for the adapter's end.
func (a *adapter) ends(want int) {
	a.t.Helper()
	select {
	case code := <-a.ended:
		if code != want {
			a.t.Errorf("the adapter ends with %d, want %d", code, want)
		}
	case <-time.After(endTimeout):
		a.t.Error("the adapter does not end")
	}
}

// TestConnectStrangers: a process of another user and a web page reach nothing, and
// an IDE still does.
func TestConnectStrangers(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	agent, path := r.socket()
	through := r.connect("unix://" + path)
	_, port, err := net.SplitHostPort(through.Addr)
	must(t, err)

	const message = "Content-Length: 63\r\n\r\n" + `{"seq":1,"type":"request","command":"initialize","arguments":{}}`
	for name, send := range map[string]string{"and waits": "cat <&3", "and is gone": "exec 3>&-"} {
		// bash can connect without another program.
		stranger := exec.Command("bash", "-c", fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%s; printf '%%s' "$1" >&3; %s`, port, send), "stranger", message)
		stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		stranger.Dir = "/"
		// A reset while it writes makes it fail, which is as good.
		if out, _ := stranger.Output(); len(out) > 0 {
			t.Errorf("another user's process that sends %s is told %q", name, out)
		}
	}
	if _, err := through.Stderr.WaitLine("another user", 10*time.Second); err != nil {
		t.Error(err)
	}

	body := strings.NewReader(message)
	if resp, err := http.Post("http://"+through.Addr, "text/plain", body); err == nil {
		t.Errorf("a POST is answered with %s", resp.Status)
		resp.Body.Close()
	}
	if _, err := through.Stderr.WaitLine("begins like http", 10*time.Second); err != nil {
		t.Error(err)
	}
	if said := agent.Stderr.String(); strings.Contains(said, "stranger") || strings.Contains(said, "initialize") {
		t.Errorf("the agent heard of it:\n%s", said)
	}
	r.debugThrough(r.ide(through, nil, "order-loaded", "order-price"))
}

// TestConnectDelve: the stock dlv speaks JSON-RPC through the same port.
func TestConnectDelve(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	_, path := r.socket()
	through := r.connect("unix://" + path)
	conn, err := net.Dial("tcp", through.Addr)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, `{"method":"RPCServer.GetVersion","params":[{}],"id":1}`)
	must(t, err)
	answer := make([]byte, 1024)
	n, err := conn.Read(answer)
	must(t, err)
	if text := string(answer[:n]); !strings.Contains(text, `"id":1`) || !strings.Contains(text, "DelveVersion") {
		t.Errorf("the answer is %q", text)
	}
}
