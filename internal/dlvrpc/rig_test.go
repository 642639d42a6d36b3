//go:build linux && amd64

package dlvrpc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/dlvrpc"
	"github.com/remotedbg/remotedbg/internal/session"
)

// patience bounds every wait.
const patience = 20 * time.Second

const (
	allowed      = "127.0.0.2" // where gated requests come from
	writeTimeout = time.Second
)

// shop is the service, with an agent's engine and a server of the package in
// this process.
type shop struct {
	t      *testing.T
	engine *session.Engine
	pid    int
	url    string
	addr   string // of the server
	dir    string // of its sources

	mu  sync.Mutex
	log []string
}

func (s *shop) logs(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, line)
}

// logged says whether a line with text was logged.
func (s *shop) logged(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.log, func(line string) bool { return strings.Contains(line, text) })
}

// newShop builds and starts a shop, and attaches to it.
func newShop(t *testing.T) *shop {
	t.Helper()
	dir, err := filepath.Abs("../../integration/targets/shop")
	must(t, err)
	dir, err = filepath.EvalSymlinks(dir)
	must(t, err)
	s := &shop{t: t, dir: dir}
	s.start(s.build())

	s.engine, err = session.Open(context.Background(), session.Config{
		PID: s.pid, For: 10 * time.Minute, Log: s.logs,
		Allow: []session.Rule{{Prefix: netip.MustParsePrefix(allowed + "/32")}},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := s.engine.Close("the test is over"); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(strings.Join(s.log, "\n"))
		}
	})
	s.serve()
	return s
}

// build builds the shop outside of the workspace, as users build theirs.
func (s *shop) build() string {
	exe := filepath.Join(s.t.TempDir(), "shop")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

func (s *shop) start(exe string) {
	cmd := exec.Command(exe, "-addr", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(s.t, err)
	must(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the service ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(s.t, err)
	_, addr, ok := strings.Cut(strings.TrimSpace(line), " listening on ")
	if !ok {
		s.t.Fatalf("the service printed %q", line)
	}
	s.pid, s.url = cmd.Process.Pid, "http://"+addr
}

// serve serves clients until the test is over, and makes sure that nothing of
// them is left.
func (s *shop) serve() {
	server, err := dlvrpc.NewServer(dlvrpc.Config{Engine: s.engine, PID: s.pid, Log: s.logs, WriteTimeout: writeTimeout})
	must(s.t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				if err := server.ServeConn(ctx, nc, access.Identity{Role: access.Mutate}); err != nil {
					s.logs(err.Error())
				}
			})
		}
	})
	s.t.Cleanup(func() {
		cancel()
		ln.Close()
		done := make(chan struct{})
		go func() { conns.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(patience):
			s.t.Error("a connection is left")
		}
	})
}

// client connects Delve's own client.
func (s *shop) client() *rpc2.RPCClient {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	must(s.t, err)
	s.t.Cleanup(func() { nc.Close() })
	return rpc2.NewClientFromConn(nc)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mark finds a marked line of the shop.
func (s *shop) mark(name string) (file string, line int) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*.go"))
	must(s.t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(s.t, err)
		for i, l := range strings.Split(string(text), "\n") {
			if strings.HasSuffix(l, "//bp:"+name) {
				return file, i + 1
			}
		}
	}
	s.t.Fatalf("no line is marked //bp:%s", name)
	return "", 0
}

// at says whether a thread stands at a mark.
func (s *shop) at(th *api.Thread, name string) {
	s.t.Helper()
	if file, line := s.mark(name); th == nil || th.File != file || th.Line != line {
		s.t.Errorf("the thread is %+v, want it at %s:%d", th, file, line)
	}
}

// request is one in flight.
type request struct {
	t    *testing.T
	done chan struct{}
	body string
	err  error
}

// send sends an allowlisted request.
func (s *shop) send(path string) *request {
	r := &request{t: s.t, done: make(chan struct{})}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(allowed)}}).DialContext,
	}}
	go func() {
		defer close(r.done)
		resp, err := client.Get(s.url + path)
		if err != nil {
			r.err = err
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if r.body, r.err = string(body), err; err == nil && resp.StatusCode != http.StatusOK {
			r.err = fmt.Errorf("status %d", resp.StatusCode)
		}
	}()
	return r
}

func (r *request) held() {
	r.t.Helper()
	select {
	case <-r.done:
		r.t.Fatalf("the request is not held: %q, %v", r.body, r.err)
	default:
	}
}

func (r *request) ok() {
	r.t.Helper()
	select {
	case <-r.done:
		if r.err != nil {
			r.t.Fatal(r.err)
		}
	case <-time.After(patience):
		r.t.Fatal("the request is not answered")
	}
}

// state waits for the outcome of a continue.
func state(t *testing.T, ch <-chan *api.DebuggerState) *api.DebuggerState {
	t.Helper()
	select {
	case st := <-ch:
		if st.Err != nil {
			t.Fatal(st.Err)
		}
		return st
	case <-time.After(patience):
		t.Fatal("no stop")
		return nil
	}
}

// resumed waits until a client's continue has arrived.
func resumed(t *testing.T, c *rpc2.RPCClient) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		st, err := c.GetStateNonBlocking()
		must(t, err)
		if st.Running {
			return
		}
	}
	t.Fatal("it does not run")
}
