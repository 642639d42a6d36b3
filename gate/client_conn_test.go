package gate_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

// whoami answers with the client that g takes the request for, after outer has
// done to the request what middleware outside of the gate does.
func whoami(g *gate.Gate, outer func(*http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outer != nil {
			outer(r)
		}
		before := r.RemoteAddr
		c := g.Client(r)
		if r.RemoteAddr != before {
			panic("RemoteAddr was changed")
		}
		fmt.Fprint(w, c.Addr, " ", c.Reason)
	})
}

// realIP is what careless middleware does.
func realIP(r *http.Request) { r.RemoteAddr = r.Header.Get("X-Real-Ip") }

func newGate(t *testing.T, cfg gate.Config) *gate.Gate {
	t.Helper()
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func TestPeerFromConn(t *testing.T) {
	behind := gate.Config{PeerFromConn: true, TrustedProxies: loopback, Source: gate.FromXForwardedFor()}
	for _, c := range []struct {
		name     string
		cfg      gate.Config
		recorded bool
		want     string
	}{
		{"fooled without it", gate.Config{}, false, "192.0.2.66 " + gate.ReasonDirectPeer},
		{"the peer", gate.Config{PeerFromConn: true}, true, "127.0.0.1 " + gate.ReasonDirectPeer},
		{"the proxy's client", behind, true, "192.0.2.10 " + gate.ReasonXForwardedFor},
		{"not recorded", gate.Config{PeerFromConn: true}, false, "invalid IP " + gate.ReasonNoConn},
		{"not recorded, behind a proxy", behind, false, "invalid IP " + gate.ReasonNoConn},
	} {
		for _, h2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%v", c.name, h2), func(t *testing.T) {
				srv := httptest.NewUnstartedServer(whoami(newGate(t, c.cfg), realIP))
				if c.recorded {
					srv.Config.ConnContext = gate.ConnContext
				}
				if srv.EnableHTTP2 = h2; h2 {
					srv.StartTLS()
				} else {
					srv.Start()
				}
				defer srv.Close()
				r, err := http.NewRequest("GET", srv.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Real-Ip", "192.0.2.66:66")
				r.Header.Set("X-Forwarded-For", "192.0.2.10")
				if got := ask(t, srv.Client(), r); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		}
	}
}

func ask(t *testing.T, client *http.Client, r *http.Request) string {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// countingConn counts how often it is asked for its remote end.
type countingConn struct {
	net.Conn
	asked int
}

func (c *countingConn) RemoteAddr() net.Addr {
	c.asked++
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 10), Port: 4711}
}

// TestConnContextDoesNotAsk: the goroutine that accepts connections must not
// wait for one of them.
func TestConnContextDoesNotAsk(t *testing.T) {
	g := newGate(t, gate.Config{PeerFromConn: true})
	conn := &countingConn{}
	r := httptest.NewRequest("GET", "/", nil).WithContext(gate.ConnContext(context.Background(), conn))
	if conn.asked != 0 {
		t.Error("ConnContext called RemoteAddr")
	}
	var wg sync.WaitGroup
	for range 8 { // streams of one connection
		wg.Add(1)
		go func() {
			defer wg.Done()
			if c := g.Client(r); c.Addr.String() != "192.0.2.10" {
				t.Errorf("Client = %v %q", c.Addr, c.Reason)
			}
		}()
	}
	wg.Wait()
	if conn.asked != 1 {
		t.Errorf("RemoteAddr was called %d times", conn.asked)
	}
}

func TestConnContextOfNothing(t *testing.T) {
	g := newGate(t, gate.Config{PeerFromConn: true})
	for name, want := range map[string]string{"no connection": gate.ReasonNoConn, "no address": gate.ReasonNotIPAndPort} {
		var conn net.Conn
		if name == "no address" {
			conn = &peerConn{}
		}
		r := httptest.NewRequest("GET", "/", nil).WithContext(gate.ConnContext(context.Background(), conn))
		if c := g.Client(r); c.Addr.IsValid() || c.Reason != want {
			t.Errorf("%s: %v %q, want %q", name, c.Addr, c.Reason, want)
		}
	}
}

// TestUnixSocket has a real server on a real socket.
func TestUnixSocket(t *testing.T) {
	source := gate.FromXForwardedFor()
	for _, c := range []struct {
		name string
		cfg  gate.Config
		want string
	}{
		{"named", gate.Config{TrustUnix: true, Source: source}, "192.0.2.10 " + gate.ReasonXForwardedFor},
		{"named, from the connection", gate.Config{TrustUnix: true, Source: source, PeerFromConn: true}, "192.0.2.10 " + gate.ReasonXForwardedFor},
		{"not named", gate.Config{TrustedProxies: loopback, Source: source}, "invalid IP " + gate.ReasonUnixSocket},
		{"not named, from the connection", gate.Config{TrustedProxies: loopback, Source: source, PeerFromConn: true}, "invalid IP " + gate.ReasonUnixSocket},
		{"no proxies", gate.Config{PeerFromConn: true}, "invalid IP " + gate.ReasonUnixSocket},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: whoami(newGate(t, c.cfg), nil), ConnContext: gate.ConnContext}}
			srv.Start()
			defer srv.Close()
			tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}
			defer tr.CloseIdleConnections()
			r, err := http.NewRequest("GET", "http://service/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Forwarded-For", "192.0.2.10")
			if got := ask(t, &http.Client{Transport: tr}, r); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestRawRequests sends bytes, since http.Client would not send these.
func TestRawRequests(t *testing.T) {
	xff := gate.Config{TrustedProxies: loopback, Source: gate.FromXForwardedFor()}
	single := gate.Config{TrustedProxies: loopback, Source: gate.FromHeader("X-Real-Ip")}
	unix := gate.Config{TrustedProxies: loopback, TrustUnix: true, Source: gate.FromXForwardedFor()}
	for _, c := range []struct {
		name, header, want string
		cfg                gate.Config
		outer              func(*http.Request)
	}{
		{name: "lines in several cases are one list", header: "X-FORWARDED-FOR: 192.0.2.66\r\nx-forwarded-for: 192.0.2.10\r\n",
			cfg: xff, want: "192.0.2.10 " + gate.ReasonXForwardedFor},
		{name: "spaces and tabs around the value", header: "X-Forwarded-For: \t 192.0.2.10 ,\t127.0.0.2 \t\r\n",
			cfg: xff, want: "192.0.2.10 " + gate.ReasonXForwardedFor},
		{name: "another name with an underscore", header: "X-Forwarded-For: 192.0.2.10\r\nX_Forwarded_For: 192.0.2.66\r\n",
			cfg: xff, want: "192.0.2.10 " + gate.ReasonXForwardedFor},
		{name: "single header twice in two cases", header: "X-Real-IP: 192.0.2.66\r\nx-real-ip: 192.0.2.10\r\n",
			cfg: single, want: "invalid IP " + gate.ReasonHeaderNotSingle},
		{name: "RemoteAddr made to look like a unix socket", header: "X-Real-Ip: @\r\nX-Forwarded-For: 192.0.2.66\r\n",
			cfg: unix, outer: realIP, want: "invalid IP " + gate.ReasonNotIPAndPort},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(whoami(newGate(t, c.cfg), c.outer))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: service\r\n"+c.header+"\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != c.want {
				t.Errorf("got %q, %v; want %q", body, err, c.want)
			}
		})
	}
}
