package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"sync"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/internal/invite"
	"github.com/remotedbg/remotedbg/internal/keepalive"
)

// dialTimeout bounds everything until a connection can be used.
const dialTimeout = 10 * time.Second

// dialTCP connects, and makes a peer that is gone an error.
func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &Error{
			Err:    fmt.Errorf("remotedbg: connect to the agent: %w", err),
			Advice: "is the agent running, and is its port reachable from here? a firewall may be in between",
		}
	}
	if err := keepalive.Watch(conn.(*net.TCPConn)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("remotedbg: connect to the agent: watch the connection: %w", err)
	}
	return conn, nil
}

// unixRoute is a socket on this machine.
type unixRoute struct{ path string }

func (r *unixRoute) String() string { return "unix://" + r.path }
func (r *unixRoute) Close() error   { return nil }

// Prepare only looks: a connection would take a place at the agent.
func (r *unixRoute) Prepare(context.Context) (string, error) {
	info, err := os.Stat(r.path)
	if err != nil {
		return "", socketError(r.path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return "", socketError(r.path, errors.New("not a socket"))
	}
	return "", nil
}

func (r *unixRoute) Dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", r.path)
	if err != nil {
		return nil, socketError(r.path, err)
	}
	return conn, nil
}

// socketError says what a failure to use an agent's socket means.
func socketError(path string, err error) error {
	advice := "remotedbg agents lists the agents of a host"
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		advice = "the agent has ended, or never was there: remotedbg agents lists those that run"
	case errors.Is(err, fs.ErrPermission):
		advice = "only the user that the agent runs as may use its socket"
	}
	return &Error{Err: fmt.Errorf("remotedbg: connect to the agent at %s: %w", path, err), Advice: advice}
}

// PKI are certificates that somebody manages, as files.
type PKI struct {
	Cert, Key  string // of the client; both or neither
	CA         string // what the agent's certificate is verified against; empty: what the system trusts
	ServerName string // that the agent's certificate must have; empty: the host of the target
}

func (p PKI) given() bool { return p != PKI{} }

// config reads the files.
func (p PKI) config(host string) (*tls.Config, error) {
	if p.Cert == "" || p.Key == "" {
		return nil, &Error{Err: errors.New("remotedbg: certificates: the agent asks for one, with its key"), Advice: "give both --tls-cert FILE and --tls-key FILE"}
	}
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, &Error{Err: fmt.Errorf("remotedbg: certificates: %s and %s: %w", p.Cert, p.Key, err), Advice: "both must be PEM files and belong together"}
	}
	if until := pair.Leaf.NotAfter; time.Now().After(until) {
		return nil, &Error{Err: fmt.Errorf("remotedbg: certificates: %s has expired at %s", p.Cert, until.Local().Format(time.DateTime)), Advice: "get a new one"}
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{invite.DebugProtocol},
		Certificates: []tls.Certificate{pair},
		ServerName:   p.ServerName,
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if p.CA != "" {
		text, err := os.ReadFile(p.CA)
		if err != nil {
			return nil, &Error{Err: fmt.Errorf("remotedbg: certificates: %w", err), Advice: "--ca names a PEM file with the certificates that sign the agent's"}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, &Error{Err: fmt.Errorf("remotedbg: certificates: %s has none in it", p.CA), Advice: "--ca names a PEM file with the certificates that sign the agent's"}
		}
	}
	return config, nil
}

// tlsRoute is an agent that knows our certificate.
type tlsRoute struct {
	addr   string
	config *tls.Config
}

func (r *tlsRoute) String() string { return r.addr }
func (r *tlsRoute) Close() error   { return nil }

// Prepare does nothing: the agent would count a handshake without a session as a
// connection that said nothing.
func (r *tlsRoute) Prepare(context.Context) (string, error) { return "", nil }

func (r *tlsRoute) Dial(ctx context.Context) (net.Conn, error) {
	return dialTLS(ctx, r.addr, r.config)
}

func dialTLS(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	plain, err := dialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(plain, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, &Error{Err: fmt.Errorf("remotedbg: connect to the agent at %s: %w", addr, err), Advice: handshakeAdvice(err)}
	}
	return secure, nil
}

func handshakeAdvice(err error) string {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, invite.OtherAgent):
		return invite.OtherAgent.Hint()
	case errors.As(err, &name):
		return "if this is the agent, give the name that its certificate has: --server-name NAME"
	case errors.As(err, &unknown):
		return "if this is the agent, give the authority that signs its certificate: --ca FILE"
	case errors.As(err, &record):
		return "what answers there does not speak TLS: is it the agent's port?"
	case errors.As(err, &alert):
		return "the agent does not accept this: its log says why"
	}
	return "is it the agent's port? its log may say why"
}

// invitedRoute is an agent that has invited us.
type invitedRoute struct {
	link invite.Link

	mu   sync.Mutex
	pass *invite.Pass // nil until the invitation has been used
}

func (r *invitedRoute) String() string { return r.link.Addr }
func (r *invitedRoute) Close() error   { return nil }

// Prepare uses the invitation. It is good for once; what it was exchanged for is
// good for every connection until it expires, and is kept in memory only.
func (r *invitedRoute) Prepare(ctx context.Context) (string, error) {
	pass, err := r.redeem(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, role %s, until %s", pass.Process, pass.Role, pass.Expires.Local().Format(time.TimeOnly)), nil
}

func (r *invitedRoute) redeem(ctx context.Context) (*invite.Pass, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pass != nil {
		return r.pass, nil
	}
	conn, err := dialTCP(ctx, r.link.Addr)
	if err != nil {
		return nil, err
	}
	pass, err := invite.Redeem(ctx, conn, r.link, ourName())
	if err != nil {
		return nil, err // a invite.Reason has its hint
	}
	r.pass = pass
	return pass, nil
}

func (r *invitedRoute) Dial(ctx context.Context) (net.Conn, error) {
	pass, err := r.redeem(ctx)
	if err != nil {
		return nil, err
	}
	if !time.Now().Before(pass.Expires) {
		return nil, &Error{
			Err:    fmt.Errorf("remotedbg: connect to the agent: the session is over since %s", pass.Expires.Local().Format(time.TimeOnly)),
			Advice: "run remotedbg attach again on the host, and connect with the line that it prints",
		}
	}
	return dialTLS(ctx, r.link.Addr, pass.TLS)
}

// ourName is what the agent's log calls us: alice@laptop.
func ourName() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
