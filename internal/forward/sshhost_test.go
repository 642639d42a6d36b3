package forward

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshHost is a host with an ssh server, as far as this package needs one: it lets
// one key in, connects to Unix sockets and runs one command.
type sshHost struct {
	t      *testing.T
	ln     net.Listener
	config *ssh.ServerConfig
	client ssh.Signer // whose key is let in

	mu      sync.Mutex
	user    string // the last one who came in
	command func(string) (out, wrong string, status uint32)
	noLocal bool // AllowStreamLocalForwarding no
	conns   []*gated
}

// gated is a connection that can be made to hang: it stays open, and nothing
// passes.
type gated struct {
	net.Conn
	hung chan struct{}
	once sync.Once
}

func (g *gated) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	select {
	case <-g.hung:
		_, _ = io.Copy(io.Discard, g.Conn)
		return 0, io.EOF
	default:
		return n, err
	}
}

func (g *gated) Write(p []byte) (int, error) {
	select {
	case <-g.hung:
		return len(p), nil
	default:
		return g.Conn.Write(p)
	}
}

// newKey makes a key of a type.
func newKey(t *testing.T, kind string) (ssh.Signer, any) {
	t.Helper()
	var key any
	var err error
	if kind == ssh.KeyAlgoECDSA256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// startSSHHost starts a host with these keys, and makes a new home directory with a
// key in it that the host lets in, in ~/.ssh/id_ed25519.
func startSSHHost(t *testing.T, keys ...ssh.Signer) *sshHost {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	signer, private := newKey(t, ssh.KeyAlgoED25519)
	writeKey(t, filepath.Join(home, ".ssh", "id_ed25519"), private, "")

	h := &sshHost{t: t, client: signer}
	h.config = &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(signer.PublicKey().Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.user = meta.User()
		return nil, nil
	}}
	for _, key := range keys {
		h.config.AddHostKey(key)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.ln = ln
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			g := &gated{Conn: conn, hung: make(chan struct{})}
			h.mu.Lock()
			h.conns = append(h.conns, g)
			h.mu.Unlock()
			conns.Go(func() { h.serve(g) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		h.cut()
		conns.Wait()
	})
	return h
}

func writeKey(t *testing.T, path string, key any, passphrase string) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *sshHost) addr() string { return h.ln.Addr().String() }

// target is the host, or a socket on it.
func (h *sshHost) target(path string) string { return "ssh://alice@" + h.addr() + path }

// knows writes known_hosts.
func (h *sshHost) knows(lines ...string) {
	h.t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), ".ssh", "known_hosts"), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// line is the host's line of known_hosts for a key.
func (h *sshHost) line(key ssh.Signer) string {
	return knownhosts.Line([]string{knownhosts.Normalize(h.addr())}, key.PublicKey())
}

// cut ends every connection; hang lets them hang.
func (h *sshHost) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.conns {
		g.Close()
	}
}

func (h *sshHost) hang() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.conns {
		g.once.Do(func() { close(g.hung) })
	}
}

func (h *sshHost) serve(conn net.Conn) {
	defer conn.Close()
	server, channels, requests, err := ssh.NewServerConn(conn, h.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests) // answers keepalives too
	var open sync.WaitGroup
	for ch := range channels {
		switch ch.ChannelType() {
		case "direct-streamlocal@openssh.com":
			open.Go(func() { h.local(ch) })
		case "session":
			open.Go(func() { h.session(ch) })
		default:
			ch.Reject(ssh.UnknownChannelType, "unknown")
		}
	}
	server.Close()
	open.Wait()
}

// local is direct-streamlocal@openssh.com.
func (h *sshHost) local(ch ssh.NewChannel) {
	var to struct {
		Path     string
		Reserved string
		Port     uint32
	}
	h.mu.Lock()
	forbidden := h.noLocal
	h.mu.Unlock()
	if err := ssh.Unmarshal(ch.ExtraData(), &to); err != nil || forbidden {
		ch.Reject(ssh.Prohibited, "open failed")
		return
	}
	conn, err := net.Dial("unix", to.Path)
	if err != nil {
		ch.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer conn.Close()
	channel, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(conn, channel)
		conn.(*net.UnixConn).CloseWrite()
	}()
	io.Copy(channel, conn)
	channel.CloseWrite()
	<-done
}

// session runs one command (RFC 4254 section 6.5).
func (h *sshHost) session(ch ssh.NewChannel) {
	channel, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	for req := range requests {
		var asked struct{ Command string }
		if req.Type != "exec" || ssh.Unmarshal(req.Payload, &asked) != nil {
			req.Reply(false, nil)
			continue
		}
		req.Reply(true, nil)
		h.mu.Lock()
		run := h.command
		h.mu.Unlock()
		out, wrong, status := "", "sh: exec: remotedbg: not found\n", uint32(127)
		if run != nil {
			out, wrong, status = run(asked.Command)
		}
		io.WriteString(channel, out)
		io.WriteString(channel.Stderr(), wrong)
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
	}
}

// runs sets what the host's one command prints.
func (h *sshHost) runs(out, wrong string, status uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.command = func(asked string) (string, string, uint32) {
		if !strings.HasSuffix(asked, "exec remotedbg agents --json") {
			return "", "unexpected: " + asked, 1
		}
		return out, wrong, status
	}
}

// keyring starts an ssh-agent with these keys.
func keyring(t *testing.T, keys ...any) {
	t.Helper()
	ring := agent.NewKeyring()
	for _, key := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "agent")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				agent.ServeAgent(ring, conn)
				conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait() // every connection to it was closed again
	})
	t.Setenv("SSH_AUTH_SOCK", path)
}
