//go:build linux

package door

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/door/opening"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// How many bytes a stranger may send before the handshake is over. A chain of
// certificates with RSA keys does not fit into the first, and ours need less.
const (
	maxHandshake    = 4 << 10
	maxOwnHandshake = 16 << 10
)

// TLS is who may use a listener with TLS. Either ClientCAs and Names are set, or
// Desk and Guests.
type TLS struct {
	Certificate tls.Certificate // the agent's

	ClientCAs *x509.CertPool // whose certificates are accepted
	Names     []Name         // of those, which

	Desk   *invite.Desk   // takes invitations
	Guests *x509.CertPool // whose certificates those get

	Role access.Role // of guests, and of names without a role
}

// Name is a client that may connect.
type Name struct {
	// Name is compared with the certificate's DNS names, e-mail addresses and
	// URIs, and with its common name if it has none of those (RFC 9525 section 2
	// has done away with that, but many have nothing else). "*" is everybody with
	// a certificate.
	Name string
	Role access.Role // 0: TLS.Role
}

// secure is TLS as a listener uses it.
type secure struct {
	TLS
	config *tls.Config
	limit  int // of bytes before the handshake is over
}

// ListenTLS listens on any address and lets in who has a certificate, or an
// invitation to get one. The error joins all mistakes of cfg.
func ListenTLS(addr netip.AddrPort, cfg TLS) (*Listener, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	ln, err := net.Listen(networkOf(addr), addr.String())
	if err != nil {
		return nil, err
	}
	return &Listener{ln: ln, addr: ln.Addr().String(), secure: newSecure(cfg), greet: func(nc net.Conn) (string, string, access.Identity, error) {
		return sourceOf(nc), nc.RemoteAddr().String(), access.Identity{}, nil
	}}, nil
}

func (cfg TLS) check() error {
	var errs []error
	if len(cfg.Certificate.Certificate) == 0 {
		errs = append(errs, errors.New("remotedbg: listen with TLS: no certificate"))
	}
	own, guests := cfg.ClientCAs != nil, cfg.Desk != nil
	if own == guests {
		errs = append(errs, errors.New("remotedbg: listen with TLS: either certificates of clients or invitations"))
	}
	if own && len(cfg.Names) == 0 {
		errs = append(errs, errors.New("remotedbg: listen with TLS: no name of a client"))
	}
	if guests && cfg.Guests == nil {
		errs = append(errs, errors.New("remotedbg: listen with TLS: nobody who signs for guests"))
	}
	if !cfg.Role.May(access.Observe) {
		errs = append(errs, errors.New("remotedbg: listen with TLS: no role"))
	}
	return errors.Join(errs...)
}

func newSecure(cfg TLS) *secure {
	s := &secure{TLS: cfg, limit: maxHandshake}
	pool := cfg.Guests
	if cfg.ClientCAs != nil {
		pool, s.limit = cfg.ClientCAs, maxOwnHandshake
	}
	debug := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cfg.Certificate},
		NextProtos:   []string{invite.DebugProtocol},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		// A resumed session would not be verified against the time again.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := s.identify(state)
			return err
		},
	}
	exchange := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           debug.Certificates,
		NextProtos:             []string{invite.Protocol},
		SessionTicketsDisabled: true,
	}
	s.config = debug.Clone()
	s.config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		protos := hello.SupportedProtos
		switch {
		case slices.Contains(protos, invite.Protocol) && s.Desk != nil:
			return exchange, nil
		case slices.Contains(protos, invite.Protocol):
			return nil, errors.New("it has an invitation, and this listener takes certificates only")
		case len(protos) == 0 || slices.Contains(protos, invite.DebugProtocol):
			return debug, nil
		case slices.Contains(protos, "h2") || slices.Contains(protos, "http/1.1"):
			return nil, attack{opening.Opening{Kind: opening.HTTP, Host: hello.ServerName}}
		}
		return nil, attack{opening.Opening{Kind: opening.Unknown}}
	}
	return s
}

