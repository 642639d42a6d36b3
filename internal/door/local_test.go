//go:build linux

package door

import (
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// TestOtherUsers: of local processes, those of the agent's user get in, and of one
// more if that was said.
func TestOtherUsers(t *testing.T) {
	path := program(t)
	us := os.Geteuid()
	sock := func(t *testing.T, cfg Local) (*Listener, error) {
		ln, err := ListenUnix(filepath.Join(passable(t), "s.sock"), cfg)
		if err == nil {
			// As if nothing but the kernel's word for the user kept others out.
			err = os.Chmod(ln.Addr().String(), 0o666)
		}
		return ln, err
	}
	tcp := func(addr string) func(*testing.T, Local) (*Listener, error) {
		return func(_ *testing.T, cfg Local) (*Listener, error) {
			return ListenLoopback(netip.MustParseAddrPort(addr), cfg)
		}
	}
	for _, kind := range []struct {
		name   string
		listen func(*testing.T, Local) (*Listener, error)
	}{
		{"Unix socket", sock},
		{"IPv4", tcp("127.0.0.1:0")},
		{"IPv4, another loopback address", tcp("127.9.8.7:0")},
		{"IPv6", tcp("[::1]:0")},
		{"IPv4 in IPv6", tcp("[::ffff:127.0.0.1]:0")},
	} {
		t.Run(kind.name, func(t *testing.T) {
			ln, err := kind.listen(t, everybody)
			h := open(t, ln, err)
			if got := as(t, path, us, ln.Addr(), syscall.SysProcAttr{}); got != `heard "welcome"` {
				t.Errorf("our own user %s", got)
			}
			if e := h.wait(audit.ConnectionAccepted, 1); e.attrs["proof"] != "uid" || e.attrs["uid"] != "0" || e.attrs["role"] != "control" || e.attrs["from"] == "" || e.attrs["listener"] != ln.String() {
				t.Errorf("the audit has %v", e)
			}
			if got := as(t, path, strangerUID, ln.Addr(), syscall.SysProcAttr{}); got != `heard ""` {
				t.Errorf("another user %s", got)
			}
			e := h.wait(audit.ConnectionRefused, 1)
			if !strings.Contains(e.attrs["reason"], "uid 54321") || e.attrs["from"] == "" {
				t.Errorf("the audit has %v", e)
			}
			if guests := h.spokenTo(); len(guests) != 1 || guests[0].UID != us || guests[0].Proof != access.ProofUID {
				t.Errorf("spoken to: %v", guests)
			}
		})
		t.Run(kind.name+", one more user", func(t *testing.T) {
			ln, err := kind.listen(t, Local{Role: access.Observe, AlsoUID: strangerUID})
			h := open(t, ln, err)
			if got := as(t, path, strangerUID, ln.Addr(), syscall.SysProcAttr{}); got != `heard "welcome"` {
				t.Errorf("that user %s", got)
			}
			if got := as(t, path, strangerUID+1, ln.Addr(), syscall.SysProcAttr{}); got != `heard ""` {
				t.Errorf("a third user %s", got)
			}
			if guests := h.spokenTo(); len(guests) != 1 || guests[0].UID != strangerUID || guests[0].Role != access.Observe {
				t.Errorf("spoken to: %v", guests)
			}
		})
	}
}

// TestSocketIsPrivate: the mode alone keeps others out.
func TestSocketIsPrivate(t *testing.T) {
	path := program(t)
	sock := filepath.Join(passable(t), "s.sock")
	old := syscall.Umask(0)
	ln, err := ListenUnix(sock, everybody)
	syscall.Umask(old)
	h := open(t, ln, err)
	info, err := os.Lstat(sock)
	must(t, err)
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the mode is %v", info.Mode())
	}
	if got := as(t, path, strangerUID, ln.Addr(), syscall.SysProcAttr{}); !strings.Contains(got, "permission denied") {
		t.Errorf("another user %s", got)
	}
	must(t, h.stop())
	if _, err := os.Lstat(sock); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestSocketOfOneMoreUser belongs to that user, and is open to nobody else.
func TestSocketOfOneMoreUser(t *testing.T) {
	path := program(t)
	sock := filepath.Join(passable(t), "s.sock")
	ln, err := ListenUnix(sock, Local{Role: access.Control, AlsoUID: strangerUID})
	open(t, ln, err)
	for uid, want := range map[int]string{0: `heard "welcome"`, strangerUID: `heard "welcome"`, strangerUID + 1: "permission denied"} {
		if got := as(t, path, uid, ln.Addr(), syscall.SysProcAttr{}); !strings.Contains(got, want) {
			t.Errorf("uid %d %s, want %s", uid, got, want)
		}
	}
}

// TestHitAndRun: who sends something and is gone has no user any more, and is not
// taken for root.
func TestHitAndRun(t *testing.T) {
	ln, err := ListenLoopback(anyLoopback, everybody)
	must(t, err)
	defer ln.Close()
	for _, tt := range []struct {
		name  string
		leave func(*net.TCPConn) error
	}{
		{"closed", func(c *net.TCPConn) error { return c.Close() }},
		{"reset", func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}},
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		must(t, err)
		_, err = io.WriteString(conn, hello)
		must(t, err)
		must(t, tt.leave(conn.(*net.TCPConn)))
		server, err := ln.accept()
		must(t, err)
		if _, _, who, err := ln.greet(server); err == nil {
			t.Errorf("%s: it is %v", tt.name, who)
		}
		server.Close()
	}
	// Who only has nothing more to say is still there.
	conn, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer conn.Close()
	must(t, conn.(*net.TCPConn).CloseWrite())
	server, err := ln.accept()
	must(t, err)
	defer server.Close()
	if _, err := io.Copy(io.Discard, server); err != nil {
		t.Fatal(err)
	}
	if _, _, who, err := ln.greet(server); err != nil || who.UID != os.Geteuid() {
		t.Errorf("half closed: %v, %v", who, err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"} {
		if ln, err := ListenLoopback(netip.MustParseAddrPort(addr), everybody); err == nil {
			ln.Close()
			t.Errorf("%s is taken for loopback", addr)
		}
	}
}

// TestWithoutTLS: whoever comes is let in, and the audit says that nothing was
// proved.
func TestWithoutTLS(t *testing.T) {
	ln, err := DangerouslyListenWithoutTLS(netip.MustParseAddrPort("0.0.0.0:0"), access.Mutate)
	h := open(t, ln, err)
	if !greeted(h.dial()) {
		t.Error("nobody gets in")
	}
	if e := h.wait(audit.ConnectionAccepted, 1); e.attrs["proof"] != "none" || e.attrs["role"] != "mutate" {
		t.Errorf("the audit has %v", e)
	}
	if !strings.HasPrefix(ln.String(), "0.0.0.0:") {
		t.Errorf("it listens on %s", ln)
	}
}
