package invite

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
)

var aProcess = Process{PID: 4711, Start: 12345, BuildID: "abc/def"}

// agent is the agent's side of invitations.
type agent struct {
	t         testing.TB
	authority *Authority
	cert      tls.Certificate
	desk      *Desk
	config    *tls.Config
}

func newAgent(t testing.TB, process Process, expires time.Time) *agent {
	t.Helper()
	authority, err := NewAuthority(time.Now().Add(time.Hour))
	must(t, err)
	cert, err := authority.Server(netip.MustParseAddr("127.0.0.1"))
	must(t, err)
	desk, err := NewDesk(DeskConfig{Authority: authority, Server: cert, Process: process, About: "shop (pid 4711)", Role: access.Observe, Expires: expires})
	must(t, err)
	return &agent{t, authority, cert, desk, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, NextProtos: []string{Protocol}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loopback is a connection; net.Pipe would make every write wait for its reader.
func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	must(t, err)
	server, err = ln.Accept()
	must(t, err)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// serve takes one invitation on conn.
func (a *agent) serve(conn net.Conn) (Guest, error) {
	secure := tls.Server(conn, a.config)
	defer secure.Close()
	if err := secure.Handshake(); err != nil {
		return Guest{}, err
	}
	return a.desk.Serve(secure)
}

type taken struct {
	guest Guest
	err   error
}

// redeem uses link at a.
func (a *agent) redeem(link Link, name string) (*Pass, taken, error) {
	a.t.Helper()
	client, server := loopback(a.t)
	done := make(chan taken, 1)
	go func() {
		guest, err := a.serve(server)
		done <- taken{guest, err}
	}()
	pass, err := Redeem(context.Background(), client, link, name)
	return pass, <-done, err
}

func (a *agent) invite() Link {
	a.t.Helper()
	link, err := a.desk.Invite("127.0.0.1:2345")
	must(a.t, err)
	// As it reaches the other side.
	link, err = Parse(link.Text())
	must(a.t, err)
	return link
}

func TestRedeem(t *testing.T) {
	until := time.Now().Add(time.Hour)
	a := newAgent(t, aProcess, until)
	pass, got, err := a.redeem(a.invite(), "alice@laptop\x1b[31m")
	must(t, err)
	must(t, got.err)
	if got.guest.Invitation != 1 || got.guest.Name != "alice@laptop[31m" {
		t.Errorf("the guest is %+v", got.guest)
	}
	if pass.Role != access.Observe || pass.Process != "shop (pid 4711)" || pass.Expires.After(until.Add(time.Minute)) || pass.Expires.Before(until.Add(-time.Minute)) {
		t.Errorf("the pass is %+v", pass)
	}

	// The certificate opens a connection to this agent.
	client, server := loopback(t)
	config := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.authority.Pool(), NextProtos: []string{DebugProtocol}}
	shaken := make(chan error, 1)
	secure := tls.Server(server, config)
	go func() { shaken <- secure.Handshake() }()
	must(t, tls.Client(client, pass.TLS).Handshake())
	must(t, <-shaken)
	leaf := secure.ConnectionState().PeerCertificates[0]
	if leaf.Subject.CommonName != "invitation 1 (alice@laptop[31m)" || !bytes.Equal(leaf.Raw, got.guest.Certificate) {
		t.Errorf("the certificate is %q's", leaf.Subject)
	}
	if key := leaf.PublicKey.(*ecdsa.PublicKey); key.Curve != elliptic.P256() || leaf.IsCA || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("the certificate may be used for more than a client: %+v", leaf.ExtKeyUsage)
	}

	// And to no other, whatever it is called and whoever has signed for it.
	other := newAgent(t, aProcess, until)
	client, server = loopback(t)
	other.config.NextProtos = []string{DebugProtocol}
	go func() { _ = tls.Server(server, other.config).Handshake() }()
	if err := tls.Client(client, pass.TLS).Handshake(); !errors.Is(err, OtherAgent) {
		t.Errorf("another agent: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name string
		link func(a *agent) Link
		want Reason
	}{
		{"used twice", func(a *agent) Link {
			link := a.invite()
			_, _, err := a.redeem(link, "first")
			must(t, err)
			return link
		}, Used},
		{"another secret", func(a *agent) Link {
			link := a.invite()
			link.secret[15] ^= 1
			return link
		}, Unknown},
		{"a longer life", func(a *agent) Link {
			link := a.invite()
			link.Expires = link.Expires.Add(time.Hour)
			return link
		}, Unknown},
		{"no invitation was made", func(a *agent) Link {
			link := aLink()
			link.process, link.server = aProcess.id(), a.desk.server
			return link
		}, Unknown},
		{"another process", func(a *agent) Link {
			link := a.invite()
			link.process = Process{PID: 4712, Start: 12345, BuildID: "abc/def"}.id()
			return link
		}, OtherProcess},
		{"a process of the same number, later", func(a *agent) Link {
			link := a.invite()
			link.process = Process{PID: 4711, Start: 99999, BuildID: "abc/def"}.id()
			return link
		}, OtherProcess},
		{"another build", func(a *agent) Link {
			link := a.invite()
			link.process = Process{PID: 4711, Start: 12345, BuildID: "xyz"}.id()
			return link
		}, OtherProcess},
		{"another agent's, of the same process", func(a *agent) Link {
			return newAgent(t, aProcess, later).invite()
		}, OtherAgent},
		{"another agent's, with the same certificate", func(a *agent) Link {
			desk, err := NewDesk(DeskConfig{Authority: a.authority, Server: a.cert, Process: aProcess, Role: access.Observe, Expires: later})
			must(t, err)
			link, err := desk.Invite("127.0.0.1:1")
			must(t, err)
			return link
		}, Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newAgent(t, aProcess, later)
			pass, got, err := a.redeem(tt.link(a), "mallory")
			if pass != nil || !errors.Is(err, tt.want) {
				t.Errorf("the client gets %+v, %v; want %v", pass, err, tt.want)
			}
			if got.err == nil || got.guest.Certificate != nil {
				t.Errorf("the agent has handed out a certificate: %v", got.err)
			}
			if tt.want != OtherAgent && !errors.Is(got.err, tt.want) {
				t.Errorf("the agent says %v, want %v", got.err, tt.want)
			}
			if tt.want.Hint() == "" || strings.Contains(err.Error(), "%!") {
				t.Errorf("%v has no hint", err)
			}
			// Nothing of it has used a good invitation up.
			if _, _, err := a.redeem(a.invite(), "bob"); err != nil {
				t.Errorf("a good invitation after it: %v", err)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(-time.Second))
	if _, got, err := a.redeem(a.invite(), "late"); !errors.Is(err, Expired) || !errors.Is(got.err, Expired) {
		t.Errorf("got %v, %v", err, got.err)
	}
}

// TestOneOfMany: when several use the same invitation at once, one gets in.
func TestOneOfMany(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	link := a.invite()
	var mu sync.Mutex
	in, used := 0, 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, _, err := a.redeem(link, "x")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case errors.Is(err, Used):
				used++
			}
		})
	}
	all.Wait()
	if in != 1 || used != 7 {
		t.Errorf("%d got in, %d were told that it is used", in, used)
	}
}

