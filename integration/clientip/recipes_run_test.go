package clientip_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

// TestRecipes sends to each gate what the proxies in front of it send, for a
// client that is 203.0.113.7 and writes headers of its own.
func TestRecipes(t *testing.T) {
	const me, made = "203.0.113.7", "192.0.2.66"
	for _, c := range []struct {
		name, peer string
		make       func() (*gate.Gate, error)
		header     http.Header
		want       string
	}{
		{"direct", me + ":4711", direct, http.Header{"X-Forwarded-For": {made}}, me},
		{"ceiling", me + ":4711", ceiling, nil, me},
		{"nginx, appending", "10.1.0.2:4711", behindList, http.Header{"X-Forwarded-For": {made + ", " + me}}, me},
		{"nginx, replacing", "10.1.0.2:4711", behindList, http.Header{"X-Forwarded-For": {me}}, me},
		{"nginx without proxy_set_header", "10.1.0.2:4711", behindList, nil, ""},
		{"nginx, X-Real-IP", "10.1.0.2:4711", behindSingle, http.Header{"X-Real-Ip": {me}, "X-Forwarded-For": {made}}, me},
		{"nginx on IPv6", "10.1.0.2:4711", behindList, http.Header{"X-Forwarded-For": {"2001:db8::7"}}, "2001:db8::7"},
		{"two proxies", "10.1.0.2:4711", behindList, http.Header{"X-Forwarded-For": {made + ", " + me + ", 10.1.0.3"}}, me},
		{"ALB with ports", "10.1.0.2:4711", behindList, http.Header{"X-Forwarded-For": {made + ", " + me + ":51000"}}, me},
		{"past the proxy", me + ":4711", behindList, http.Header{"X-Forwarded-For": {made}}, me},
		{"Forwarded", "10.1.0.2:4711", behindForwarded, http.Header{"Forwarded": {"for=" + made + ", for=" + me + ";proto=https"}}, me},
		{"Google", "35.191.9.9:4711", behindGoogle, http.Header{"X-Forwarded-For": {made + ", " + me + ",198.51.100.7"}}, me},
		{"Cloudflare", "173.245.48.9:4711", behindCloudflare, http.Header{"Cf-Connecting-Ip": {me}, "X-Forwarded-For": {made + ", " + me}}, me},
		{"past Cloudflare", made + ":4711", behindCloudflare, http.Header{"Cf-Connecting-Ip": {me}}, made},
		{"Cloudflare and ours", "10.1.0.2:4711", behindCloudflareAndOurs, http.Header{"X-Forwarded-For": {made + ", " + me + ", 173.245.48.9"}}, me},
		{"past Cloudflare to ours", "10.1.0.2:4711", behindCloudflareAndOurs, http.Header{"Cf-Connecting-Ip": {made}, "X-Forwarded-For": {made + ", " + me}}, me},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := c.make()
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header = c.peer, c.header
			checkClient(t, g.Client(r), c.want)
		})
	}
}

func checkClient(t *testing.T, got gate.Client, want string) {
	t.Helper()
	addr := ""
	if got.Addr.IsValid() {
		addr = got.Addr.String()
	}
	if addr != want {
		t.Errorf("the client is %q (%s), want %q", addr, got.Reason, want)
	}
}

// TestUnixSocket asks a server on a real socket.
func TestUnixSocket(t *testing.T) {
	g, err := onUnixSocket()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	clients := make(chan gate.Client, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { clients <- g.Client(r) })}
	go srv.Serve(ln)
	defer srv.Close()
	send(t, "unix", path, "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 192.0.2.66, 203.0.113.7\r\n\r\n")
	checkClient(t, <-clients, "203.0.113.7")
}

// TestConnContextRecipe has something overwrite RemoteAddr.
func TestConnContextRecipe(t *testing.T) {
	peers := make(chan string, 1)
	overwrite := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = "192.0.2.66:1"
			peers <- r.RemoteAddr
			next.ServeHTTP(w, r)
		})
	}
	clients := make(chan gate.Client, 1)
	g, err := gate.New(gate.Config{PeerFromConn: true})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := withConnContext(overwrite, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { clients <- g.Client(r) }))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(ln)
	defer srv.Close()
	send(t, "tcp", ln.Addr().String(), "GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
	if peer := <-peers; peer != "192.0.2.66:1" {
		t.Errorf("RemoteAddr is %s", peer)
	}
	checkClient(t, <-clients, "127.0.0.1")
}

// TestProxyProtocolRecipe sends the header as a proxy that is trusted, which a
// peer on loopback is made to be, and as the peer on loopback that it is.
func TestProxyProtocolRecipe(t *testing.T) {
	const first = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n"
	const request = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
	clients := make(chan gate.Client, 1)
	g := new(gate.Gate)
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { clients <- g.Client(r) })

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serveProxyProtocol(fromProxy{ln}, h) }()
	if status := send(t, "tcp", ln.Addr().String(), first+request); status != http.StatusOK {
		t.Errorf("a trusted proxy gets status %d", status)
	}
	checkClient(t, <-clients, "203.0.113.7")
	ln.Close()
	if err := <-done; err == nil {
		t.Error("the server ended without an error")
	}

	ln, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serveProxyProtocol(ln, h) }()
	if status := send(t, "tcp", ln.Addr().String(), first+request); status != http.StatusBadRequest {
		t.Errorf("a client that writes the header itself gets status %d", status)
	}
	ln.Close()
	<-done
	if _, err := proxyproto.Listen(ln, prefixes("0.0.0.0/0")); err == nil {
		t.Error("everybody can be trusted")
	}
}

// fromProxy is a listener whose peers have the address of a trusted proxy.
type fromProxy struct{ net.Listener }

func (l fromProxy) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &proxyConn{c}, nil
}

type proxyConn struct{ net.Conn }

func (*proxyConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 1, 0, 2), Port: 4711} }

// send writes a request as it is and returns the status of the response.
func send(t *testing.T, network, addr, request string) int {
	t.Helper()
	c, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(fmt.Errorf("response: %w", err))
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
