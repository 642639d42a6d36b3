package forward

import (
	"context"
	"errors"
	"fmt"
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
	client *ssh.Client // nil if there is none, or the last one is gone
	socket string      // given, or found
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
func (r *sshRoute) find(ctx context.Context, client *ssh.Client) (string, error) {
	agents, err := askAgents(ctx, client)
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
func (r *sshRoute) channel(ctx context.Context, client *ssh.Client) (net.Conn, error) {
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
		return conn, nil
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
func (r *sshRoute) login(ctx context.Context) (*ssh.Client, error) {
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
	r.client = client
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = client.Wait()
		r.mu.Lock()
		if r.client == client {
			r.client = nil
		}
		r.mu.Unlock()
	}()
	go signs(client, gone)
	return client, nil
}

// signs asks the host for a sign of life until the connection is gone, and cuts it
// when none comes.
func signs(client *ssh.Client, gone <-chan struct{}) {
	tick := time.NewTicker(signInterval)
	defer tick.Stop()
	for {
		select {
		case <-gone:
			return
		case <-tick.C:
		}
		answered := make(chan error, 1)
		go func() {
			// An unknown request must be answered too: RFC 4254 section 4.
			_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case <-gone:
			return
		case err := <-answered:
			if err != nil {
				client.Close()
				return
			}
		case <-time.After(signTimeout):
			client.Close()
			return
		}
	}
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
