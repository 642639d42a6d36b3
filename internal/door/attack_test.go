//go:build linux

package door

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// aCommand is a DAP message, as a page would send it in a body.
const aCommand = "Content-Length: 52\r\n\r\n" + `{"seq":1,"type":"request","command":"setBreakpoints"}`

// everyKind opens a listener of each kind; secure is nil where there is no TLS.
func everyKind(t *testing.T) map[string]struct {
	*house
	secure *pki
} {
	type port = struct {
		*house
		secure *pki
	}
	all := make(map[string]port)
	ln, err := ListenUnix(filepath.Join(t.TempDir(), "s.sock"), everybody)
	all["Unix socket"] = port{open(t, ln, err), nil}
	ln, err = ListenLoopback(anyLoopback, everybody)
	all["loopback"] = port{open(t, ln, err), nil}
	ln, err = DangerouslyListenWithoutTLS(anyLoopback, access.Control)
	all["without TLS"] = port{open(t, ln, err), nil}
	own := newPKI(t, Name{Name: "alice"})
	ln, err = ListenTLS(anyLoopback, own.cfg)
	all["own certificates"] = port{open(t, ln, err), &own}
	guests, _ := newGuests(t, time.Now().Add(time.Hour))
	ln, err = ListenTLS(anyLoopback, guests.cfg)
	all["invitations"] = port{open(t, ln, err), &guests}
	return all
}

