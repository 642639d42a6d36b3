package forward

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// TestServe: an IDE's requests reach the agent, byte for byte, one IDE after the
// other.
func TestServe(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	for range 3 {
		c := p.ide()
		got, err := c.Evaluate("x", 1, "watch")
		if err != nil || got.Result != "xxxxxxxxxx" {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := c.Disconnect(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		agent.visit().sawEnd(t)
	}
}

// A stream of any bytes passes as it is, in both directions, and either end may
// close its own half first.
func TestServeJSONRPC(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	conn := p.dial()
	text := `{"method":"RPCServer.SetApiVersion","params":[{"APIVersion":2}],"id":0}` + strings.Repeat("\x00\xff\r\n", 100_000)
	go func() {
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != text {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(text), err)
	}
	agent.visit().sawEnd(t)
}

// TestServeSecond: a second IDE is told why it is refused, in its own protocol, and
// the first goes on. When the first has gone, there is place.
func TestServeSecond(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	first := p.ide()
	second, err := daptest.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	_, err = second.Initialize()
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || refused.ID != errorBusy || !refused.Show || !strings.Contains(refused.Message, "another IDE") {
		t.Errorf("the second IDE: %v", err)
	}
	select {
	case <-second.Done():
	case <-time.After(patience):
		t.Error("the second IDE's connection stays open")
	}

	rpc := p.dial()
	io.WriteString(rpc, `{"method":"RPCServer.SetApiVersion","params":[{"APIVersion":2}],"id":7}`)
	var answer struct {
		ID    int    `json:"id"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(rpc).Decode(&answer); err != nil || answer.ID != 7 || !strings.Contains(answer.Error, "another IDE") {
		t.Errorf("the JSON-RPC client: %+v, %v", answer, err)
	}
	rpc.Close()

	if _, err := first.Evaluate("x", 1, "watch"); err != nil {
		t.Errorf("the first IDE: %v", err)
	}
	first.Close()
	p.ide()
	if n := strings.Count(p.log.String(), "refused"); n != 2 {
		t.Errorf("%d refusals were said:\n%s", n, p.log)
	}
}

// Restart: an editor connects again while its last session is still ending.
func TestServeHandover(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	for range 20 {
		c := p.ide()
		go c.Close()
	}
}

// TestServeNoAgent: the first request is answered with why.
func TestServeNoAgent(t *testing.T) {
	p := serve(t, failing{&Error{Err: errors.New("remotedbg: no {agent} there"), Advice: "start one\nor not"}})
	c, err := daptest.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Initialize()
	var refused *daptest.ResponseError
	if !errors.As(err, &refused) || refused.ID != errorNoAgent || refused.Message != "remotedbg: no (agent) there (start one; or not)" {
		t.Errorf("%v", err)
	}
}

// TestServeAgentDies: an agent that is gone in the middle is an end with a reason,
// unless it is gone in the middle of a message.
func TestServeAgentDies(t *testing.T) {
	agent := startStandIn(t)
	agent.on["evaluate"] = func(v *visitor, seq int) { v.Close() }
	agent.on["threads"] = func(v *visitor, seq int) {
		v.Write([]byte("Content-Length: 100\r\n\r\n{"))
		v.Close()
	}
	p := serve(t, &unixRoute{path: agent.path})
	c := p.ide()
	if _, err := c.Evaluate("x", 1, "watch"); !errors.Is(err, daptest.ErrClosed) {
		t.Errorf("evaluate: %v", err)
	}
	var told []string
	for _, event := range c.Events() {
		switch event := event.(type) {
		case *dap.OutputEvent:
			told = append(told, event.Body.Category+": "+event.Body.Output)
		case *dap.TerminatedEvent:
			told = append(told, "terminated")
		}
	}
	if want := "important: remotedbg: the agent has closed the connection\n|terminated"; strings.Join(told, "|") != want {
		t.Errorf("the IDE is told %q", told)
	}
	p.log.wait(t, "the agent has closed the connection")

	half := p.dial()
	half.Write(initialize())
	if _, err := firstDAP(half); err != nil {
		t.Fatal(err)
	}
	text, _ := frame(map[string]any{"seq": 2, "type": "request", "command": "threads"})
	half.Write(text)
	if got := remainder(half); got != "Content-Length: 100\r\n\r\n{" {
		t.Errorf("after half a message the IDE gets %q", got)
	}
}

// A session that the agent has ended in good order gets no last words.
func TestServeAgentEnds(t *testing.T) {
	agent := startStandIn(t)
	agent.on["evaluate"] = func(v *visitor, seq int) {
		v.say(map[string]any{"type": "event", "event": "terminated"})
		v.Close()
	}
	p := serve(t, &unixRoute{path: agent.path})
	c := p.ide()
	if _, err := c.Evaluate("x", 1, "watch"); !errors.Is(err, daptest.ErrClosed) {
		t.Errorf("evaluate: %v", err)
	}
	if events := c.Events(); len(events) != 1 {
		t.Errorf("%d events came, want the agent's one", len(events))
	}
	p.log.wait(t, "disconnected")
}

// TestServeIDEVanishes: the agent learns it, whether the IDE closes or is killed.
func TestServeIDEVanishes(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	for _, reset := range []bool{false, true} {
		conn := p.dial()
		conn.Write(initialize())
		if _, err := firstDAP(conn); err != nil {
			t.Fatal(err)
		}
		if reset {
			conn.(*net.TCPConn).SetLinger(0)
		}
		conn.Close()
		agent.visit().sawEnd(t)
	}
}

// An agent that does not end its side is not waited for without end.
func TestServeAgentLingers(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := serve(t, &plainRoute{ln.Addr().String()})
	conn := p.dial()
	conn.Write(initialize())
	agent, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	conn.Close()
	p.log.wait(t, "disconnected")
}

// TestServeStops: the IDE is told that the command was stopped, and the agent sees
// the end.
func TestServeStops(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	c := p.ide()
	silent := p.dial()
	p.stop(ErrStopped)
	agent.visit().sawEnd(t)
	<-c.Done()
	events := c.Events()
	if len(events) != 2 {
		t.Fatalf("%d events", len(events))
	}
	if out, ok := events[0].(*dap.OutputEvent); !ok || !strings.Contains(out.Body.Output, "remotedbg connect was stopped") {
		t.Errorf("the IDE is told %+v", events[0])
	}
	if got := remainder(silent); got != "" {
		t.Errorf("a silent connection gets %q", got)
	}
}

// TestServeStrangers: nothing of what a browser or a scanner can begin with reaches
// the agent, and they are told nothing.
func TestServeStrangers(t *testing.T) {
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	message := string(initialize())
	for name, bytes := range map[string]string{
		"POST with a DAP message as its body": "POST / HTTP/1.1\r\nHost: rebound.example:2345\r\nOrigin: http://rebound.example\r\nContent-Length: " + "200\r\n\r\n" + message,
		"GET":                                 "GET / HTTP/1.1\r\nHost: localhost:2345\r\n\r\n",
		"WebSocket":                           "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + message,
		"CONNECT":                             "CONNECT localhost:2345 HTTP/1.1\r\n\r\n" + message,
		"HTTP/2":                              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"TLS":                                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SSH":                                 "SSH-2.0-OpenSSH_10.0\r\n",
		"zeros":                               "\x00\x00\x00\x00",
	} {
		conn := p.dial()
		io.WriteString(conn, bytes)
		if got := remainder(conn); got != "" {
			t.Errorf("%s: it is told %q", name, got)
		}
	}
	if n := strings.Count(p.log.String(), "closed: it begins like"); n != 8 {
		t.Errorf("%d of 8 were said:\n%s", n, p.log)
	}
	if !strings.Contains(p.log.String(), `Host "rebound.example:2345", Origin "http://rebound.example"`) {
		t.Errorf("the rebound host is not named:\n%s", p.log)
	}
	select {
	case <-agent.visits:
		t.Error("one of them reached the agent")
	default:
	}
	p.ide()
}

// Connections that say nothing do not keep an IDE out for long, nor pile up.
func TestServeSilent(t *testing.T) {
	t.Parallel()
	agent := startStandIn(t)
	p := serve(t, &unixRoute{path: agent.path})
	for range 3 * maxPending {
		p.dial()
	}
	p.log.wait(t, "others have not said anything yet")
	deadline := time.Now().Add(firstTime + patience)
	for {
		c, err := daptest.Dial(p.addr)
		if err == nil {
			_, err = c.Initialize()
			defer c.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no IDE gets in: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
