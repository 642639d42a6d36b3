package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// route parses a target; its log goes to the test's.
func route(t *testing.T, target string, o Options) Route {
	t.Helper()
	o.Log = func(line string) { t.Log(line) }
	r, err := Parse(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the route: %v", err)
		}
	})
	return r
}

// refused fails unless err is one for people that has these texts in it or in its
// hint.
func refused(t *testing.T, err error, texts ...string) {
	t.Helper()
	var known *Error
	if !errors.As(err, &known) {
		t.Errorf("error %v (%T), want one with a hint", err, err)
		return
	}
	whole := known.Error() + "\n" + known.Hint()
	if !strings.HasPrefix(whole, "remotedbg: ") || known.Hint() == "" {
		t.Errorf("the error is %q", whole)
	}
	for _, text := range texts {
		if !strings.Contains(whole, text) {
			t.Errorf("%q is not in %q", text, whole)
		}
	}
}

// TestSSH debugs over a host whose key is known, with a key from a file: three
// sessions over one login.
func TestSSH(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.knows(h.line(key))
	agent := startStandIn(t)
	r := route(t, h.target(agent.path), Options{})
	if _, err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := serve(t, r)
	for range 3 {
		c := p.ide()
		if got, err := c.Evaluate("x", 1, "watch"); err != nil || got.Result != "xxxxxxxxxx" {
			t.Fatalf("%+v, %v", got, err)
		}
		c.Close()
		agent.visit().sawEnd(t)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.user != "alice" || len(h.conns) != 1 {
		t.Errorf("%q came in, in %d connections", h.user, len(h.conns))
	}
}

// TestSSHLogin: what a user can log in with, and what is said when nothing does.
func TestSSHLogin(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	agent := startStandIn(t)
	for _, tt := range []struct {
		name  string
		given func(t *testing.T, file string) SSHOptions // file: the key that is let in
		want  []string
	}{
		{"the file of ~/.ssh", func(*testing.T, string) SSHOptions { return SSHOptions{} }, nil},
		{"ssh-agent, among others", func(t *testing.T, file string) SSHOptions {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			private, err := ssh.ParseRawPrivateKey(text)
			if err != nil {
				t.Fatal(err)
			}
			_, one := newKey(t, ssh.KeyAlgoED25519)
			_, two := newKey(t, ssh.KeyAlgoECDSA256)
			keyring(t, one, two, private)
			os.Remove(file)
			return SSHOptions{}
		}, nil},
		{"--identity", func(t *testing.T, file string) SSHOptions {
			elsewhere := filepath.Join(t.TempDir(), "key")
			if err := os.Rename(file, elsewhere); err != nil {
				t.Fatal(err)
			}
			return SSHOptions{Identity: elsewhere}
		}, nil},
		{"ssh-agent is dead, the file is there", func(t *testing.T, file string) SSHOptions {
			t.Setenv("SSH_AUTH_SOCK", filepath.Join(t.TempDir(), "gone"))
			return SSHOptions{}
		}, nil},
		{"nothing", func(t *testing.T, file string) SSHOptions {
			os.Remove(file)
			return SSHOptions{}
		}, []string{"unable to authenticate", "there is no key", "ssh-add", "--identity"}},
		{"another key", func(t *testing.T, file string) SSHOptions {
			_, private := newKey(t, ssh.KeyAlgoED25519)
			writeKey(t, file, private, "")
			return SSHOptions{}
		}, []string{"accepts none of these keys", "id_ed25519"}},
		{"a passphrase", func(t *testing.T, file string) SSHOptions {
			_, private := newKey(t, ssh.KeyAlgoED25519)
			writeKey(t, file, private, "secret")
			return SSHOptions{}
		}, []string{"id_ed25519: it has a passphrase", "ssh-add"}},
		{"no key in the file", func(t *testing.T, file string) SSHOptions {
			if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			return SSHOptions{}
		}, []string{"not tried", "id_ed25519: ssh: no key found"}},
		{"ssh-agent is dead, and no file", func(t *testing.T, file string) SSHOptions {
			os.Remove(file)
			t.Setenv("SSH_AUTH_SOCK", filepath.Join(t.TempDir(), "gone"))
			return SSHOptions{}
		}, []string{"ssh-agent: dial unix"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := startSSHHost(t, key)
			h.knows(h.line(key))
			o := tt.given(t, filepath.Join(os.Getenv("HOME"), ".ssh", "id_ed25519"))
			conn, err := route(t, h.target(agent.path), Options{SSH: o}).Dial(t.Context())
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

// TestSSHConfig: a host of ~/.ssh/config is reached by its alias.
func TestSSHConfig(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	agent := startStandIn(t)
	home := os.Getenv("HOME")
	host, port, err := net.SplitHostPort(h.addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(home, ".ssh", "id_ed25519"), filepath.Join(home, "shop key")); err != nil {
		t.Fatal(err)
	}
	// Its key is known by the alias, in a file of its own.
	known := knownhosts.Line([]string{knownhosts.Normalize("shop-host:" + port)}, key.PublicKey())
	if err := os.WriteFile(filepath.Join(home, "hosts"), []byte(known+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`
Host shop
  HostName %s
  Port %s
  User bob
  IdentityFile "~/shop key"
  UserKnownHostsFile ~/hosts
  HostKeyAlias shop-host
Host inner
  ProxyJump shop
Host *
  StrictHostKeyChecking no
`, host, port)
	if err := os.WriteFile(filepath.Join(home, ".ssh", "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := route(t, "ssh://shop"+agent.path, Options{}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	h.mu.Lock()
	if h.user != "bob" {
		t.Errorf("%q came in", h.user)
	}
	h.mu.Unlock()

	_, err = route(t, "ssh://inner/x.sock", Options{}).Dial(t.Context())
	refused(t, err, "ProxyJump shop", "ssh -N -L", "remotedbg agents")
	// Checking host keys cannot be switched off.
	_, err = route(t, h.target(agent.path), Options{}).Dial(t.Context())
	refused(t, err, "not a known host")
}

// TestSSHFind: without a path the one agent of the host is found, also a new one
// after it.
func TestSSHFind(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.knows(h.line(key))
	for _, tt := range []struct {
		name, out, wrong string
		status           uint32
		want             []string
	}{
		{"none", "", "", 0, []string{"has none that you may use", "remotedbg attach"}},
		{"two", `{"socket":"/run/remotedbg/1.sock","pid":1,"name":"shop"}` + "\n" + `{"socket":"/run/remotedbg/2.sock","pid":2}`, "", 0,
			[]string{"has 2", "remotedbg connect ssh://alice@" + h.addr() + "/run/remotedbg/1.sock", "shop (pid 1)", "2.sock"}},
		{"not installed", "", "sh: exec: remotedbg: not found", 127, []string{"status 127", "not found", "ssh://HOST/PATH"}},
		{"an old version", "", "remotedbg: unknown command \"agents\"\x1b[2J", 2, []string{"unknown command \"agents\"[2J"}},
		{"a banner", "Welcome to shop!", "", 0, []string{"not a list of agents"}},
		{"a path that is none", `{"socket":"shop.sock","pid":1}`, "", 0, []string{"not a list of agents"}},
		{"without end", strings.Repeat(" ", 2*maxAnswer) + `{"socket":"/a","pid":1}`, "", 0, []string{"has none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.runs(tt.out, tt.wrong, tt.status)
			_, err := route(t, h.target(""), Options{}).Prepare(t.Context())
			refused(t, err, tt.want...)
		})
	}

	first := startStandIn(t)
	h.runs(fmt.Sprintf(`{"socket":%q,"pid":4711,"name":"shop","expires":"2099-01-02T03:04:05Z"}`, first.path), "", 0)
	r := route(t, h.target("/"), Options{})
	who, err := r.Prepare(t.Context())
	if err != nil || !strings.HasPrefix(who, "shop (pid 4711), until ") {
		t.Fatalf("%q, %v", who, err)
	}
	p := serve(t, r)
	p.ide().Close()
	first.visit().sawEnd(t)
	first.ln.Close()

	second := startStandIn(t)
	h.runs(fmt.Sprintf(`{"socket":%q,"pid":4712}`, second.path), "", 0)
	p.ide().Close()
	second.visit().sawEnd(t)
}

// TestSSHNoSocket: a host without the agent, and one that does not allow it.
func TestSSHNoSocket(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.knows(h.line(key))
	r := route(t, h.target("/nowhere.sock"), Options{})
	_, err := r.Dial(t.Context())
	refused(t, err, "/nowhere.sock", "no such file", "the agent has ended")
	h.mu.Lock()
	h.noLocal = true
	h.mu.Unlock()
	_, err = r.Dial(t.Context())
	refused(t, err, "AllowStreamLocalForwarding yes")
}

// TestSSHAgain: a login that is gone is made again for the next IDE.
func TestSSHAgain(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.knows(h.line(key))
	agent := startStandIn(t)
	p := serve(t, route(t, h.target(agent.path), Options{}))
	c := p.ide()
	h.cut()
	if _, err := c.WaitEvent("terminated"); err != nil {
		t.Error(err)
	}
	<-c.Done()
	p.ide()
}

// TestSSHHangs: a host that no longer answers is noticed within about ten seconds,
// and the IDE is told.
func TestSSHHangs(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.knows(h.line(key))
	agent := startStandIn(t)
	p := serve(t, route(t, h.target(agent.path), Options{}))
	c := p.ide()
	c.Timeout = signInterval + signTimeout + 5*time.Second
	start := time.Now()
	h.hang()
	if _, err := c.WaitEvent("terminated"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > signInterval+signTimeout+2*time.Second {
		t.Errorf("it took %v", took)
	}
	p.log.wait(t, "lost")
}

// TestSSHNotThere: nothing listens, or something that does not speak ssh, or that
// says nothing.
func TestSSHNotThere(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key)
	h.ln.Close()
	_, err := route(t, h.target("/x"), Options{}).Dial(t.Context())
	refused(t, err, "connection refused", "does 'ssh 127.0.0.1' work from here?")

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = route(t, "ssh://"+silent.Addr().String()+"/x", Options{}).Dial(ctx)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a host that says nothing: %v", err)
	}

	web := startStandIn(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	}()
	_, err = route(t, "ssh://"+ln.Addr().String()+web.path, Options{}).Dial(t.Context())
	refused(t, err, "ssh to", "does 'ssh")
}

// A client that is told no by the other end of a route sees daptest's error, as an
// IDE would.
func TestSSHRefusedIDE(t *testing.T) {
	key, _ := newKey(t, ssh.KeyAlgoED25519)
	h := startSSHHost(t, key) // not known
	p := serve(t, route(t, h.target("/x.sock"), Options{}))
	c, err := daptest.Dial(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Initialize()
	var told *daptest.ResponseError
	if !errors.As(err, &told) || !told.Show || !strings.Contains(told.Message, "not a known host") {
		t.Errorf("the IDE is told %v", err)
	}
}
