//go:build linux && amd64

package integration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// strangerUID is a uid that nobody has.
const strangerUID = 54321

// connectTo dials what an agent says that it listens on.
func connectTo(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := dialAddr(addr)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialAddr(addr string) (net.Conn, error) {
	if path, ok := strings.CutPrefix(addr, "unix://"); ok {
		return net.Dial("unix", path)
	}
	return net.Dial("tcp", addr)
}

// ideOn is ide over a connection of one's own.
func (r *rig) ideOn(conn io.ReadWriteCloser, names ...string) *ide {
	r.t.Helper()
	c := &ide{daptest.New(conn), r.t}
	c.Timeout = 20 * time.Second
	r.t.Cleanup(func() { c.Close() })
	must(r.t, c.SessionWith(nil, ""))
	for i, verified := range c.breakAt(names...) {
		if !verified.Verified {
			r.t.Fatalf("the breakpoint at %s is not verified: %s", names[i], verified.Message)
		}
	}
	return c
}

// debugs freezes a request, takes a step and lets it go.
func (r *rig) debugs(c *ide) {
	r.t.Helper()
	p := r.request("/orders/7")
	th := c.stopped("breakpoint", "order-loaded")
	th.nextTo("order-price")
	p.held(r.t)
	th.resume()
	p.ok(r.t)
}

// asStranger calls f on a thread of another user; only that thread is.
func asStranger(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		// The raw call: syscall.Setresuid changes every thread.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), strangerUID, ^uintptr(0)); errno != 0 {
			done <- fmt.Errorf("become another user: %w", errno)
			return
		}
		done <- f()
	}()
	return <-done
}

// refusedStranger makes sure that another user of this machine gets no answer.
func refusedStranger(t *testing.T, addr string) {
	t.Helper()
	err := asStranger(t, func() error {
		conn, err := dialAddr(addr)
		if errors.Is(err, os.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, "Content-Length: 72\r\n\r\n"+`{"seq":1,"type":"request","command":"initialize","arguments":{"id":"x"}}`)
		if answer, err := io.ReadAll(conn); len(answer) > 0 {
			return fmt.Errorf("another user heard %q, %w", answer, err)
		}
		return nil
	})
	must(t, err)
}

// audited waits until an agent's audit has n lines of an event.
func audited(t *testing.T, a *harness.Agent, event, field string, value any, n int) auditLines {
	t.Helper()
	var found auditLines
	must(t, harness.Until(10*time.Second, "the audit has it", func() error {
		if found = auditOf(t, a).find(event, field, value); len(found) != n {
			return fmt.Errorf("%d lines %s with %s %v, want %d: %v", len(found), event, field, value, n, found)
		}
		return nil
	}))
	return found
}

// hinted waits until an agent has said what to do.
func hinted(t *testing.T, a *harness.Agent, hint string) {
	t.Helper()
	must(t, harness.Until(10*time.Second, "there is a hint", func() error {
		if text := a.Stderr.String(); !strings.Contains(text, "hint: "+hint) {
			return fmt.Errorf("%q is not in %s", hint, text)
		}
		return nil
	}))
}

// TestUnixSocket: where an agent listens unless it is told otherwise, and what
// becomes of the socket when it is killed.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--listen", "unix")
	path, ok := strings.CutPrefix(a.Addr, "unix://")
	if want := fmt.Sprintf("/remotedbg/%d.sock", r.service.PID); !ok || !strings.HasSuffix(path, want) {
		t.Fatalf("it listens on %s, want one that ends in %s", a.Addr, want)
	}
	for name, want := range map[string]os.FileMode{path: os.ModeSocket | 0o600, filepath.Dir(path): os.ModeDir | 0o700} {
		info, err := os.Lstat(name)
		must(t, err)
		if st := info.Sys().(*syscall.Stat_t); info.Mode()&^0o011 != want || int(st.Uid) != os.Geteuid() {
			t.Errorf("%s has mode %v and belongs to uid %d", name, info.Mode(), st.Uid)
		}
	}
	refusedStranger(t, a.Addr)
	r.debugs(r.ideOn(connectTo(t, a.Addr), "order-loaded"))
	if got := audited(t, a, audit.ConnectionAccepted, "proof", "uid", 1); got[0]["listener"] != a.Addr {
		t.Errorf("the audit has %v", got)
	}

	// Killed, it leaves the socket behind; the next one takes its place.
	a.Kill()
	r.agents = nil
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket of an agent that was killed: %v", err)
	}
	again := r.attach("--listen", "unix")
	if again.Addr != a.Addr {
		t.Errorf("the next agent listens on %s", again.Addr)
	}
	r.debugs(r.ideOn(connectTo(t, again.Addr), "order-loaded"))
	if code, err := again.Stop(syscall.SIGTERM, endTimeout); code != 0 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestOtherUsers: another user of this machine cannot use a loopback port, unless
