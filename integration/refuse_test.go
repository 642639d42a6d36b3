//go:build linux && amd64

package integration_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// refused fails unless nobody listens at a URL.
func refused(url string) error {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
	if err != nil {
		return nil
	}
	conn.Close()
	return errors.New("it takes connections")
}

// refusedAttach runs an agent that must refuse, say why and say what to do.
func refusedAttach(t *testing.T, pid int, why ...string) {
	t.Helper()
	binary, err := builder.Agent()
	must(t, err)
	p, err := harness.Start(binary, harness.AgentArgs(pid)...)
	must(t, err)
	defer p.Kill()
	code, err := p.Wait(30 * time.Second)
	text := p.Stderr.String()
	if err != nil || code != 1 {
		t.Errorf("the agent ended with %d, error %v; want 1\n%s", code, err, text)
	}
	if out := p.Stdout.String(); out != "" {
		t.Errorf("a refusal wrote %q on stdout", out)
	}
	for _, part := range append(why, "hint: ") {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in what the agent said:\n%s", part, text)
		}
	}
}

// TestSecondAgent attaches to a service that another agent has armed, before
// and after that one has ended.
func TestSecondAgent(t *testing.T) {
	t.Parallel()
	f := freezeOne(t)
	refusedAttach(t, f.service.PID, "another agent has armed this process")
	f.th.at("order-loaded")
	f.th.resume()
	f.p.ok(t)
	_, err := f.agent.Stop(2, endTimeout)
	must(t, err)
	c := f.debug("order-loaded")
	p := f.request("/orders/7")
	c.stopped("breakpoint", "order-loaded").resume()
	p.ok(t)
}

// TestTooManyIDEs: eight may attach; the ninth is told so, and nobody else
// notices.
func TestTooManyIDEs(t *testing.T) {
	t.Parallel()
	f := freezeOne(t)
	const most = 8
	for n := 2; n <= most+1; n++ {
		next := f.dial(f.agent)
		_, err := next.Initialize()
		must(t, err)
		err = next.Attach(nil)
		if n <= most {
			must(t, err)
			continue
		}
		var refusal *daptest.ResponseError
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "disconnect another IDE") || !refusal.Show {
			t.Errorf("IDE %d got %v", n, err)
		}
	}
	f.th.at("order-loaded")
	f.th.resume()
	f.p.ok(t)
}

const gateless = `package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("shop listening on", ln.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(ln, http.NotFoundHandler()))
}
`

// TestNoGate attaches to a service without the gate.
func TestNoGate(t *testing.T) {
	t.Parallel()
	binary, err := builder.Source("gateless", gateless)
	must(t, err)
	s, err := harness.StartService(binary)
	must(t, err)
	defer s.Kill()
	refusedAttach(t, s.PID, "no remotedbg gate", "middleware")
	must(t, harness.Untraced(s.PID))
	must(t, harness.TextIntact(s.PID))
}

// TestStripped attaches to a service built with -s -w.
func TestStripped(t *testing.T) {
	t.Parallel()
	binary, err := builder.Shop(harness.Variant{Stripped: true})
	must(t, err)
	s, err := harness.StartService(binary)
	must(t, err)
	defer s.Kill()
	refusedAttach(t, s.PID, "stripped", "-s -w")
	must(t, harness.Untraced(s.PID))
	must(t, harness.TextIntact(s.PID))
	client := harness.NewClient(s.URL, harness.Allowed, 1)
	defer client.Close()
	must(t, client.All(100, "/orders/7", time.Minute))
}

// TestNoProcess attaches to a process that has ended.
func TestNoProcess(t *testing.T) {
	t.Parallel()
	p, err := harness.Start("true")
	must(t, err)
	<-p.Done()
	refusedAttach(t, p.PID, "no such process")
}

// TestGarbage sends to the DAP port what is not DAP, while an IDE holds a
// request: the connection is closed, and nobody else notices.
func TestGarbage(t *testing.T) {
	t.Parallel()
	f := freezeOne(t)
	for name, garbage := range map[string]string{
		"http":      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"tls":       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 600),
		"no end":    strings.Repeat("x", 1<<20),
		"too large": "Content-Length: 99999999999\r\n\r\n{}",
		"negative":  "Content-Length: -1\r\n\r\n{}",
		"no number": "Content-Length: many\r\n\r\n{}",
	} {
		if err := closesOn(f.agent.Addr, garbage); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.serving(50)
	f.th.checkOrder()

	// From the IDE itself, well framed: an error is answered, and it goes on.
	for _, wrong := range []struct {
		command   string
		arguments any
	}{
		{"makeCoffee", nil},
		{"stackTrace", "not an object"},
		{"stackTrace", map[string]any{"threadId": 9999}},
		{"variables", map[string]any{"variablesReference": 1 << 30}},
		{"next", map[string]any{"threadId": -1}},
		{"initialize", nil},
	} {
		_, err := f.ide.Do(wrong.command, wrong.arguments)
		var refusal *daptest.ResponseError
		if !errors.As(err, &refusal) || refusal.ID == 0 {
			t.Errorf("%s %v: %v, want an error with an id", wrong.command, wrong.arguments, err)
		}
	}
	must(t, f.ide.Raw([]byte("Content-Length: 9\r\n\r\n{\"seq\":1,")))
	f.th.at("order-loaded")
	f.th.resume()
	f.p.ok(t)
}

// closesOn sends text and fails unless the other side closes the connection.
func closesOn(addr, text string) error {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, _ = io.WriteString(conn, text) // it may be closed half-way
	_, err = io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("the connection stays open")
	}
	return nil
}