// identify says who a certificate is of. The handshake has verified its chain.
func (s *secure) identify(state tls.ConnectionState) (access.Identity, error) {
	if len(state.VerifiedChains) == 0 {
		return access.Identity{}, errors.New("remotedbg: no certificate was verified")
	}
	leaf := state.VerifiedChains[0][0]
	if s.ClientCAs == nil {
		// The session's own authority has signed for a guest: "invitation 1" is
		// proved, what follows it is what the guest calls itself.
		return access.Identity{Proof: access.ProofCertificate, Name: leaf.Subject.CommonName, Role: s.Role}, nil
	}
	names := namesOf(leaf)
	for _, allowed := range s.Names {
		at := slices.Index(names, allowed.Name)
		if at < 0 && allowed.Name == "*" {
			at = 0
		}
		if at < 0 || len(names) == 0 {
			continue
		}
		who := access.Identity{Proof: access.ProofCertificate, Name: names[at], Role: allowed.Role}
		if who.Role == 0 {
			who.Role = s.Role
		}
		return who, nil
	}
	return access.Identity{}, notAllowed{names}
}

// namesOf are the names of a certificate.
func namesOf(leaf *x509.Certificate) []string {
	names := append(slices.Clone(leaf.DNSNames), leaf.EmailAddresses...)
	for _, uri := range leaf.URIs {
		names = append(names, uri.String())
	}
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = append(names, leaf.Subject.CommonName)
	}
	return names
}

// notAllowed is a good certificate of somebody who is not among the names.
type notAllowed struct{ names []string }

func (n notAllowed) Error() string {
	return fmt.Sprintf("the certificate of %q is none of --client-name", n.names)
}

func (n notAllowed) Hint() string {
	if len(n.names) == 0 {
		return "its certificate needs a DNS name, an e-mail address, a URI or a common name"
	}
	return fmt.Sprintf("if they may debug, attach with --client-name %q", n.names[0])
}

// bounded ends a connection that sends more than it may. One goroutine reads it at
// a time.
type bounded struct {
	net.Conn
	left int // -1: no bound any more
}

var errTooMuch = errors.New("it sent too much before it was known who it is")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return b.Conn.Read(p)
	}
	if b.left == 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// lift ends the bound.
func (b *bounded) lift() { b.left = -1 }

// secure makes the handshake. The connection is nil, without an error, once an
// invitation was taken.
func (v *visit) secure(ctx context.Context) (net.Conn, error) {
	s := v.ln.secure
	o, err := opening.Read(v.raw)
	if err != nil {
		return nil, err
	}
	if o.Kind != opening.TLS {
		return nil, attack{o}
	}
	wire := &bounded{Conn: o.Whole(v.raw), left: s.limit}
	conn := tls.Server(wire, s.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		if theirFault(err) {
			v.backoff.failed(v.source)
		}
		return nil, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == invite.Protocol {
		return nil, v.redeem(conn)
	}
	if v.who, err = s.identify(state); err != nil {
		return nil, err
	}
	v.who.From = v.from
	v.print = fingerprint(state.VerifiedChains[0][0].Raw)
	v.backoff.succeeded(v.source)
	wire.lift()
	return conn, nil
}

// redeem takes an invitation.
func (v *visit) redeem(conn *tls.Conn) error {
	guest, err := v.ln.secure.Desk.Serve(conn)
	conn.Close()
	var why invite.Reason
	if errors.As(err, &why) {
		v.backoff.failed(v.source)
	}
	if err != nil {
		return err
	}
	v.backoff.succeeded(v.source)
	v.who = access.Identity{Proof: access.ProofToken, Name: guest.String(), From: v.from, Role: v.ln.secure.Role}
	v.print = fingerprint(guest.Certificate)
	v.accepted()("the invitation was exchanged for a certificate")
	v.cfg.Log(fmt.Sprintf("invitation %d was used from %s, by somebody who goes by %q; it is good for no other use", guest.Invitation, v.from, guest.Name))
	return nil
}

// fingerprint names a certificate as openssl x509 -fingerprint -sha256 does, without
// the colons.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// theirFault tells somebody who failed to prove who they are from a connection that
// failed, and from somebody who does not trust us.
func theirFault(err error) bool {
	var alert tls.AlertError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		return false
	case errors.As(err, &alert), isRemote(err):
		return false
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	}
	return true
}

// isRemote says whether err is an alert from the other end (crypto/tls reports it
// so).
func isRemote(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