// that user was named.
func TestOtherUsers(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	refusedStranger(t, a.Addr)
	if got := audited(t, a, audit.ConnectionRefused, "", nil, 1); !strings.Contains(fmt.Sprint(got[0]["reason"]), "54321") {
		t.Errorf("the audit has %v", got)
	}
	hinted(t, a, "connect as the user of the agent, or attach with --allow-user 54321")
	if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{"unix", "127.0.0.1:0"} {
		a := r.attach("--listen", listen, "--allow-user", fmt.Sprint(strangerUID))
		var conn net.Conn
		must(t, asStranger(t, func() (err error) {
			conn, err = dialAddr(a.Addr)
			return err
		}))
		r.debugs(r.ideOn(conn, "order-loaded"))
		if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
			t.Fatal(err)
		}
	}
}

// invitations are the lines that an agent printed.
func invitations(t *testing.T, a *harness.Agent, n int) []invite.Link {
	t.Helper()
	var links []invite.Link
	err := harness.Until(10*time.Second, "the invitations are printed", func() error {
		links = nil
		for line := range strings.Lines(a.Stdout.String()) {
			text, ok := strings.CutPrefix(line, "remotedbg connect ")
			if !ok {
				continue
			}
			link, err := invite.Parse(text)
			if err != nil {
				return err
			}
			links = append(links, link)
		}
		if len(links) != n {
			return fmt.Errorf("there are %d, want %d", len(links), n)
		}
		return nil
	})
	must(t, err)
	return links
}

// TestInvitations: from the line that is pasted to a frozen request, and what is
// refused on the way.
func TestInvitations(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--listen", "0.0.0.0:0", "--invite", "2")
	links := invitations(t, a, 2)
	_, port, err := net.SplitHostPort(a.Addr)
	must(t, err)
	here := net.JoinHostPort("127.0.0.1", port)
	redeem := func(link invite.Link) (*invite.Pass, error) {
		return invite.Redeem(context.Background(), connectTo(t, here), link, "alice@laptop")
	}
	pass, err := redeem(links[0])
	must(t, err)
	if !strings.HasSuffix(pass.Process, fmt.Sprintf(" (pid %d)", r.service.PID)) || time.Until(pass.Expires) > 15*time.Minute {
		t.Errorf("the pass is for %s until %v", pass.Process, pass.Expires)
	}
	if _, err := redeem(links[0]); !errors.Is(err, invite.Used) {
		t.Errorf("a second use: %v", err)
	}
	// Without a certificate, and with one that somebody else has signed.
	for _, config := range []*tls.Config{
		{InsecureSkipVerify: true},
		{InsecureSkipVerify: true, NextProtos: []string{invite.DebugProtocol}, GetClientCertificate: foreignCertificate(t)},
	} {
		conn := tls.Client(connectTo(t, here), config)
		_, _ = io.WriteString(conn, "Content-Length: 2\r\n\r\n{}")
		if answer, err := io.ReadAll(conn); len(answer) > 0 || err == nil {
			t.Errorf("a stranger heard %q, %v", answer, err)
		}
	}
	r.debugs(r.ideOn(tls.Client(connectTo(t, here), pass.TLS), "order-loaded"))

	for _, want := range []struct {
		event, field string
		value        any
		n            int
	}{
		{audit.ConnectionAccepted, "proof", "token", 1},
		{audit.ConnectionAccepted, "proof", "certificate", 1},
		{audit.Attack, "", nil, 1},
		{audit.ConnectionRefused, "", nil, 2},
	} {
		audited(t, a, want.event, want.field, want.value, want.n)
	}
	// The second invitation is still good, and a secret.
	secret := strings.Split(links[1].Text(), "#")[1]
	if strings.Contains(a.Stderr.String(), secret[60:]) || strings.Contains(fmt.Sprint(auditOf(t, a)), secret[60:]) {
		t.Error("an invitation is in the log or in the audit")
	}
	if _, err := redeem(links[1]); err != nil {
		t.Errorf("the second invitation: %v", err)
	}
}

// foreignCertificate is of another session.
func foreignCertificate(t *testing.T) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	t.Helper()
	authority, err := invite.NewAuthority(time.Now().Add(time.Hour))
	must(t, err)
	cert, err := authority.Server()
	must(t, err)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
}

