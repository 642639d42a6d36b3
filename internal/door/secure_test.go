//go:build linux

package door

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// clientCert has authority sign for a client of this name.
func clientCert(t *testing.T, authority *invite.Authority, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	der, err := authority.Client(csr, name)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// company is an authority of one's own that signs anything.
type company struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newCompany(t *testing.T, name string) company {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return company{key, cert}
}

func (c company) sign(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, c.key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (c company) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

// TestCertificates: with certificates of one's own, who gets in, as whom, and who
// does not.
func TestCertificates(t *testing.T) {
	ours, theirs, forged := newCompany(t, "ours"), newCompany(t, "theirs"), newCompany(t, "ours")
	spiffe, err := url.Parse("spiffe://shop.example/debug")
	must(t, err)
	p := newPKI(t, Name{Name: "alice"}, Name{Name: "bob@shop.example", Role: access.Observe}, Name{Name: "ci.shop.example"}, Name{Name: spiffe.String(), Role: access.Mutate})
	p.cfg.ClientCAs = ours.pool()
	named := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.CommonName = name }
	}
	for _, tt := range []struct {
		name  string
		certs []tls.Certificate
		tls   uint16 // the most that the client speaks
		who   string // empty: refused
		role  access.Role
		why   string
	}{
		{name: "common name", certs: []tls.Certificate{ours.sign(t, named("alice"))}, who: "alice", role: access.Control},
		{name: "mail address", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) { c.EmailAddresses = []string{"x@y", "bob@shop.example"} })}, who: "bob@shop.example", role: access.Observe},
		{name: "DNS name", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) { c.DNSNames = []string{"ci.shop.example"} })}, who: "ci.shop.example", role: access.Control},
		{name: "URI", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) { c.URIs = []*url.URL{spiffe} })}, who: spiffe.String(), role: access.Mutate},

		{name: "no certificate", why: "didn't provide a certificate"},
		{name: "expired", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.NotAfter = "alice", time.Now().Add(-time.Minute)
		})}, why: "expired"},
		{name: "not valid yet", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.NotBefore = "alice", time.Now().Add(time.Minute)
		})}, why: "not yet valid"},
		{name: "another authority", certs: []tls.Certificate{theirs.sign(t, named("alice"))}, why: "unknown authority"},
		{name: "our authority's name, another key", certs: []tls.Certificate{forged.sign(t, named("alice"))}, why: "unknown authority"},
		{name: "a server's certificate", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.ExtKeyUsage = "alice", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})}, why: "incompatible key usage"},
		{name: "a name that is not allowed any more", certs: []tls.Certificate{ours.sign(t, named("carol"))}, why: `"carol"`},
		{name: "a name that is allowed, as a common name beside others", certs: []tls.Certificate{ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName, c.DNSNames = "alice", []string{"carol"}
		})}, why: `"carol"`},
		{name: "another case", certs: []tls.Certificate{ours.sign(t, named("Alice"))}, why: `"Alice"`},
		{name: "no name", certs: []tls.Certificate{ours.sign(t, named(""))}, why: "none of --client-name"},
		{name: "the agent's own", certs: []tls.Certificate{p.cfg.Certificate}, why: "unknown authority"},
		{name: "TLS 1.2", certs: []tls.Certificate{ours.sign(t, named("alice"))}, tls: tls.VersionTLS12, why: "protocol version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := ListenTLS(anyLoopback, p.cfg)
			h := open(t, ln, err)
			config := p.client(tt.certs...)
			config.MaxVersion = tt.tls
			// Whatever authorities the listener asks for.
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(tt.certs) == 0 {
					return new(tls.Certificate), nil
				}
				return &tt.certs[0], nil
			}
			if got := h.secure(config); got != (tt.who != "") {
				t.Errorf("let in: %t", got)
			}
			if tt.who == "" {
				e := h.wait(audit.ConnectionRefused, 1)
				if guests := h.spokenTo(); len(guests) > 0 || !strings.Contains(e.attrs["reason"]+"", tt.why) && tt.tls == 0 {
					t.Errorf("spoken to %v; the audit has %v, want %q", guests, e, tt.why)
				}
				return
			}
			e := h.wait(audit.ConnectionAccepted, 1)
			if who := h.spokenTo()[0]; who.Name != tt.who || who.Role != tt.role || who.Proof != access.ProofCertificate || who.From == "" {
				t.Errorf("let in as %v", who)
			}
			if e.attrs["who"] != tt.who || e.attrs["role"] != tt.role.String() || len(e.attrs["fingerprint"]) != 64 {
				t.Errorf("the audit has %v", e)
			}
		})
	}
}

// TestEverybody: a star allows every name, but not none.
func TestEverybody(t *testing.T) {
	ours := newCompany(t, "ours")
	p := newPKI(t, Name{Name: "alice", Role: access.Mutate}, Name{Name: "*", Role: access.Observe})
	p.cfg.ClientCAs = ours.pool()
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	for name, want := range map[string]access.Role{"alice": access.Mutate, "carol": access.Observe, "": 0} {
		before := len(h.spokenTo())
		h.secure(p.client(ours.sign(t, func(c *x509.Certificate) { c.Subject.CommonName = name })))
		got := h.spokenTo()
		if want == 0 && len(got) != before || want != 0 && (len(got) != before+1 || got[before].Role != want || got[before].Name != name) {
			t.Errorf("%q is let in as %v", name, got[before:])
		}
	}
}

