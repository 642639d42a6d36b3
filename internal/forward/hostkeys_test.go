package forward

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// TestSSHHostKeys: only a host whose key is known is talked to.
func TestSSHHostKeys(t *testing.T) {
	ed, _ := newKey(t, ssh.KeyAlgoED25519)
	ec, _ := newKey(t, ssh.KeyAlgoECDSA256)
	other, _ := newKey(t, ssh.KeyAlgoED25519)
	authority, _ := newKey(t, ssh.KeyAlgoECDSA256)
	h := startSSHHost(t, ec, ed)
	agent := startStandIn(t)
	host := knownhosts.Normalize(h.addr())
	authorityLine := "@cert-authority " + host + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authority.PublicKey())))
	for _, tt := range []struct {
		name  string
		known []string
		want  []string // of the error; none: it is talked to
	}{
		{"the key is known", []string{h.line(ed)}, nil},
		{"the other key is known", []string{h.line(ec)}, nil},
		{"with a hashed name", []string{knownhosts.Line([]string{knownhosts.HashHostname(host)}, ed.PublicKey())}, nil},
		{"among others", []string{"# hosts", knownhosts.Line([]string{"shop1"}, other.PublicKey()), h.line(ed)}, nil},
		{"no line", nil, []string{"not a known host", "SHA256:", "add this line to", "known_hosts"}},
		{"another host's", []string{knownhosts.Line([]string{"shop1"}, ed.PublicKey())}, []string{"not a known host"}},
		{"another port's", []string{knownhosts.Line([]string{"127.0.0.1"}, ed.PublicKey())}, []string{"not a known host"}},
		{"another key", []string{"", h.line(other)}, []string{"not the one that is known", "known_hosts:2", "do not go on", "ssh-keygen -R '" + host + "'"}},
		{"revoked", []string{h.line(ed), "@revoked * " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(ed.PublicKey())))}, []string{"revoked", "do not go on"}},
		{"an authority that has not signed", []string{authorityLine}, []string{"no common algorithm"}},
		{"a line that is none", []string{"127.0.0.1 ssh-ed25519 %%%"}, []string{"known_hosts", "correct or remove that line"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.knows(tt.known...)
			conn, err := route(t, h.target(agent.path), Options{}).Dial(t.Context())
			if len(tt.want) > 0 {
				refused(t, err, tt.want...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

// The line that is shown for an unknown host is the one to add.
func TestSSHUnknownHostLine(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	agent := startStandIn(t)
	r := route(t, h.target(agent.path), Options{})
	_, err := r.Dial(t.Context())
	var known *Error
	if !errors.As(err, &known) {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(known.Hint(), "known_hosts: ")
	line, _, _ = strings.Cut(line, "\n")
	h.knows(line)
	conn, err := r.Dial(t.Context())
	if err != nil {
		t.Fatalf("after adding %q: %v", line, err)
	}
	conn.Close()
}

// TestSSHAuthority: a host that shows a certificate of a known authority, for its
// own name, is known.
func TestSSHAuthority(t *testing.T) {
	authority, _ := newKey(t, ssh.KeyAlgoECDSA256)
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	for name, good := range map[string]bool{"127.0.0.1": true, "shop2.example": false} {
		cert := &ssh.Certificate{
			Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{name},
			ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
		}
		if err := cert.SignCert(rand.Reader, authority); err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewCertSigner(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		h := startSSHHost(t, key, signer)
		agent := startStandIn(t)
		h.knows("@cert-authority " + knownhosts.Normalize(h.addr()) + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authority.PublicKey()))))
		conn, err := route(t, h.target(agent.path), Options{}).Dial(t.Context())
		if good && err != nil {
			t.Errorf("for its own name: %v", err)
		}
		if !good && err == nil {
			t.Error("a certificate for another name was accepted")
		}
		if err == nil {
			conn.Close()
		}
	}
}
