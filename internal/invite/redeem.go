package invite

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/remotedbg/remotedbg/internal/access"
)

// exchangeTime bounds Redeem from the side of the client: the agent gives up
// sooner.
const exchangeTime = 10 * time.Second

// Pass is what an invitation was exchanged for.
type Pass struct {
	// TLS makes the client's side of every later connection:
	// tls.Client(conn, pass.TLS). It presents the certificate, accepts the one
	// agent of the link and nobody else, whatever name it was reached by, and asks
	// for [DebugProtocol]. The key in it was made for this and is kept nowhere
	// else. It may be used by any number of connections and must not be changed.
	TLS *tls.Config

	Role    access.Role // what the agent lets its bearer do
	Expires time.Time   // when the certificate ends, and the session with it
	Process string      // what is debugged, for people
}

// Redeem uses link over conn, a fresh connection to the agent, and closes it. name
// is what the client calls itself in the agent's log and audit, such as
// alice@laptop; it proves nothing. The error is a [Reason] if the agent refuses, or
// if it is not the agent of the link.
func Redeem(ctx context.Context, conn net.Conn, link Link, name string) (*Pass, error) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: invitation: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: cleanName(name)}}, key)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: invitation: %w", err)
	}
	secure := tls.Client(conn, pinned(link, Protocol))
	got, err := exchange(ctx, secure, link, csr, name)
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, err
	}
	return got.pass(link, key)
}

// exchange sends the request and reads the answer.
func exchange(ctx context.Context, secure *tls.Conn, link Link, csr []byte, name string) (reply, error) {
	if err := secure.HandshakeContext(ctx); err != nil {
		return reply{}, fmt.Errorf("remotedbg: invitation: connect to the agent at %s: %w", link.Addr, err)
	}
	binding, err := Binding(secure.ConnectionState())
	if err != nil {
		return reply{}, err
	}
	err = send(secure, request{
		Version: linkVersion, Name: cleanName(name), Process: link.process[:],
		CSR: csr, Proof: link.proof(binding, csr),
	})
	if err != nil {
		return reply{}, fmt.Errorf("remotedbg: invitation: tell the agent: %w", err)
	}
	var got reply
	if err := receive(secure, &got); err != nil {
		return reply{}, fmt.Errorf("remotedbg: invitation: no answer from the agent: %w", err)
	}
	if got.Refused != "" {
		return reply{}, got.Refused
	}
	return got, nil
}

// pass turns the answer into what later connections use.
func (got reply) pass(link Link, key *ecdsa.PrivateKey) (*Pass, error) {
	leaf, err := x509.ParseCertificate(got.Certificate)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: invitation: the certificate from the agent: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("remotedbg: invitation: the certificate from the agent is for another key")
	}
	role, err := access.ParseRole(got.Role)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: invitation: from the agent: %w", err)
	}
	config := pinned(link, DebugProtocol)
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{got.Certificate}, PrivateKey: key, Leaf: leaf}}
	return &Pass{TLS: config, Role: role, Expires: leaf.NotAfter, Process: printable(got.Process, 200)}, nil
}

// pinned accepts the one certificate of link. Chains, names and times say nothing
// more: the link came from the agent itself.
func pinned(link Link, protocol string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{protocol},
		InsecureSkipVerify: true, // VerifyConnection does it, also when a session is resumed
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return OtherAgent
			}
			if sum := sha256.Sum256(state.PeerCertificates[0].Raw); !bytes.Equal(sum[:], link.server[:]) {
				return OtherAgent
			}
			return nil
		},
	}
}

// cleanName makes a name fit for logs and certificates.
func cleanName(name string) string { return printable(name, maxName) }

// printable cuts s to most bytes and leaves out what would move a terminal's cursor
// or hide something.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > most {
		runes := []rune(s)
		s = string(runes[:len(runes)-1])
	}
	return s
}
