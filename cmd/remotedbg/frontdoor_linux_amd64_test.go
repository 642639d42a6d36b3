package main

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestFirstByte: what says nothing is given up after a while, or when the agent
// ends; what speaks is handed on from its first byte.
func TestFirstByte(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // when the client speaks; 0: never
		ended time.Duration // when the agent ends; 0: never
		want  byte          // 0: refused
		took  time.Duration
	}{
		{"speaks at once", 1, 0, '{', 1},
		{"speaks late", firstByteTimeout - time.Second, 0, '{', firstByteTimeout - time.Second},
		{"silent", 0, 0, 0, firstByteTimeout},
		{"silent while the agent ends", 0, time.Second, 0, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				server, client := net.Pipe()
				defer server.Close()
				defer client.Close()
				if c.ended > 0 {
					time.AfterFunc(c.ended, cancel)
				}
				if c.after > 0 {
					go func() {
						time.Sleep(c.after)
						_, _ = io.WriteString(client, `{"id":1}`)
					}()
				}
				d := &frontDoor{log: func(line string) { t.Error(line) }}
				d.enter(server)
				began := time.Now()
				first, err := d.firstByte(ctx, server)
				if first != c.want || (err != nil) != (c.want == 0) || time.Since(began) != c.took {
					t.Errorf("first byte %q, %v after %v", first, err, time.Since(began))
				}
				if len(d.silent) != 0 {
					t.Error("it still counts as silent")
				}
				if c.want == 0 {
					return
				}
				whole := &begun{Conn: server, first: []byte{first}}
				text := make([]byte, len(`{"id":1}`))
				if _, err := io.ReadFull(whole, text); err != nil || string(text) != `{"id":1}` {
					t.Errorf("handed on was %q, %v", text, err)
				}
			})
		})
	}
}

// TestSilentDoNotPileUp: one too many closes the oldest.
func TestSilentDoNotPileUp(t *testing.T) {
	d := &frontDoor{}
	var clients []net.Conn
	for range maxSilent + 1 {
		server, client := net.Pipe()
		defer client.Close()
		defer server.Close()
		clients = append(clients, client)
		d.enter(server)
	}
	if len(d.silent) != maxSilent {
		t.Errorf("%d are silent, at most %d may be", len(d.silent), maxSilent)
	}
	if _, err := clients[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the oldest was not closed: %v", err)
	}
	if err := clients[1].SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := clients[1].Read(make([]byte, 1)); err == io.EOF {
		t.Error("the second oldest was closed, too")
	}
}