// TestRelayed: somebody in the middle who passes the proof on gets nothing for it,
// even from a client that does not look at the certificate.
func TestRelayed(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	link := a.invite()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)

	// The client talks to the one in the middle.
	middle := newAgent(t, aProcess, time.Now().Add(time.Hour))
	client, server := loopback(t)
	got := make(chan request, 1)
	go func() {
		secure := tls.Server(server, middle.config)
		var asked request
		_ = receive(secure, &asked)
		got <- asked
	}()
	careless := tls.Client(client, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{Protocol}})
	must(t, careless.Handshake())
	binding, err := Binding(careless.ConnectionState())
	must(t, err)
	must(t, send(careless, request{Version: linkVersion, Process: link.process[:], CSR: csr, Proof: link.proof(binding, csr)}))
	stolen := <-got

	// Who passes it on, and also with a certificate request of their own.
	for range 2 {
		client, server := loopback(t)
		done := make(chan error, 1)
		go func() {
			_, err := a.serve(server)
			done <- err
		}()
		secure := tls.Client(client, pinned(link, Protocol))
		must(t, send(secure, stolen))
		var answer reply
		must(t, receive(secure, &answer))
		if answer.Refused != Unknown || !errors.Is(<-done, Unknown) {
			t.Errorf("the answer is %+v", answer)
		}
		mine, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		stolen.CSR, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, mine)
		must(t, err)
	}
	if _, _, err := a.redeem(link, "the right one"); err != nil {
		t.Errorf("the invitation is lost: %v", err)
	}
}

