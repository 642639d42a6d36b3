//go:build linux && amd64

package dap_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

type wire struct {
	t    *testing.T
	conn net.Conn
	r    io.Reader
}

func (w *wire) send(body string) {
	w.t.Helper()
	if _, err := fmt.Fprintf(w.conn, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) read() map[string]any {
	w.t.Helper()
	w.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var length int
	if _, err := fmt.Fscanf(w.r, "Content-Length: %d\r\n\r\n", &length); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "reset") {
			return nil
		}
		w.t.Fatal(err)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(w.r, body); err != nil {
		w.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func serveWire(t *testing.T, fake *fakeSession, cfg dap.Config) (*wire, <-chan error) {
	t.Helper()
	if cfg.NewSession == nil {
		cfg.NewSession = func(access.Identity) (dap.Session, error) { return fake, nil }
	}
	if cfg.Linger == 0 {
		cfg.Linger = 200 * time.Millisecond
	}
	srv, err := dap.NewServer(cfg)
	must(t, err)
	client, server := socketPair(t)
	end := make(chan error, 1)
	go func() { end <- srv.ServeConn(t.Context(), server, access.Identity{Role: access.Mutate}) }()
	t.Cleanup(func() { client.Close() })
	return &wire{t, client, client}, end
}

func waitFor(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		t.Fatalf("timed out waiting for %s", what)
	}
}

func TestHandshakeOrderOnTheWire(t *testing.T) {
	fake := newFake()
	fake.onMove = func(id session.RequestID) {
		fake.events <- session.Event{Kind: session.EventStopped, Request: aRequest(int(id)), Reason: session.StopStep}
	}
	w, _ := serveWire(t, fake, dap.Config{})
	w.send(`{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"go"}}`)
	w.send(`{"seq":2,"type":"request","command":"attach","arguments":{"mode":"remote","host":"x","port":1,"__sessionId":"s","stopOnEntry":true}}`)
	w.send(`{"seq":3,"type":"request","command":"configurationDone"}`)
	w.send(`{"seq":4,"type":"request","command":"next","arguments":{"threadId":5,"singleThread":true}}`)
	w.send(`{"seq":5,"type":"request","command":"continue","arguments":{"threadId":5}}`)
	w.send(`{"seq":6,"type":"request","command":"disconnect"}`)

	var got []string
	for m := w.read(); m != nil; m = w.read() {
		if seq := int(m["seq"].(float64)); seq != len(got)+1 {
			t.Errorf("message %d has seq %d", len(got)+1, seq)
		}
		switch m["type"] {
		case "response":
			got = append(got, fmt.Sprintf("%v:%v:%v", m["command"], m["request_seq"], m["success"]))
			if m["command"] == "continue" {
				body := m["body"].(map[string]any)
				if v, ok := body["allThreadsContinued"]; !ok || v != false {
					t.Errorf("continue's body is %v: clients take a missing allThreadsContinued for true", body)
				}
			}
		case "event":
			got = append(got, "event "+m["event"].(string))
			if m["event"] == "stopped" {
				body := m["body"].(map[string]any)
				if v, ok := body["allThreadsStopped"]; !ok || v != false || body["threadId"] != 5.0 {
					t.Errorf("stopped's body is %v", body)
				}
			}
		}
	}
	// The second stop may come after disconnect was handled, and then not at all.
	order := strings.Join(got, ", ")
	want := "initialize:1:true, attach:2:true, event initialized, configurationDone:3:true, event remotedbg/armed, next:4:true, "
	if !strings.HasPrefix(order, want) {
		t.Errorf("order on the wire:\n %s\nwant it to begin with\n %s", order, want)
	}
	if i, j := strings.Index(order, "next:4"), strings.Index(order, "event stopped"); j >= 0 && j < i {
		t.Errorf("stopped overtook the response of next: %s", order)
	}
	if !strings.HasSuffix(order, "disconnect:6:true") {
		t.Errorf("disconnect's response is not last: %s", order)
	}
	if !fake.called("SetStopOnEntry true") || !fake.called("Start") {
		t.Errorf("calls: %v", fake.calls)
	}
}

func TestBadMessagesGetOneError(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		seq        float64
		id         float64
	}{
		{"unknown command", `{"seq":7,"type":"request","command":"makeCoffee"}`, 7, 1002},
		{"unsupported command", `{"seq":7,"type":"request","command":"stepBack","arguments":{}}`, 7, 1003},
		{"cancel of a progress", `{"seq":7,"type":"request","command":"cancel","arguments":{"progressId":"progress 1"}}`, 7, 1004},
		{"malformed JSON with a seq", `{"seq":8,"type":"request","command":`, 8, 1001},
		{"malformed JSON", `hello`, 0, 1001},
		{"empty body", ``, 0, 1001},
		{"not an object", `[1,2]`, 0, 1001},
		{"seq is a string", `{"seq":"9","type":"request","command":"threads"}`, 0, 1001},
		{"command is a number", `{"seq":9,"type":"request","command":3}`, 9, 1001},
		{"a response", `{"seq":9,"type":"response","request_seq":1,"success":true,"command":"runInTerminal"}`, 9, 1001},
		{"an event", `{"seq":9,"type":"event","event":"x"}`, 9, 1001},
		{"no command", `{"seq":9,"type":"request"}`, 9, 1001},
		{"arguments of the wrong shape", `{"seq":9,"type":"request","command":"scopes","arguments":{"frameId":"x"}}`, 9, 1004},
		{"arguments are a list", `{"seq":9,"type":"request","command":"scopes","arguments":[1]}`, 9, 1004},
		{"second initialize", `{"seq":9,"type":"request","command":"initialize","arguments":{}}`, 9, 1005},
		{"second attach", `{"seq":9,"type":"request","command":"attach","arguments":{}}`, 9, 1005},
		{"launch while attached", `{"seq":9,"type":"request","command":"launch","arguments":{}}`, 9, 1005},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := serveWire(t, newFake(), dap.Config{})
			w.send(`{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"go"}}`)
			w.send(`{"seq":2,"type":"request","command":"attach","arguments":{"mode":"remote"}}`)
			w.read()
			w.read()
			w.read() // initialized
			w.send(tt.body)
			w.send(`{"seq":99,"type":"request","command":"threads"}`)
			m := w.read()
			if m["type"] != "response" || m["success"] != false || m["request_seq"] != tt.seq {
				t.Fatalf("got %v", m)
			}
			e := m["body"].(map[string]any)["error"].(map[string]any)
			if e["id"] != tt.id || e["format"] == "" || m["message"] == "" {
				t.Errorf("error is %v, want id %v", e, tt.id)
			}
			if m = w.read(); m["request_seq"] != 99.0 || m["success"] != true {
				t.Errorf("after it: %v, want the response of threads", m)
			}
		})
	}
}

func TestNotDAPClosesTheConnection(t *testing.T) {
	for _, tt := range []struct{ name, send string }{
		{"JSON-RPC", `{"method":"RPCServer.State","params":[],"id":1}` + "\n"},
		{"HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
		{"endless line", "C" + strings.Repeat("y", 1<<20)},
		{"body of a gigabyte", "Content-Length: 1073741824\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, end := serveWire(t, newFake(), dap.Config{})
			w.conn.Write([]byte(tt.send)) // may fail half-way: the server hangs up early
			if m := w.read(); m != nil {
				t.Errorf("got %v, want the connection closed", m)
			}
			select {
			case err := <-end:
				if err == nil {
					t.Error("ServeConn does not say what was wrong")
				}
			case <-time.After(10 * time.Second):
				t.Error("ServeConn did not return")
			}
		})
	}
}
