package forward

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// TestParse: what is a target, and what is said of one that is none. No secret is
// ever repeated.
func TestParse(t *testing.T) {
	pki := Options{PKI: PKI{Cert: "a.pem", Key: "a.key"}}
	for _, tt := range []struct {
		name, target string
		o            Options
		shown        string   // of the route
		want         []string // of the mistake
	}{
		{"a socket", "unix:///run/a.sock", Options{}, "unix:///run/a.sock", nil},
		{"a relative socket", "unix://a.sock", Options{}, "", []string{"absolute path", "unix:///"}},
		{"a socket with certificates", "unix:///a.sock", pki, "", []string{"needs no certificates"}},
		{"a host", "ssh://shop1", Options{}, "ssh://shop1", nil},
		{"a host with a slash", "ssh://shop1/", Options{}, "ssh://shop1", nil},
		{"all of ssh", "ssh://bob@shop1:2222/run/a.sock", Options{}, "ssh://bob@shop1:2222/run/a.sock", nil},
		{"an IPv6 host", "ssh://[2001:db8::7]:22/a.sock", Options{}, "ssh://[2001:db8::7]:22/a.sock", nil},
		{"no host", "ssh:///a.sock", Options{}, "", []string{"the host is missing"}},
		{"a password", "ssh://bob:hunter2@shop1/a.sock", Options{}, "", []string{"password", "ssh-agent"}},
		{"an option for a host", "ssh://-oProxyCommand=x/a.sock", Options{}, "", []string{"dash"}},
		{"an option for a user", "ssh://-l@shop1/a.sock", Options{}, "", []string{"dash"}},
		{"a port that is none", "ssh://shop1:x/", Options{}, "", []string{"invalid port"}},
		{"a query", "ssh://shop1/a?b", Options{}, "", []string{"goes on after the path"}},
		{"ssh with certificates", "ssh://shop1", pki, "", []string{"needs no certificates"}},
		{"another scheme", "https://shop1:2345", Options{}, "", []string{"https://", "ssh://HOST/"}},
		{"only an address", "shop1:2345", Options{}, "", []string{"nothing to prove", "--tls-cert", "ssh://shop1/"}},
		{"no port", "shop1", Options{}, "", []string{"neither HOST:PORT nor a URL"}},
		{"port 0", "shop1:0", pki, "", []string{"not a port"}},
		{"a secret that is none", "shop1:2345#hunter2", Options{}, "", []string{"copy the whole line"}},
		{"a secret with certificates", "shop1:2345#hunter2", pki, "", []string{"its own certificates"}},
		{"only a certificate", "shop1:2345", Options{PKI: PKI{Cert: "a.pem"}}, "", []string{"--tls-key FILE"}},
		{"files that are not there", "shop1:2345", pki, "", []string{"a.pem", "PEM files"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Parse(tt.target, tt.o)
			if len(tt.want) > 0 {
				refused(t, err, tt.want...)
				if err != nil && strings.Contains(sentence(err), "hunter2") {
					t.Errorf("the secret is repeated: %v", err)
				}
				return
			}
			if err != nil || r.String() != tt.shown {
				t.Errorf("%v, %v; want %s", r, err, tt.shown)
			}
		})
	}
}

// issue makes a certificate, signed by parent unless it is nil, and writes it and its
// key.
func issue(t *testing.T, dir, name string, parent *tls.Certificate, until time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
		IsCA: parent == nil, BasicConstraintsValid: true,
	}
	signer, by := template, any(key)
	if parent != nil {
		signer, by = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// TestTLS: both ends know each other by the files of the flags, and what is wrong is
// said with what to do.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	later := time.Now().Add(time.Hour)
	ca, stranger := issue(t, dir, "ca", nil, later), issue(t, dir, "other-ca", nil, later)
	server := issue(t, dir, "agent.example", ca, later)
	issue(t, dir, "alice", ca, later)
	issue(t, dir, "mallory", stranger, later)
	issue(t, dir, "expired", ca, time.Now().Add(-time.Hour))
	clients := x509.NewCertPool()
	clients.AddCert(ca.Leaf)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*server}, NextProtos: []string{invite.DebugProtocol},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	file := func(name string) string { return filepath.Join(dir, name) }
	good := PKI{Cert: file("alice.pem"), Key: file("alice.key"), CA: file("ca.pem"), ServerName: "agent.example"}
	for _, tt := range []struct {
		name   string
		change func(*PKI)
		want   []string
	}{
		{"all is right", func(*PKI) {}, nil},
		{"another name", func(p *PKI) { p.ServerName = "shop.example" }, []string{"--server-name NAME"}},
		{"no name", func(p *PKI) { p.ServerName = "" }, []string{"--server-name NAME"}},
		{"another authority", func(p *PKI) { p.CA = file("other-ca.pem") }, []string{"--ca FILE"}},
		{"the system's authorities", func(p *PKI) { p.CA = "" }, []string{"--ca FILE"}},
		{"a file without certificates", func(p *PKI) { p.CA = file("alice.key") }, []string{"has none in it"}},
		{"no such file", func(p *PKI) { p.CA = file("nothing") }, []string{"no such file"}},
		{"expired", func(p *PKI) { p.Cert, p.Key = file("expired.pem"), file("expired.key") }, []string{"has expired", "get a new one"}},
		{"somebody else's key", func(p *PKI) { p.Key = file("ca.key") }, []string{"belong together"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := good
			tt.change(&p)
			r, err := Parse(ln.Addr().String(), Options{PKI: p})
			var conn net.Conn
			if err == nil {
				conn, err = r.Dial(t.Context())
			}
			if len(tt.want) > 0 {
				refused(t, err, tt.want...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			echo := make([]byte, 5)
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, echo); err != nil || string(echo) != "hello" {
				t.Errorf("%q, %v", echo, err)
			}
		})
	}

	// In TLS 1.3 the client learns only afterwards that its certificate is not good.
	p := good
	p.Cert, p.Key = file("mallory.pem"), file("mallory.key")
	r, err := Parse(ln.Addr().String(), Options{PKI: p})
	if err != nil {
		t.Fatal(err)
	}
	side := serve(t, r)
	c, err := daptest.Dial(side.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Initialize(); !errors.Is(err, daptest.ErrClosed) {
		t.Errorf("with a stranger's certificate: %v", err)
	}
	side.log.wait(t, "certificate required")
	if events := c.Events(); len(events) != 2 {
		t.Errorf("the IDE is told %d things, want why and that it is over", len(events))
	}
}

// What answers may not speak TLS.
func TestTLSNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	_, err = dialTLS(t.Context(), ln.Addr().String(), &tls.Config{ServerName: "x"})
	refused(t, err, "does not speak TLS")
}
