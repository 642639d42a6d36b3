package forward

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// patience bounds every wait of the tests that is not itself what is tested.
const patience = 10 * time.Second

// standIn is an agent that answers every DAP request with success. What it does
// for a command can be replaced.
type standIn struct {
	t      *testing.T
	ln     net.Listener
	path   string
	on     map[string]func(*visitor, int) // by command; seq of the request
	visits chan *visitor
}

// visitor is one connection to a standIn.
type visitor struct {
	net.Conn
	mu    sync.Mutex
	seq   int
	ended chan struct{} // closed once it has read the end, or an error
	err   error         // why, nil for the end
}

func startStandIn(t *testing.T) *standIn {
	t.Helper()
	s := &standIn{t: t, path: filepath.Join(t.TempDir(), "4711.sock"), on: map[string]func(*visitor, int){}, visits: make(chan *visitor, 1024)}
	ln, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			v := &visitor{Conn: conn, ended: make(chan struct{})}
			s.visits <- v
			conns.Go(func() { s.serve(v) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return s
}

func (s *standIn) serve(v *visitor) {
	defer v.Close()
	defer close(v.ended)
	r := bufio.NewReader(v)
	for {
		first, err := r.Peek(1)
		if err == nil && first[0] == '{' {
			_, err = io.Copy(v, r) // JSON-RPC: an echo
			v.err = err
			return
		}
		body, err := firstDAP(r)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				v.err = err
			}
			return
		}
		var asked struct {
			Seq     int
			Command string
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			v.err = err
			return
		}
		if f := s.on[asked.Command]; f != nil {
			f(v, asked.Seq)
			continue
		}
		v.respond(asked.Command, asked.Seq, strings.Repeat("x", 10))
	}
}

func (v *visitor) say(message map[string]any) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seq++
	message["seq"] = v.seq
	text, err := frame(message)
	if err != nil {
		return err
	}
	_, err = v.Write(text)
	return err
}

func (v *visitor) respond(command string, seq int, result string) error {
	return v.say(map[string]any{"type": "response", "request_seq": seq, "success": true, "command": command, "body": map[string]any{"result": result}})
}

// visit is the next connection to the stand-in.
func (s *standIn) visit() *visitor {
	s.t.Helper()
	select {
	case v := <-s.visits:
		return v
	case <-time.After(patience):
		s.t.Fatal("nobody connects to the agent")
		return nil
	}
}

// sawEnd fails unless the agent sees the connection's end.
func (v *visitor) sawEnd(t *testing.T) {
	t.Helper()
	select {
	case <-v.ended:
	case <-time.After(patience):
		t.Fatal("the agent does not see that the IDE has gone")
	}
}

// port is a Serve that runs.
type port struct {
	t    *testing.T
	addr string
	stop context.CancelCauseFunc
	log  *journal
	done chan error
}

// journal keeps lines.
type journal struct {
	mu      sync.Mutex
	text    []string
	changed chan struct{}
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) line(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, s)
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.text, "\n")
}

// wait waits for a line with text in it.
func (j *journal) wait(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		lines, changed := j.text, j.changed
		j.mu.Unlock()
		for _, line := range lines {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no line with %q in:\n%s", text, j)
		}
	}
}

func serve(t *testing.T, route Route) *port {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(context.Background())
	p := &port{t: t, addr: ln.Addr().String(), stop: stop, log: newJournal(), done: make(chan error, 1)}
	go func() { p.done <- Serve(ctx, ln, route, p.log.line) }()
	t.Cleanup(func() {
		stop(ErrStopped)
		select {
		case err := <-p.done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
			p.done <- nil
		case <-time.After(patience):
			t.Error("Serve does not end")
		}
		if t.Failed() {
			t.Logf("it said:\n%s", p.log)
		}
	})
	return p
}

// ide connects a DAP client and initializes its session.
func (p *port) ide() *daptest.Client {
	p.t.Helper()
	c, err := daptest.Dial(p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	if _, err := c.Initialize(); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// dial connects without saying anything.
func (p *port) dial() net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// remainder is everything that still comes on conn. A reset is an end too.
func remainder(conn net.Conn) string {
	var got bytes.Buffer
	_, err := io.Copy(&got, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return got.String() + "(it stays open)"
	}
	return got.String()
}

func initialize() []byte {
	text, err := frame(map[string]any{"seq": 1, "type": "request", "command": "initialize", "arguments": map[string]any{"adapterID": "go"}})
	if err != nil {
		panic(err)
	}
	return text
}

// failing is a route that leads nowhere.
type failing struct{ err error }

func (f failing) Prepare(context.Context) (string, error) { return "", f.err }
func (f failing) Dial(context.Context) (net.Conn, error)  { return nil, f.err }
func (f failing) Close() error                            { return nil }
func (f failing) String() string                          { return fmt.Sprintf("nowhere (%v)", f.err) }