// TestWebPages: what a browser can be made to send reaches no command, at whatever
// an agent listens on.
func TestWebPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	const command = "Content-Length: 52\r\n\r\n" + `{"seq":1,"type":"request","command":"setBreakpoints"}`
	pages := []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\nContent-Type: text/plain\r\nContent-Length: 73\r\n\r\n" + command,
		"OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://evil.example\r\n\r\n",
		"CONNECT shop:80 HTTP/1.1\r\nHost: shop:80\r\n\r\n",
	}
	for _, listen := range [][]string{
		{"--listen", "unix"}, {"--listen", "127.0.0.1:0"}, {"--listen", "0.0.0.0:0"},
		{"--listen", "127.0.0.1:0", "--dangerously-listen-without-tls"},
	} {
		a := r.attach(listen...)
		for _, page := range pages {
			conn := connectTo(t, a.Addr)
			must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
			_, _ = io.WriteString(conn, page)
			if answer, _ := io.ReadAll(conn); len(answer) > 0 {
				t.Errorf("%v: %q is answered: %q", listen, page, answer)
			}
		}
		audited(t, a, audit.Attack, "", nil, len(pages))
		if got := auditOf(t, a).find(audit.Command, "", nil); len(got) > 0 {
			t.Errorf("%v: commands: %v", listen, got)
		}
		if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlood: a thousand connections that come and go, and a thousand that say
// nothing, leave a frozen request, its IDE and the agent's memory as they are, and
// keep no other IDE out.
func TestFlood(t *testing.T) {
	t.Parallel()
	const many, mostGrowth = 1000, 20 << 20
	r := newRig(t, harness.Variant{})
	for _, listen := range [][]string{{"--listen", "unix"}, {"--listen", "127.0.0.1:0"}, {"--listen", "127.0.0.1:0", "--invite", "1"}} {
		a := r.attach(listen...)
		enter := func() io.ReadWriteCloser { return connectTo(t, a.Addr) }
		if len(listen) > 2 {
			pass, err := invite.Redeem(context.Background(), connectTo(t, a.Addr), invitations(t, a, 1)[0], "alice")
			must(t, err)
			enter = func() io.ReadWriteCloser { return tls.Client(connectTo(t, a.Addr), pass.TLS) }
		}
		c := r.ideOn(enter(), "order-loaded")
		p := r.request("/orders/7")
		th := c.stopped("breakpoint", "order-loaded")
		before := rss(t, a.PID)

		for range many {
			conn, err := dialAddr(a.Addr)
			must(t, err)
			conn.Close()
		}
		silent := make([]net.Conn, many)
		for i := range silent {
			var err error
			silent[i], err = dialAddr(a.Addr)
			must(t, err)
		}
		grown := rss(t, a.PID) - before
		t.Logf("%v: the agent has grown by %d KiB", listen, grown>>10)
		if grown > mostGrowth {
			t.Errorf("%v: the agent has grown by %d bytes", listen, grown)
		}
		p.held(t)
		th.nextTo("order-price")
		second := r.ideOn(enter())
		must(t, second.Disconnect())
		th.resume()
		p.ok(t)
		for _, conn := range silent {
			conn.Close()
		}
		if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
			t.Fatal(err)
		}
	}
}

// rss is the resident memory of a process in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	must(t, err)
	var size, resident int64
	_, err = fmt.Sscan(string(text), &size, &resident)
	must(t, err)
	return resident * int64(os.Getpagesize())
}

// TestOwnCertificates: the commands of docs/access.md, from making an authority to a
// frozen request, by way of remotedbg connect; and two clients that stay outside.
func TestOwnCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ownCertificates(t, dir)
	in := func(name string) string { return filepath.Join(dir, name) }

	r := newRig(t, harness.Variant{})
	a := r.attach("--listen", "127.0.0.1:0", "--tls-cert", in("agent.pem"), "--tls-key", in("agent.key"),
		"--client-ca", in("ca.pem"), "--client-name", "alice@shop.example", "--client-name", "bob@shop.example=observe")
	binary, err := builder.Agent()
	must(t, err)
	connect, err := harness.Start(binary, "connect", "--listen", "127.0.0.1:0", "--tls-cert", in("alice.pem"), "--tls-key", in("alice.key"), "--ca", in("ca.pem"), a.Addr)
	must(t, err)
	t.Cleanup(connect.Kill)
	port, err := harness.AwaitAgent(connect)
	must(t, err)
	r.debugs(r.ideOn(connectTo(t, port.Addr), "order-loaded"))
	if got := audited(t, a, audit.ConnectionAccepted, "who", "alice@shop.example", 1); got[0]["proof"] != "certificate" {
		t.Errorf("the audit has %v", got)
	}

	// The same certificates where alice is not on the list, which is how somebody is
	// kept out.
	if _, err := a.Stop(syscall.SIGTERM, endTimeout); err != nil {
		t.Fatal(err)
	}
	a = r.attach("--listen", "127.0.0.1:0", "--tls-cert", in("agent.pem"), "--tls-key", in("agent.key"),
		"--client-ca", in("ca.pem"), "--client-name", "bob@shop.example")
	alice, err := tls.LoadX509KeyPair(in("alice.pem"), in("alice.key"))
	must(t, err)
	for _, certs := range [][]tls.Certificate{nil, {alice}} {
		conn := tls.Client(connectTo(t, a.Addr), &tls.Config{InsecureSkipVerify: true, Certificates: certs})
		_, _ = io.WriteString(conn, "Content-Length: 2\r\n\r\n{}")
		if answer, err := io.ReadAll(conn); len(answer) > 0 || err == nil {
			t.Errorf("heard %q, %v", answer, err)
		}
	}
	if got := audited(t, a, audit.ConnectionRefused, "", nil, 2); !strings.Contains(fmt.Sprint(got[1]["reason"]), "alice@shop.example") {
		t.Errorf("the audit has %v", got)
	}
	hinted(t, a, `if they may debug, attach with --client-name "alice@shop.example"`)
}
