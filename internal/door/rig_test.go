//go:build linux

package door

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// stranger of the tests is a uid that nobody has. The tests of other users need
// root.
const strangerUID = 54321

// hello is what clients of the tests say, and welcome what they hear.
const (
	hello   = "Content-Length: 2\r\n\r\n{}"
	welcome = "welcome"
)

// TestMain makes the test binary a client too: child NETWORK ADDRESS.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// child connects, says hello and prints what it hears.
func child(network, address string) int {
	conn, err := net.Dial(network, address)
	if err != nil {
		fmt.Println("not connected:", err)
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, hello)
	answer := make([]byte, len(welcome))
	n, _ := io.ReadFull(conn, answer)
	fmt.Printf("heard %q\n", answer[:n])
	return 0
}

// program is the test binary where every user may execute it.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	path := filepath.Join(passable(t), "child")
	must(t, os.WriteFile(path, self, 0o755))
	return path
}

// passable makes a directory that every user may enter.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "door")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// as runs a client as another user and returns what it prints.
func as(t *testing.T, path string, uid int, addr net.Addr, attr syscall.SysProcAttr) string {
	t.Helper()
	cmd := exec.Command(path, "child", addr.Network(), addr.String())
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	cmd.SysProcAttr = &attr
	out, err := cmd.Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a door with somebody behind it.
type house struct {
	t  *testing.T
	ln *Listener
	*Door
	stop func() error

	mu     sync.Mutex
	guests []access.Identity // who was spoken to: each of them could have given commands
	events []event
	lines  []string
}

// event is a line of the audit.
type event struct {
	name  string
	attrs map[string]string
}

func (h *house) Record(name string, attrs ...slog.Attr) error {
	e := event{name, make(map[string]string)}
	for _, a := range attrs {
		e.attrs[a.Key] = a.Value.String()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	return nil
}

// open serves ln until the test ends.
func open(t *testing.T, ln *Listener, err error) *house {
	t.Helper()
	must(t, err)
	h := &house{t: t, ln: ln}
	speak := func(ctx context.Context, rwc io.ReadWriteCloser, who access.Identity) error {
		defer rwc.Close()
		defer context.AfterFunc(ctx, func() { rwc.Close() })()
		h.mu.Lock()
		h.guests = append(h.guests, who)
		h.mu.Unlock()
		if _, err := io.ReadFull(rwc, make([]byte, 2)); err != nil {
			return err
		}
		_, _ = io.WriteString(rwc, welcome)
		_, _ = io.Copy(io.Discard, rwc)
		return nil
	}
	h.Door, err = New(Config{DAP: speak, JSONRPC: speak, Audit: h, Log: func(line string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lines = append(h.lines, line)
	}})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, ln) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-served:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("Serve did not return")
		}
	})
	t.Cleanup(func() { must(t, h.stop()) })
	return h
}

// wait waits until an event has been recorded n times, and returns the last.
func (h *house) wait(name string, n int) event {
	h.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		h.mu.Lock()
		var found []event
		for _, e := range h.events {
			if e.name == name {
				found = append(found, e)
			}
		}
		h.mu.Unlock()
		if len(found) >= n {
			return found[n-1]
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d events %q, want %d; there are %v", len(found), name, n, h.all())
		}
		time.Sleep(time.Millisecond) // a poll of the condition above
	}
}

func (h *house) all() []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// spokenTo is how many were let in.
func (h *house) spokenTo() []access.Identity {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.guests)
}

func (h *house) dial() net.Conn {
	h.t.Helper()
	conn, err := net.Dial(h.ln.Addr().Network(), h.ln.Addr().String())
	must(h.t, err)
	h.t.Cleanup(func() { conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// greeted says whether a client on conn gets in.
func greeted(conn io.ReadWriter) bool {
	_, _ = io.WriteString(conn, hello)
	answer := make([]byte, len(welcome))
	n, _ := io.ReadFull(conn, answer)
	return string(answer[:n]) == welcome
}

// closedBy waits until the other end has closed conn, and returns what came before.
func closedBy(t *testing.T, conn net.Conn) []byte {
	t.Helper()
	got, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
	return got
}

// everybody is who may use a local listener in the tests.
var everybody = Local{Role: access.Control, AlsoUID: -1}

var anyLoopback = netip.MustParseAddrPort("127.0.0.1:0")

// pki is a listener with certificates of one's own.
type pki struct {
	authority *invite.Authority
	cfg       TLS
}

func newPKI(t *testing.T, names ...Name) pki {
	t.Helper()
	authority, err := invite.NewAuthority(time.Now().Add(time.Hour))
	must(t, err)
	cert, err := authority.Server(netip.MustParseAddr("127.0.0.1"))
	must(t, err)
	return pki{authority, TLS{Certificate: cert, ClientCAs: authority.Pool(), Names: names, Role: access.Control}}
}

// newGuests is a listener with invitations.
func newGuests(t *testing.T, until time.Time) (pki, *invite.Desk) {
	t.Helper()
	p := newPKI(t)
	desk, err := invite.NewDesk(invite.DeskConfig{Authority: p.authority, Server: p.cfg.Certificate,
		Process: invite.Process{PID: 1, Start: 2, BuildID: "3"}, About: "shop", Role: access.Observe, Expires: until})
	must(t, err)
	p.cfg.ClientCAs, p.cfg.Guests, p.cfg.Desk, p.cfg.Role = nil, p.authority.Pool(), desk, access.Observe
	return p, desk
}

// client is a tls.Config that accepts the listener and shows a certificate.
func (p pki) client(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: p.authority.Pool(), ServerName: "127.0.0.1", NextProtos: []string{invite.DebugProtocol}, Certificates: certs}
}

// secure says whether a client with config gets in.
func (h *house) secure(config *tls.Config) bool {
	conn := tls.Client(h.dial(), config)
	if conn.Handshake() != nil {
		return false
	}
	return greeted(conn)
}

// browser is a tls.Config of a program that knows nothing of us.
func (p pki) browser(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: p.authority.Pool(), ServerName: "127.0.0.1", Certificates: certs}
}