func TestSecretIsNotSent(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	link := a.invite()
	binding := make([]byte, 32)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	var sent bytes.Buffer
	must(t, send(&sent, request{Version: linkVersion, Process: link.process[:], CSR: csr, Proof: link.proof(binding, csr)}))
	var asked request
	must(t, receive(bytes.NewReader(sent.Bytes()), &asked))
	for _, field := range [][]byte{asked.Process, asked.CSR, asked.Proof} {
		if bytes.Contains(field, link.secret[:8]) {
			t.Error("the secret is sent")
		}
	}
}

// pipe is a connection that was written already, for tests of the agent's side.
type pipe struct {
	io.Reader
	io.Writer
}

func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...)
}

func csrOf(t testing.TB, key any) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}}, key)
	must(t, err)
	return csr
}

func TestMalformedRequests(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	link := a.invite()
	binding := bytes.Repeat([]byte{7}, 32)
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	forged := csrOf(t, good)
	forged[len(forged)-1] ^= 1
	withCSR := func(csr []byte) []byte {
		body, err := json.Marshal(request{Version: linkVersion, Process: link.process[:], CSR: csr, Proof: link.proof(binding, csr)})
		must(t, err)
		return framed(body)
	}
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"no JSON", framed([]byte("GET / HTTP/1.1"))},
		{"an empty message", framed(nil)},
		{"a list", framed([]byte("[]"))},
		{"an empty request", framed([]byte("{}"))},
		{"a long one", []byte{0xff, 0xff, '{'}},
		{"another version", framed([]byte(`{"version":2}`))},
		{"no certificate request", withCSR([]byte("x"))},
		{"one that is not signed by its key", withCSR(forged)},
		{"a key of another curve", withCSR(csrOf(t, big))},
		{"an RSA key", withCSR(csrOf(t, old))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			guest, err := a.desk.answer(pipe{bytes.NewReader(tt.in), &out}, binding)
			if err == nil || guest.Certificate != nil {
				t.Fatalf("it was let in: %+v", guest)
			}
			var answer reply
			if err := receive(&out, &answer); err != nil || answer.Refused == "" || answer.Certificate != nil {
				t.Errorf("the answer is %+v, %v", answer, err)
			}
		})
	}
	if _, _, err := a.redeem(link, "x"); err != nil {
		t.Errorf("the invitation was used up: %v", err)
	}
}

func TestDeskMistakesAreJoined(t *testing.T) {
	_, err := NewDesk(DeskConfig{})
	for _, want := range []string{"authority", "server certificate", "process", "role", "expire"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	for range MaxInvitations {
		a.invite()
	}
	if _, err := a.desk.Invite("h:1"); err == nil {
		t.Error("one invitation too many")
	}
	if _, err := a.desk.Invite("h"); err == nil {
		t.Error("an address without a port")
	}
}

func TestServerCertificateOutlivesNothing(t *testing.T) {
	a := newAgent(t, aProcess, time.Now().Add(time.Hour))
	if left := time.Until(a.cert.Leaf.NotAfter); left > time.Hour {
		t.Errorf("it is valid for %v", left)
	}
	if sum := sha256.Sum256(a.cert.Certificate[0]); a.invite().server != sum {
		t.Error("the link pins another certificate")
	}
	_, err := a.cert.Leaf.Verify(x509.VerifyOptions{Roots: a.authority.Pool(), DNSName: "127.0.0.1"})
	must(t, err)
}

// FuzzAnswer: nobody without the secret gets a certificate, whatever is sent, and
// there is one answer at most.
func FuzzAnswer(f *testing.F) {
	a := newAgent(f, aProcess, time.Now().Add(time.Hour))
	link := a.invite()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f, err)
	csr := csrOf(f, key)
	wrong := bytes.Repeat([]byte{1}, 32)
	binding := bytes.Repeat([]byte{7}, 32)
	body, err := json.Marshal(request{Version: linkVersion, Name: "x", Process: link.process[:], CSR: csr, Proof: link.proof(wrong, csr)})
	must(f, err)
	f.Add(framed(body))
	f.Add(framed([]byte(`{"version":1,"process":"","csr":"","proof":null}`)))
	f.Add([]byte{0, 0})
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		guest, err := a.desk.answer(pipe{bytes.NewReader(in), &out}, binding)
		if err == nil || guest.Certificate != nil {
			t.Fatalf("let in: %+v", guest)
		}
		var answer reply
		if out.Len() > 0 {
			if err := receive(&out, &answer); err != nil || answer.Refused == "" || answer.Certificate != nil || out.Len() != 0 {
				t.Errorf("the answer is %+v, %v", answer, err)
			}
		}
		if a.desk.made[0].used {
			t.Fatal("the invitation is used up")
		}
	})
}
