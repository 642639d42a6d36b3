//go:build linux && amd64

package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// rpcState is what the tests read of Delve's api.DebuggerState.
type rpcState struct {
	Running       bool
	CurrentThread struct {
		File string `json:"file"`
		Line int    `json:"line"`
	} `json:"currentThread"`
}

// jsonClient is a client of the JSON-RPC side, without Delve's own client.
type jsonClient struct {
	t *testing.T
	*rpc.Client
}

func dialRPC(t *testing.T, a *harness.Agent) *jsonClient {
	t.Helper()
	c, err := jsonrpc.Dial("tcp", a.Addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &jsonClient{t, c}
}

// call waits for a call, but not for ever.
func (c *jsonClient) call(method string, args, reply any) {
	c.t.Helper()
	c.wait(c.Go("RPCServer."+method, args, reply, nil))
}

func (c *jsonClient) wait(call *rpc.Call) {
	c.t.Helper()
	select {
	case <-call.Done:
		must(c.t, call.Error)
	case <-time.After(30 * time.Second):
		c.t.Fatalf("%s is not answered", call.ServiceMethod)
	}
}

// breakAt sets a breakpoint at a mark.
func (c *jsonClient) breakAt(name string) {
	c.t.Helper()
	m := mark(c.t, name)
	c.call("CreateBreakpoint", map[string]any{"Breakpoint": map[string]any{"file": m.File, "line": m.Line}}, new(struct{}))
}

// resume begins a continue, and returns once it has arrived.
func (c *jsonClient) resume(out *struct{ State rpcState }) *rpc.Call {
	c.t.Helper()
	call := c.Go("RPCServer.Command", map[string]any{"name": "continue"}, out, nil)
	must(c.t, harness.Until(10*time.Second, "it runs", func() error {
		var st struct{ State rpcState }
		c.call("State", map[string]any{"NonBlocking": true}, &st)
		if !st.State.Running {
			return errors.New("it does not")
		}
		return nil
	}))
	return call
}

// TestDAPAndRPC: a DAP client and a JSON-RPC client at one agent, each with its
// own requests.
func TestDAPAndRPC(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	ide := r.ide(a, map[string]any{"requests": map[string]any{"pathPrefix": "/steps"}}, "steps-level3", "order-loaded")
	c := dialRPC(t, a)
	c.breakAt("order-loaded")
	c.breakAt("steps-level3")
	var stopped struct{ State rpcState }
	running := c.resume(&stopped)

	orders, steps := r.request("/orders/7"), r.request("/steps")
	th := ide.stopped("breakpoint", "steps-level3")
	c.wait(running)
	if m := mark(t, "order-loaded"); stopped.State.CurrentThread.Line != m.Line {
		t.Errorf("the JSON-RPC client is at %+v", stopped.State.CurrentThread)
	}
	var gs struct{ Goroutines []json.RawMessage }
	c.call("ListGoroutines", map[string]any{}, &gs)
	threads, err := ide.Threads()
	must(t, err)
	if len(gs.Goroutines) != 1 || len(threads) != 1 {
		t.Errorf("%d goroutines, %d threads: each client has one request", len(gs.Goroutines), len(threads))
	}
	r.serving(100)
	c.call("Detach", map[string]bool{"Kill": false}, new(struct{}))
	orders.ok(t)
	steps.held(t)
	th.nextTo("after-sleep")
	th.resume()
	steps.ok(t)
}

// TestFrontDoor: what says nothing, or speaks something else, gets nowhere and
// keeps nobody out.
func TestFrontDoor(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	descriptors := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", a.PID))
		must(t, err)
		return len(list)
	}
	before := descriptors()
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\n{}", "SSH-2.0-x\r\n", "[]"} {
		nc, err := net.Dial("tcp", a.Addr)
		must(t, err)
		_, err = io.WriteString(nc, garbage)
		must(t, err)
		must(t, nc.SetReadDeadline(time.Now().Add(5*time.Second)))
		if n, err := nc.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q: %d bytes, %v", garbage, n, err)
		}
		nc.Close()
	}
	if _, err := a.Stderr.WaitLine("neither DAP nor JSON-RPC", 5*time.Second); err != nil {
		t.Error(err)
	}

	const silent = 100
	for range silent {
		nc, err := net.Dial("tcp", a.Addr)
		must(t, err)
		defer nc.Close()
	}
	must(t, harness.Until(5*time.Second, "silent connections are closed", func() error {
		if n := descriptors() - before; n > 40 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	}))
	r.request("/orders/7").ok(t)

	// Behind all of them, both kinds of client get in.
	c := dialRPC(t, a)
	var version struct{ APIVersion int }
	c.call("GetVersion", map[string]any{}, &version)
	if version.APIVersion != 2 {
		t.Errorf("version %+v", version)
	}
	err := c.Call("RPCServer.SetApiVersion", map[string]int{"APIVersion": 1}, new(struct{}))
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("API version 1: %v", err)
	}
	ide := r.ide(a, nil, "order-loaded")
	p := r.request("/orders/7")
	th := ide.stopped("breakpoint", "order-loaded")
	th.resume()
	p.ok(t)
}

// TestRPCMessages: what is no call of the protocol is the end of its connection
// at most.
func TestRPCMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	send := func(text string) string {
		nc, err := net.Dial("tcp", a.Addr)
		must(t, err)
		defer nc.Close()
		go func() { _, _ = io.WriteString(nc, text) }()
		must(t, nc.SetReadDeadline(time.Now().Add(20*time.Second)))
		answer := make([]byte, 4096)
		n, err := nc.Read(answer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.60q: the connection stays open", text)
		}
		return string(answer[:n])
	}
	for text, want := range map[string]string{
		`{"method":"RPCServer.Nonsense","params":[{}],"id":1}`:                     "unknown method",
		`{"method":"Other.State","params":[{}],"id":1}`:                            "unknown method",
		`{"method":"RPCServer.State","params":["x"],"id":1}`:                       "cannot be read",
		`{"method":"RPCServer.State","id":1}`:                                      "cannot be read",
		`{"method":"RPCServer.Stacktrace","params":[{"Id":-1,"Depth":-5}],"id":1}`: "no request is stopped",
		`{"method":"RPCServer.ExamineMemory","params":[{"Length":-1}],"id":1}`:     "length",
		`{"method":"RPCServer.Eval","params":[{"Expr":"((("}],"id":1}`:             "evaluate",
		`{"method":5}`: "",
		`{"method":"` + strings.Repeat("x", 5<<20): "",
	} {
		if got := send(text); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%.60q was answered with %q, want %q", text, got, want)
		}
	}
	if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
		t.Error(err)
	}
}