// TestLongChains: certificates of one's own may take more room than ours, up to a
// bound.
func TestLongChains(t *testing.T) {
	ours := newCompany(t, "ours")
	p := newPKI(t, Name{Name: "alice"})
	p.cfg.ClientCAs = ours.pool()
	fat := func(kib int) tls.Certificate {
		return ours.sign(t, func(c *x509.Certificate) {
			c.Subject.CommonName = "alice"
			c.Subject.OrganizationalUnit = []string{strings.Repeat("x", kib<<10)}
		})
	}
	for kib, want := range map[int]bool{8: true, 20: false} {
		ln, err := ListenTLS(anyLoopback, p.cfg)
		h := open(t, ln, err)
		if got := h.secure(p.client(fat(kib))); got != want {
			t.Errorf("%d KiB: let in: %t", kib, got)
		}
		if !want && !strings.Contains(h.wait(audit.ConnectionRefused, 1).attrs["reason"], errTooMuch.Error()) {
			t.Errorf("the audit has %v", h.all())
		}
	}
}

// redeem uses an invitation at h.
func (h *house) redeem(link invite.Link) (*invite.Pass, error) {
	return invite.Redeem(context.Background(), h.dial(), link, "alice@laptop")
}

// TestInvitation: from the pasted line to a connection.
func TestInvitation(t *testing.T) {
	p, desk := newGuests(t, time.Now().Add(time.Hour))
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	link, err := desk.Invite(ln.String())
	must(t, err)
	link, err = invite.Parse(link.Text())
	must(t, err)

	pass, err := h.redeem(link)
	must(t, err)
	if e := h.wait(audit.ConnectionAccepted, 1); e.attrs["proof"] != "token" || e.attrs["who"] != "invitation 1 (alice@laptop)" || e.attrs["role"] != "observe" {
		t.Errorf("the audit has %v", e)
	}
	h.wait(audit.ConnectionClosed, 1)
	if guests := h.spokenTo(); len(guests) > 0 {
		t.Errorf("the invitation alone let %v in", guests)
	}
	for range 2 { // as often as the IDE connects
		if !h.secure(pass.TLS) {
			t.Fatal("not let in")
		}
	}
	e := h.wait(audit.ConnectionAccepted, 2)
	if e.attrs["proof"] != "certificate" || e.attrs["who"] != "invitation 1 (alice@laptop)" || e.attrs["fingerprint"] != h.wait(audit.ConnectionAccepted, 1).attrs["fingerprint"] {
		t.Errorf("the audit has %v", e)
	}
	if who := h.spokenTo()[0]; who.Role != access.Observe || who.Proof != access.ProofCertificate {
		t.Errorf("let in as %v", who)
	}

	// A second use, and by somebody who has only guessed.
	if _, err := h.redeem(link); !errors.Is(err, invite.Used) {
		t.Errorf("a second use: %v", err)
	}
	if e := h.wait(audit.Attack, 1); !strings.Contains(e.attrs["reason"], "used already") {
		t.Errorf("the audit has %v", e)
	}
	// The certificate is none of another session's.
	other, _ := newGuests(t, time.Now().Add(time.Hour))
	ln, err = ListenTLS(anyLoopback, other.cfg)
	h2 := open(t, ln, err)
	config := pass.TLS.Clone()
	config.VerifyConnection = nil
	if h2.secure(config) {
		t.Error("a certificate of another session is let in")
	}
	if e := h2.wait(audit.ConnectionRefused, 1); !strings.Contains(e.attrs["reason"], "unknown authority") {
		t.Errorf("the audit has %v", e)
	}
}

// TestSessionIsOver: neither invitation nor certificate outlive it.
func TestSessionIsOver(t *testing.T) {
	p, desk := newGuests(t, time.Now().Add(-time.Second))
	authority, err := invite.NewAuthority(time.Now().Add(-time.Second))
	must(t, err)
	p.cfg.Guests = authority.Pool()
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	link, err := desk.Invite(ln.String())
	must(t, err)
	if _, err := h.redeem(link); !errors.Is(err, invite.Expired) {
		t.Errorf("the invitation: %v", err)
	}
	if h.secure(p.client(clientCert(t, authority, "invitation 1 (x)"))) {
		t.Error("the certificate is let in")
	}
	if e := h.wait(audit.ConnectionRefused, 2); !strings.Contains(e.attrs["reason"], "expired") {
		t.Errorf("the audit has %v", e)
	}
}

// TestNoInvitationsHere: a listener for certificates says so.
func TestNoInvitationsHere(t *testing.T) {
	p := newPKI(t, Name{Name: "alice"})
	_, desk := newGuests(t, time.Now().Add(time.Hour))
	ln, err := ListenTLS(anyLoopback, p.cfg)
	h := open(t, ln, err)
	link, err := desk.Invite(ln.String())
	must(t, err)
	if _, err := h.redeem(link); err == nil {
		t.Error("it was taken")
	}
	if e := h.wait(audit.ConnectionRefused, 1); !strings.Contains(e.attrs["reason"], "certificates only") {
		t.Errorf("the audit has %v", e)
	}
}

func TestTLSMistakesAreJoined(t *testing.T) {
	_, err := ListenTLS(anyLoopback, TLS{})
	for _, want := range []string{"no certificate", "either certificates", "no role"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	p := newPKI(t)
	if _, err := ListenTLS(anyLoopback, p.cfg); err == nil || !strings.Contains(err.Error(), "no name") {
		t.Errorf("a listener for certificates of anybody: %v", err)
	}
	p, _ = newGuests(t, time.Now())
	p.cfg.ClientCAs = p.cfg.Guests
	if _, err := ListenTLS(anyLoopback, p.cfg); err == nil || !strings.Contains(err.Error(), "either") {
		t.Errorf("both ways in: %v", err)
	}
}
