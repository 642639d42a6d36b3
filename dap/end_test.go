//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/internal/session"
)

func TestEnd(t *testing.T) {
	fake := newFake()
	b := attached(t, fake)
	fake.events <- session.Event{Kind: session.EventEnded, Text: "expired after 15m"}
	_, err := b.WaitOutput("expired after 15m")
	must(t, err)
	_, err = b.WaitEvent("terminated")
	must(t, err)
	if _, err := b.Threads(); failure(t, err).ID != 1105 {
		t.Errorf("threads after the end: %v", err)
	}
	must(t, b.Disconnect()) // still answered
	must(t, b.ended(t))
	waitFor(t, "the client to see the end", b.Done())
	waitFor(t, "Close", fake.closed)
}

func TestEndWithoutGoodbye(t *testing.T) {
	fake := newFake()
	b := attached(t, fake)
	fake.events <- session.Event{Kind: session.EventEnded, Text: "gone"}
	_, err := b.WaitEvent("terminated")
	must(t, err)
	must(t, b.ended(t)) // closes by itself
}

func TestDisconnectAndTerminateNeverKill(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(b *bench) error
		says string
	}{
		{"disconnect", func(b *bench) error { return b.Disconnect() }, ""},
		{"disconnect, terminateDebuggee", func(b *bench) error {
			_, err := b.Do("disconnect", map[string]any{"terminateDebuggee": true})
			return err
		}, "terminateDebuggee is ignored"},
		{"disconnect, suspendDebuggee", func(b *bench) error {
			_, err := b.Do("disconnect", map[string]any{"suspendDebuggee": true})
			return err
		}, "suspendDebuggee is ignored"},
		{"terminate", func(b *bench) error { return b.Terminate() }, "not terminated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fake := newFake()
			b := attached(t, fake)
			must(t, tt.do(b))
			if tt.says != "" {
				_, err := b.WaitOutput(tt.says)
				must(t, err)
			}
			if tt.name == "terminate" {
				_, err := b.WaitEvent("terminated")
				must(t, err)
				must(t, b.Disconnect())
			}
			waitFor(t, "Close", fake.closed)
			must(t, b.ended(t))
		})
	}
}

func TestLostConnectionDetaches(t *testing.T) {
	fake := newFake()
	b := attached(t, fake)
	b.conn.Close()
	waitFor(t, "Close", fake.closed)
	b.ended(t)
}

func TestClientThatStopsReading(t *testing.T) {
	fake := newFake()
	w, end := serveWire(t, fake, dap.Config{WriteTimeout: 100 * time.Millisecond})
	w.send(`{"seq":1,"type":"request","command":"initialize","arguments":{}}`)
	w.send(`{"seq":2,"type":"request","command":"attach","arguments":{}}`)
	// More than the socket buffers and the queue hold.
	go func() {
		big := strings.Repeat("x", 1<<20)
		for range 60 {
			fake.events <- session.Event{Kind: session.EventOutput, Text: big}
		}
	}()
	select {
	case err := <-end:
		if err == nil {
			t.Error("ServeConn does not say that the client took nothing")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a client that does not read blocks the server")
	}
	waitFor(t, "Close", fake.closed)
}

func TestSilentConnectionIsClosed(t *testing.T) {
	w, end := serveWire(t, newFake(), dap.Config{FirstMessage: 50 * time.Millisecond})
	if m := w.read(); m != nil {
		t.Errorf("got %v", m)
	}
	if err := <-end; err == nil {
		t.Error("ServeConn does not say why")
	}
}
