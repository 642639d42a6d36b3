package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// A host that answers TCP but not ssh is given up after signTimeout without a sign of
// life; it is asked every signInterval.
const (
	signInterval = 2 * time.Second
	signTimeout  = 6 * time.Second
)

// SSHOptions are what ssh:// does not say. The zero value is what the ssh command
// would use.
type SSHOptions struct {
	Identity   string // file of a private key; empty: those of ssh-agent and of ~/.ssh
	KnownHosts string // file of host keys; empty: those of ssh
}

// sshRoute is an agent's Unix socket on a host that is reached over ssh.
type sshRoute struct {
	target string
	named  hostName
	given  string // path of the socket; empty: that of the one agent
	cfg    SSHOptions
	log    func(string)

	mu     sync.Mutex
	client *host  // nil if there is none, or the last one is gone
	socket string // given, or found
}

// host is a login.
type host struct {
	*ssh.Client
	gone chan struct{} // closed when it has ended
	why  error         // of that; to be read once gone is closed
}

func (r *sshRoute) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.target + r.socketPath()
}

// socketPath is the socket as far as it is known. r.mu is held.
func (r *sshRoute) socketPath() string {
	if r.given != "" {
		return r.given
	}
	return r.socket
}

// Prepare logs in and, if need be, finds the agent.
func (r *sshRoute) Prepare(ctx context.Context) (string, error) {
	client, err := r.login(ctx)
	if err != nil {
		return "", err
	}
	if r.given != "" {
		return "", nil
	}
	return r.find(ctx, client)
}

// find asks the host for its agents.
func (r *sshRoute) find(ctx context.Context, client *host) (string, error) {
	agents, err := askAgents(ctx, client.Client)
	if err != nil {
		return "", err
	}
	one, err := theOne(r.target, agents)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	r.socket = one.Socket
	r.mu.Unlock()
	return one.String(), nil
}

// Dial opens a channel to the socket, and logs in again if the last connection is
// gone.
func (r *sshRoute) Dial(ctx context.Context) (net.Conn, error) {
	client, err := r.login(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := r.channel(ctx, client)
	if err == nil || r.given != "" || !refusedChannel(err) {
		return conn, err
	}
	// The agent may have been started anew since.
	if _, err := r.find(ctx, client); err != nil {
		return nil, err
	}
	return r.channel(ctx, client)
}

// channel is a connection to the socket (PROTOCOL of OpenSSH, section 2.4,
// direct-streamlocal@openssh.com).
func (r *sshRoute) channel(ctx context.Context, client *host) (net.Conn, error) {
	r.mu.Lock()
	path := r.socketPath()
	r.mu.Unlock()
	if path == "" {
		if _, err := r.find(ctx, client); err != nil {
			return nil, err
		}
		r.mu.Lock()
		path = r.socketPath()
		r.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := client.DialContext(ctx, "unix", path)
	if err == nil {
		return &hosted{Conn: conn, host: client}, nil
	}
	advice := "is the host still reachable?"
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		advice = "the agent has ended, or its socket belongs to another user: 'remotedbg agents' on the host lists yours"
		if refused.Reason == ssh.Prohibited {
			advice = "the host's sshd must allow it: AllowStreamLocalForwarding yes (sshd_config)"
		}
	}
	return nil, &Error{Err: fmt.Errorf("remotedbg: connect to the agent at %s%s: %w", r.target, path, err), Advice: advice}
}

// refusedChannel says whether the host is there, but not the socket.
func refusedChannel(err error) bool {
	var refused *ssh.OpenChannelError
	return errors.As(err, &refused) && refused.Reason != ssh.Prohibited
}

// Close logs out.
func (r *sshRoute) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client == nil {
		return nil
	}
	err := r.client.Close()
	r.client = nil
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// login returns the connection to the host, a new one if there is none that lives.
func (r *sshRoute) login(ctx context.Context) (*host, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		return r.client, nil
	}
	settings, err := r.cfg.settingsFor(r.named, r.log)
	if err != nil {
		return nil, err
	}
	client, err := settings.login(ctx)
	if err != nil {
		return nil, err
	}
	h := &host{Client: client, gone: make(chan struct{})}
	r.client = h
	hung := make(chan struct{})
	go func() {
		err := client.Wait()
		select {
		case <-hung:
			err = errHung
		default:
		}
		h.why = err
		close(h.gone)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.client == h {
			r.client = nil
		}
	}()
	go h.signs(hung)
	return h, nil
}

// errHung ends a login to a host that no longer answers.
var errHung = fmt.Errorf("the host has given no sign of life for %v", signTimeout)

// signs asks the host for a sign of life until the login has ended, and ends it when
// none comes; hung is closed then.
func (h *host) signs(hung chan<- struct{}) {
	tick := time.NewTicker(signInterval)
	defer tick.Stop()
	for {
		select {
		case <-h.gone:
			return
		case <-tick.C:
		}
		answered := make(chan error, 1)
		go func() {
			// An unknown request must be answered too: RFC 4254 section 4.
			_, _, err := h.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case <-h.gone:
			return
		case err := <-answered:
			if err != nil {
				h.Close()
				return
			}
		case <-time.After(signTimeout):
			close(hung)
			h.Close()
			return
		}
	}
}

// hosted is a channel of a login.
type hosted struct {
	net.Conn
	host *host
}

// endTime is how long it takes at most until a login that has ended is known to have:
// the library ends its channels before.
const endTime = 200 * time.Millisecond

// Read tells the end of the agent from that of the login, which the library shows as
// the end of every channel.
func (c *hosted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-c.host.gone:
		return n, fmt.Errorf("ssh: %w", c.host.why)
	case <-time.After(endTime):
		return n, err
	}
}

// CloseWrite sends the end of what is sent: RFC 4254 section 5.3.
func (c *hosted) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// login connects to the host and proves who we are.
func (s *settings) login(ctx context.Context) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := dialTCP(ctx, s.addr())
	if err != nil {
		var of *Error
		errors.As(err, &of)
		return nil, &Error{Err: fmt.Errorf("remotedbg: ssh to %s: %w", s.addr(), errors.Unwrap(of.Err)), Advice: "does 'ssh " + s.name.host + "' work from here?"}
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	keys := s.keys()
	defer keys.close()
	config := &ssh.ClientConfig{
		User:              s.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(keys.signers)},
		HostKeyCallback:   s.hosts.check,
		HostKeyAlgorithms: s.hosts.algorithms(s.hostKeyAddr()),
		ClientVersion:     "SSH-2.0-remotedbg",
	}
	raw, channels, requests, err := ssh.NewClientConn(conn, s.hostKeyAddr(), config)
	if err != nil {
		conn.Close()
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return nil, s.loginError(err, keys)
	}
	return ssh.NewClient(raw, channels, requests), nil
}

// loginError says what a failed login means.
func (s *settings) loginError(err error, keys *keys) error {
	var known *Error // of the host's key
	if errors.As(err, &known) {
		return known
	}
	advice := "does 'ssh " + s.name.host + "' work from here?"
	if strings.Contains(err.Error(), "unable to authenticate") { // the library has no type for it
		advice = keys.advice()
	}
	return &Error{Err: fmt.Errorf("remotedbg: ssh to %s@%s: %w", s.user, s.addr(), err), Advice: advice}
}
