//go:build linux

package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// TestFloods: a thousand connections that are closed at once and a thousand that say
// nothing change nothing for who is in, and keep nobody out.
func TestFloods(t *testing.T) {
	for kind, h := range everyKind(t) {
		t.Run(kind, func(t *testing.T) {
			enter := func() net.Conn {
				conn := h.dial()
				if h.secure == nil {
					if !greeted(conn) {
						t.Fatalf("a client is not let in: %v, %v", h.all(), h.lines)
					}
					return conn
				}
				// An attack must not be needed to find out who may connect.
				if !h.house.secure(h.secure.client(clientCert(t, h.secure.authority, "alice"))) {
					t.Fatalf("a client is not let in: %v, %v", h.all(), h.lines)
				}
				return conn
			}
			inside := enter()
			before := runtime.NumGoroutine()
			for range 1000 {
				conn, err := net.Dial(h.ln.Addr().Network(), h.ln.Addr().String())
				must(t, err)
				conn.Close()
			}
			enter()
			var silent []net.Conn
			defer func() {
				for _, conn := range silent {
					conn.Close()
				}
			}()
			for range 1000 {
				conn, err := net.Dial(h.ln.Addr().Network(), h.ln.Addr().String())
				must(t, err)
				silent = append(silent, conn)
			}
			enter()
			settled(t, before+3*maxPending+20)
			h.mu.Lock()
			lines, events := len(h.lines), len(h.events)
			h.mu.Unlock()
			if lines > 200 || events > 200 {
				t.Errorf("%d lines in the log, %d in the audit", lines, events)
			}
			if h.secure == nil {
				if _, err := io.WriteString(inside, "still here"); err != nil {
					t.Errorf("who was in is cut off: %v", err)
				}
				if err := inside.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				if _, err := inside.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
					t.Error("who was in is cut off")
				}
			}
		})
	}
}

// TestSilence: what does not speak is closed after five seconds, and so is what stops
// in the middle.
func TestSilence(t *testing.T) {
	for _, said := range []string{"", "Conte", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(fmt.Sprintf("%q", said), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &house{t: t}
				d, err := New(Config{DAP: h.never, JSONRPC: h.never, Audit: h})
				must(t, err)
				server, client := net.Pipe()
				defer client.Close()
				v := &visit{Door: d, raw: server, source: "somebody", ln: &Listener{addr: "here"}}
				v.place = d.pending.enter(server, v.source)
				if said != "" { // an empty write is a read without a byte
					go func() { _, _ = io.WriteString(client, said) }()
				}
				began := time.Now()
				v.run(t.Context())
				if took := time.Since(began); took != patience {
					t.Errorf("it was closed after %v", took)
				}
				if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("it is not closed: %v", err)
				}
				if len(d.pending.conns) != 0 {
					t.Error("it still counts as pending")
				}
			})
		})
	}
}

func (h *house) never(context.Context, io.ReadWriteCloser, access.Identity) error {
	h.t.Error("somebody who said nothing was spoken to")
	return nil
}

