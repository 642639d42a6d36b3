//go:build linux && amd64

package adaptertest

import (
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// transport is a way in which requests reach a server.
type transport struct {
	name  string
	http2 bool
	start func(*httptest.Server)
}

var transports = []transport{
	{"HTTP1", false, (*httptest.Server).Start},
	{"HTTP1 TLS", false, (*httptest.Server).StartTLS},
	{"HTTP2", true, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	}},
	{"h2c", true, func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		s.Client().Transport.(*http.Transport).Protocols = s.Config.Protocols
	}},
}

// outerKey is a context key of middleware outside of the framework.
type outerKey struct{}

// quiet is for servers whose handlers panic on purpose.
type quiet struct{}

func (quiet) Write(p []byte) (int, error) { return len(p), nil }

// serve starts a server with h behind middleware of its own. The write timeout
// is for tests of what becomes of it; 0 is none.
func (tr transport) serve(t *testing.T, h http.Handler, timeout time.Duration) *client {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), outerKey{}, "outer")))
	}))
	srv.Config.ErrorLog = log.New(quiet{}, "", 0)
	srv.Config.WriteTimeout = timeout
	tr.start(srv)
	t.Cleanup(srv.Close)
	return &client{srv}
}

// client sends requests to a server's one route.
type client struct{ srv *httptest.Server }

func (c *client) url() string { return c.srv.URL + path }

// dial opens a connection without any HTTP on it.
func (c *client) dial() (net.Conn, error) {
	addr := c.srv.Listener.Addr().String()
	if c.srv.TLS == nil {
		return net.Dial("tcp", addr)
	}
	config := c.srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = nil // HTTP/1.1
	config.ServerName = "example.com"
	return tls.Dial("tcp", addr, config)
}
