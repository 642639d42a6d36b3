package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware"
)

var loopback = gatetest.Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32")}

// serve starts a server with h behind an outer middleware of the test's.
func serve(t *testing.T, h http.Handler, http2 bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "outer")))
	}))
	srv.Config.ErrorLog = log.New(quiet{}, "", 0)
	if http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

func TestBehavioursAreThoseOfNetHTTP(t *testing.T) {
	modes := []struct {
		name string
		wrap func(http.Handler) http.Handler
		arm  bool
	}{
		{"without", func(h http.Handler) http.Handler { return h }, false},
		{"unarmed", middleware.Handler, false},
		{"trapped", middleware.Handler, true},
		{"trapped, nested", func(h http.Handler) http.Handler {
			return middleware.New(new(gate.Gate))(middleware.Handler(h))
		}, true},
	}
	for _, http2 := range []bool{false, true} {
		for _, mode := range modes {
			for _, b := range behaviours {
				name := map[bool]string{false: "HTTP1/", true: "HTTP2/"}[http2] + mode.name + "/" + b.name
				t.Run(name, func(t *testing.T) {
					var agent *gatetest.Agent
					if mode.arm {
						agent = gatetest.Arm(t, loopback)
					}
					srv := serve(t, mode.wrap(b.handler), http2)
					b.check(t, srv.URL, srv.Client())
					// A client sends a request again when a connection that
					// was in use before is closed on it: at least one.
					if mode.arm && len(agent.Offers()) < 1 {
						t.Error("the request was not trapped")
					}
				})
			}
		}
	}
}

func TestHijack(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	srv := serve(t, middleware.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() { // outlives the request, as a WebSocket does
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := rw.ReadString('\n')
			io.WriteString(conn, "echo "+line)
		}()
	})), false)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	io.WriteString(conn, "hello\n")
	if line, err := br.ReadString('\n'); err != nil || line != "echo hello\n" {
		t.Errorf("read %q, %v", line, err)
	}
	if len(agent.Offers()) != 1 {
		t.Errorf("offers = %v", agent.Offers())
	}
}

// TestDeadlinesAreLifted: a handler that takes longer than the server's
// timeouts stands for one that is frozen. Trapped it is answered; untouched, it
// is not, nor is the one after a trapped one on the same connection.
func TestDeadlinesAreLifted(t *testing.T) {
	const timeout = 150 * time.Millisecond
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[http2], func(t *testing.T) {
			agent := gatetest.Arm(t, loopback)
			h := middleware.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(2 * timeout)
				body, err := io.ReadAll(r.Body)
				io.WriteString(w, string(body)+" "+errText(err))
			}))
			srv := httptest.NewUnstartedServer(h)
			srv.Config.WriteTimeout, srv.Config.ReadTimeout = timeout, timeout
			srv.Config.ErrorLog = log.New(quiet{}, "", 0)
			if http2 {
				srv.EnableHTTP2 = true
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()

			// The body comes late, so that the read deadline matters as well.
			got, err := post(srv, &lateReader{delay: 2 * timeout, text: "late"})
			if err != nil || got != "late <nil>" {
				t.Errorf("trapped: %q, %v", got, err)
			}
			if n := len(agent.Offers()); n != 1 {
				t.Errorf("%d offers", n)
			}
			agent.SetAnswer(gatetest.Decline)
			if got, err := post(srv, strings.NewReader("early")); err == nil {
				t.Errorf("untouched afterwards: answered %q although the write deadline had passed", got)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

func post(srv *httptest.Server, body io.Reader) (string, error) {
	resp, err := srv.Client().Post(srv.URL, "text/plain", body)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// lateReader is a request body that takes its time.
type lateReader struct {
	delay time.Duration
	text  string
	once  sync.Once
}

func (l *lateReader) Read(p []byte) (int, error) {
	n, err := 0, io.EOF
	l.once.Do(func() {
		time.Sleep(l.delay)
		n, err = copy(p, l.text), nil
	})
	return n, err
}

// TestKeepAliveGetsItsDeadlinesBack uses one connection for a trapped request,
// a quick one and one that is too slow.
func TestKeepAliveGetsItsDeadlinesBack(t *testing.T) {
	const timeout = 150 * time.Millisecond
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: loopback.Prefix, Path: "/trap"})
	var slow atomic.Bool
	slow.Store(true)
	srv := httptest.NewUnstartedServer(middleware.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			time.Sleep(2 * timeout)
		}
		io.WriteString(w, "ok")
	})))
	srv.Config.WriteTimeout = timeout
	srv.Start()
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	ask := func(path string) error {
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	if err := ask("/trap"); err != nil || len(agent.Offers()) != 1 {
		t.Fatalf("trapped: %v, offers %v", err, agent.Offers())
	}
	slow.Store(false)
	if err := ask("/other"); err != nil {
		t.Fatalf("quick: %v", err)
	}
	slow.Store(true)
	if err := ask("/other"); err == nil {
		t.Error("the connection has no write deadline any more")
	}
}

// TestDeadlinesThatCannotBeLifted: writers without deadlines are no error.
func TestDeadlinesThatCannotBeLifted(t *testing.T) {
	gatetest.Arm(t, loopback)
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	w := httptest.NewRecorder()
	middleware.Handler(http.HandlerFunc(func(gotW http.ResponseWriter, gotR *http.Request) {
		if gotW != http.ResponseWriter(w) || gotR != r {
			t.Error("w or r was replaced")
		}
		io.WriteString(gotW, "ok")
	})).ServeHTTP(w, r)
	if w.Body.String() != "ok" {
		t.Errorf("body %q", w.Body)
	}
}

func TestPanicValueIsTheHandlers(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	boom := errors.New("boom")
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	defer func() {
		if got := recover(); got != boom {
			t.Errorf("recovered %v", got)
		}
		if len(agent.Offers()) != 1 {
			t.Error("not trapped")
		}
	}()
	middleware.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(boom) })).
		ServeHTTP(httptest.NewRecorder(), r)
}

func TestArmedNoMatchDoesNotAllocate(t *testing.T) {
	gatetest.Arm(t, loopback)
	h := middleware.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	if n := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