// TestPendingIsFair: who has most loses its oldest.
func TestPendingIsFair(t *testing.T) {
	p := newPending()
	open := make(map[string][]net.Conn)
	enter := func(source string) {
		server, client := net.Pipe()
		t.Cleanup(func() { server.Close(); client.Close() })
		p.enter(server, source)
		open[source] = append(open[source], client)
	}
	closed := func(c net.Conn) bool {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // fails once it is closed
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	enter("a client")
	enter("another client")
	for range 100 {
		enter("a flood")
	}
	if len(p.conns) != maxPending {
		t.Errorf("%d are pending, at most %d may be", len(p.conns), maxPending)
	}
	if closed(open["a client"][0]) || closed(open["another client"][0]) {
		t.Error("a flood closes the connections of others")
	}
	for i, c := range open["a flood"] {
		if want := i < 100-(maxPending-2); closed(c) != want {
			t.Errorf("connection %d of the flood is closed: %t", i, !want)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := newBackoff()
	now := time.Now()
	b.now = func() time.Time { return now }
	var waits []time.Duration
	for range 12 {
		b.failed("x")
		left, first := b.waits("x")
		if left > 0 && !first {
			t.Error("nobody is told")
		}
		if _, again := b.waits("x"); again {
			t.Error("it is told twice")
		}
		waits = append(waits, left)
		now = now.Add(left)
		if left, _ := b.waits("x"); left != 0 {
			t.Errorf("after the wait there is another: %v", left)
		}
	}
	s := time.Second
	want := []time.Duration{0, 0, 0, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, 30 * s, 30 * s}
	if fmt.Sprint(waits) != fmt.Sprint(want) {
		t.Errorf("the waits are %v", waits)
	}
	b.failed("x")
	if left, _ := b.waits("y"); left != 0 {
		t.Error("others have to wait as well")
	}
	b.succeeded("x")
	b.failed("x")
	if left, _ := b.waits("x"); left != 0 {
		t.Error("a success does not count")
	}
	for range 5 {
		b.failed("z")
	}
	now = now.Add(forgiven + time.Second)
	b.failed("z")
	if left, _ := b.waits("z"); left != 0 {
		t.Error("it is never forgiven")
	}
	for i := range 3 * maxSources {
		b.failed(fmt.Sprint(i))
	}
	if len(b.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(b.sources))
	}
}

func TestQuiet(t *testing.T) {
	q := newQuiet()
	now := time.Now()
	q.now = func() time.Time { return now }
	spoken := 0
	for range 1000 {
		if _, ok := q.speak("x"); ok {
			spoken++
		}
	}
	if spoken != quietBurst {
		t.Errorf("%d lines at once", spoken)
	}
	if _, ok := q.speak("y"); !ok {
		t.Error("one source hides another")
	}
	now = now.Add(quietEvery)
	if left, ok := q.speak("x"); !ok || left != 1000-quietBurst {
		t.Errorf("after a pause: %t, and %d more", ok, left)
	}
	for i := range 3 * maxQuiet {
		q.speak(fmt.Sprint(i))
	}
	if len(q.sources) > maxQuiet {
		t.Errorf("%d sources are remembered", len(q.sources))
	}
}

// TestGuessing: after a few wrong invitations the source has to wait, also with the
// right one, and is let in afterwards.
func TestGuessing(t *testing.T) {
	p, desk := newGuests(t, time.Now().Add(time.Hour))
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	var skipped atomic.Int64 // h's goroutines read it
	h.backoff.now = func() time.Time { return time.Now().Add(time.Duration(skipped.Load())) }
	link, err := desk.Invite(ln.String())
	must(t, err)
	text := []byte(link.Text())
	if at := &text[len(text)-10]; *at == 'A' { // another letter that may be there
		*at = 'B'
	} else {
		*at = 'A'
	}
	wrong, err := invite.Parse(string(text))
	must(t, err)
	for range freeFailures + 1 {
		if _, err := h.redeem(wrong); !errors.Is(err, invite.Unknown) {
			t.Fatalf("a guess: %v", err)
		}
	}
	h.wait(audit.ConnectionRefused, freeFailures+1)
	if _, err := h.redeem(link); err == nil {
		t.Error("nobody has to wait")
	}
	if e := h.wait(audit.ConnectionRefused, freeFailures+2); !strings.Contains(e.attrs["reason"], "too many failed attempts") {
		t.Errorf("the audit has %v", e)
	}
	skipped.Store(int64(firstWait))
	if _, err := h.redeem(link); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestTooMany: clients that are in are bounded, too, and the next is told so in the
// log.
func TestTooMany(t *testing.T) {
	ln, err := ListenLoopback(anyLoopback, everybody)
	h := open(t, ln, err)
	for range maxClients {
		if !greeted(h.dial()) {
			t.Fatal("not let in")
		}
	}
	last := h.dial()
	if greeted(last) {
		t.Error("one too many is let in")
	}
	if e := h.wait(audit.ConnectionRefused, 1); !strings.Contains(e.attrs["reason"], "16 clients") {
		t.Errorf("the audit has %v", e)
	}
}

// TestServeEnds: with its context, with every connection, whatever it is at.
func TestServeEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	p := newPKI(t, Name{Name: "alice"})
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	silent := h.dial()
	if !h.secure(p.client(clientCert(t, p.authority, "alice"))) {
		t.Fatal("not let in")
	}
	must(t, h.stop())
	if got := closedBy(t, silent); len(got) > 0 {
		t.Errorf("it heard %q", got)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("still listening")
	}
	settled(t, before)
}

// settled waits until no more than n goroutines run.
func settled(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > n {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, at most %d should be left", runtime.NumGoroutine(), n)
		}
		time.Sleep(time.Millisecond) // a poll of the condition above
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	h := &house{t: t}
	d, err := New(Config{DAP: h.never, JSONRPC: h.never})
	must(t, err)
	ln, err := ListenLoopback(anyLoopback, everybody)
	must(t, err)
	must(t, ln.Close())
	if err := d.Serve(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "DAP") || !strings.Contains(err.Error(), "JSONRPC") {
		t.Errorf("a door with nothing behind it: %v", err)
	}
}

func TestSources(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.7:1": "203.0.113.7", "[::ffff:203.0.113.7]:1": "203.0.113.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%lo]:1": "fe80::/64",
	} {
		conn := from{addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))}
		if got := sourceOf(conn); got != want {
			t.Errorf("%s counts for %s", addr, got)
		}
	}
}