// pages are what a browser sends for pages that are after us.
func pages() map[string]*http.Request {
	page := func(method, body string, header ...string) *http.Request {
		r, err := http.NewRequest(method, "http://port.invalid/", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	rebound := page("POST", aCommand, "Origin", "http://evil.example:2345", "Content-Type", "text/plain")
	rebound.Host = "evil.example:2345"
	local := page("GET", "")
	local.Host = "localhost:2345"
	return map[string]*http.Request{
		"GET":       local,
		"form":      page("POST", aCommand, "Origin", "https://evil.example", "Content-Type", "text/plain;charset=UTF-8"),
		"JSON-RPC":  page("POST", `{"method":"RPCServer.Command","params":[{"name":"continue"}],"id":1}`, "Origin", "https://evil.example"),
		"preflight": page("OPTIONS", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Private-Network", "true"),
		"fetch":     page("PUT", aCommand, "Origin", "https://evil.example", "Sec-Fetch-Mode", "no-cors"),
		"WebSocket": page("GET", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", "https://evil.example"),
		"rebound":   rebound,
	}
}

// browse sends r over conn and says what came back.
func browse(r *http.Request, conn net.Conn) (*http.Response, error) {
	client := http.Client{
		Transport: &http.Transport{
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
			DisableKeepAlives: true,
		},
		Timeout: 10 * time.Second,
	}
	return client.Do(r)
}

// TestBrowsers: whatever a page makes a browser send, to whatever port, nobody is
// spoken to, nothing is answered, and the audit has it.
func TestBrowsers(t *testing.T) {
	for kind, h := range everyKind(t) {
		for name, r := range pages() {
			t.Run(kind+"/"+name, func(t *testing.T) {
				before := len(h.all())
				if answer, err := browse(r, h.dial()); err == nil {
					answer.Body.Close()
					t.Errorf("it was answered: %s", answer.Status)
				}
				e := h.wait(audit.Attack, len(attacks(h.all()[:before]))+1)
				want := "http"
				if name == "WebSocket" {
					want = "websocket"
				}
				if !strings.Contains(e.attrs["reason"], want) || !strings.HasPrefix(e.attrs["first"], r.Method+" / HTTP/1.1\r\n") || e.attrs["from"] == "" {
					t.Errorf("the audit has %v", e)
				}
				if name == "rebound" && !strings.Contains(e.attrs["reason"], `host "evil.example:2345"`) {
					t.Errorf("the audit does not tell the name that was rebound: %v", e)
				}
				if guests := h.spokenTo(); len(guests) > 0 {
					t.Errorf("spoken to: %v", guests)
				}
			})
		}
	}
}

func attacks(events []event) (found []event) {
	for _, e := range events {
		if e.name == audit.Attack {
			found = append(found, e)
		}
	}
	return found
}

// TestBrowsersWithTLS: the same over TLS, also from a browser that has a good
// certificate and shows it to whoever asks.
func TestBrowsersWithTLS(t *testing.T) {
	for kind, h := range everyKind(t) {
		if h.secure == nil {
			continue
		}
		alice := clientCert(t, h.secure.authority, "alice")
		for _, b := range []struct {
			name   string
			config *tls.Config
			want   string // event
		}{
			{"HTTP/2", browserProtos(h.secure.browser()), audit.Attack},
			{"HTTP/2 with a certificate", browserProtos(h.secure.browser(alice)), audit.Attack},
			{"HTTP/1.1", h.secure.browser(), audit.ConnectionRefused},
			{"HTTP/1.1 with a certificate", h.secure.browser(alice), audit.Attack},
			{"our protocol with a certificate", h.secure.client(alice), audit.Attack},
		} {
			for name, r := range pages() {
				t.Run(kind+"/"+b.name+"/"+name, func(t *testing.T) {
					h.backoff.succeeded("127.0.0.1")
					before := 0
					for _, e := range h.all() {
						if e.name == b.want {
							before++
						}
					}
					if answer, err := browse(r.Clone(t.Context()), tls.Client(h.dial(), b.config)); err == nil {
						answer.Body.Close()
						t.Errorf("it was answered: %s", answer.Status)
					}
					if e := h.wait(b.want, before+1); e.attrs["reason"] == "" {
						t.Errorf("the audit has %v", e)
					}
					if guests := h.spokenTo(); len(guests) > 0 {
						t.Errorf("spoken to: %v", guests)
					}
				})
			}
		}
	}
}

func browserProtos(c *tls.Config) *tls.Config {
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}

// TestWrongPorts: what speaks the wrong protocol is closed and noted as well.
func TestWrongPorts(t *testing.T) {
	for kind, h := range everyKind(t) {
		for _, tt := range []struct {
			name, send string
			wants      string // part of the reason
			onlyTLS    bool   // an attack on ports with TLS only
		}{
			{"a proxy's client", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", "connect", false},
			{"SSH", "SSH-2.0-scan\r\n", "ssh", false},
			{"Redis", "*1\r\n$4\r\nPING\r\n", "neither DAP nor JSON-RPC", false},
			{"SMB", "\x00\x00\x00\x85\xffSMB", "neither DAP nor JSON-RPC", false},
			{"DAP without TLS", aCommand, "dap without TLS", true},
			{"JSON-RPC without TLS", `{"method":"RPCServer.State","params":[],"id":1}`, "json-rpc without TLS", true},
		} {
			if tt.onlyTLS && h.secure == nil {
				continue
			}
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				n := len(attacks(h.all()))
				conn := h.dial()
				_, _ = io.WriteString(conn, tt.send)
				if got := closedBy(t, conn); len(got) > 0 {
					t.Errorf("it was answered: %q", got)
				}
				if e := h.wait(audit.Attack, n+1); !strings.Contains(e.attrs["reason"], tt.wants) {
					t.Errorf("the audit has %v", e)
				}
				if guests := h.spokenTo(); len(guests) > 0 {
					t.Errorf("spoken to: %v", guests)
				}
			})
		}
	}
	t.Run("TLS without TLS", func(t *testing.T) {
		ln, err := ListenLoopback(anyLoopback, everybody)
		h := open(t, ln, err)
		if err := tls.Client(h.dial(), &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
			t.Error("a handshake")
		}
		if e := h.wait(audit.Attack, 1); !strings.Contains(e.attrs["reason"], "TLS") {
			t.Errorf("the audit has %v", e)
		}
	})
}

// TestOtherNamespaces: a listener on a loopback address takes no connection that was
// redirected to it from another network namespace.
func TestOtherNamespaces(t *testing.T) {
	ln, err := ListenLoopback(netip.MustParseAddrPort("127.0.0.1:0"), everybody)
	must(t, err)
	defer ln.Close()
	for _, remote := range []string{"10.0.0.2:4711", "127.0.0.1:1"} {
		// As the kernel would name the other end of a connection that was
		// redirected here: there is no socket of this namespace at it.
		conn, err := net.Dial("tcp", ln.Addr().String())
		must(t, err)
		server, err := ln.accept()
		must(t, err)
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(remote))
		if _, _, who, err := ln.greet(from{server, addr}); err == nil {
			t.Errorf("%s is %v", remote, who)
		}
		conn.Close()
		server.Close()
	}
}

// from is a connection whose other end is somewhere else.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }
