//go:build linux

package door

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/peer"
)

// Listener is a place to connect to, with its way to prove who did.
type Listener struct {
	ln    net.Listener
	addr  string // as people write it
	close func() error

	// greet says what is known about a connection without a word from it: whom
	// it counts for and where it comes from, or that it is refused.
	greet func(net.Conn) (source, from string, who access.Identity, err error)

	secure *secure // nil: without TLS
}

// String is the address as people write it: unix:///path, or IP:PORT.
func (l *Listener) String() string { return l.addr }

// Addr is the address that is listened on.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close ends it. Connections that were accepted go on.
func (l *Listener) Close() error {
	if l.close != nil {
		return l.close()
	}
	return l.ln.Close()
}

func (l *Listener) accept() (net.Conn, error) { return l.ln.Accept() }

// guessing says whether somebody could try secrets here. A user whom the kernel
// names has nothing to try.
func (l *Listener) guessing() bool { return l.secure != nil }

// Local is who may use a listener of this machine.
type Local struct {
	// Role of everybody who gets in.
	Role access.Role
	// AlsoUID is one more user beside the agent's own; -1: nobody.
	AlsoUID int
}

// stranger is somebody who is not let in because of who they are, or because that
// cannot be known.
type stranger struct {
	err  error
	hint string
}

func (s stranger) Error() string { return s.err.Error() }
func (s stranger) Unwrap() error { return s.err }
func (s stranger) Hint() string  { return s.hint }

// local judges connections by their user.
type local struct {
	Local
	names map[int]string // looked up once: a directory service may take its time
}

func newLocal(cfg Local) *local {
	l := &local{Local: cfg, names: make(map[int]string)}
	for _, uid := range []int{os.Geteuid(), cfg.AlsoUID} {
		if u, err := user.LookupId(strconv.Itoa(uid)); uid >= 0 && err == nil {
			l.names[uid] = u.Username
		}
	}
	return l
}

// judge lets the agent's own user in, and the one that was named.
func (l *local) judge(nc net.Conn, from string) (source string, who access.Identity, err error) {
	uid, err := peer.UID(nc)
	if err != nil {
		return "somebody", access.Identity{}, stranger{err, "a forwarder in another container or network namespace has to be replaced by remotedbg connect, or by a listener with TLS (--listen 0.0.0.0:2345)"}
	}
	source = fmt.Sprintf("uid %d", uid)
	if !slices.Contains([]int{os.Geteuid(), l.AlsoUID}, uid) {
		return source, access.Identity{}, stranger{
			fmt.Errorf("its user has uid %d, and this agent runs as uid %d", uid, os.Geteuid()),
			fmt.Sprintf("connect as the user of the agent, or attach with --allow-user %d", uid),
		}
	}
	return source, access.Identity{Proof: access.ProofUID, Name: l.names[uid], UID: uid, From: from, Role: l.Role}, nil
}

// ListenLoopback listens on a loopback address and lets in processes of the agent's
// own user.
func ListenLoopback(addr netip.AddrPort, cfg Local) (*Listener, error) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("remotedbg: listen on %s: not a loopback address", addr)
	}
	ln, err := net.Listen(networkOf(addr), addr.String())
	if err != nil {
		return nil, err
	}
	who := newLocal(cfg)
	return &Listener{ln: ln, addr: ln.Addr().String(), greet: func(nc net.Conn) (string, string, access.Identity, error) {
		from := nc.RemoteAddr().String()
		source, identity, err := who.judge(nc, from)
		if err == nil {
			err = stillOpen(nc)
		}
		return source, from, identity, err
	}}, nil
}

// stillOpen makes sure that the socket whose owner was looked up is this
// connection's. While our end has not been reset no other socket can have the same
// addresses; after it, its port may be somebody else's, and what was sent before can
// still be read.
func stillOpen(nc net.Conn) error {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return errors.New("remotedbg: not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var info *unix.TCPInfo
	controlErr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return fmt.Errorf("remotedbg: state of the connection: %w", err)
	}
	// include/net/tcp_states.h
	const established, closeWait = 1, 8
	if info.State != established && info.State != closeWait {
		return stranger{errors.New("it was closed before its user could be told"), "connect again"}
	}
	return nil
}

// DangerouslyListenWithoutTLS listens on any address and lets in whoever comes. All
// that anybody sends or is sent can be read and changed on its way.
func DangerouslyListenWithoutTLS(addr netip.AddrPort, role access.Role) (*Listener, error) {
	ln, err := net.Listen(networkOf(addr), addr.String())
	if err != nil {
		return nil, err
	}
	return &Listener{ln: ln, addr: ln.Addr().String(), greet: func(nc net.Conn) (string, string, access.Identity, error) {
		from := nc.RemoteAddr().String()
		return sourceOf(nc), from, access.Identity{Proof: access.ProofNone, From: from, Role: role}, nil
	}}, nil
}

// sourceOf is whom a connection counts for: an address, of IPv6 its network, which
// one machine commonly has to itself (RFC 6177).
func sourceOf(nc net.Conn) string {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return "somebody"
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return "somebody"
	}
	if addr.Is4() {
		return addr.String()
	}
	return prefix.String()
}

// networkOf keeps 0.0.0.0 from meaning IPv6 too, as it does with "tcp".
func networkOf(addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return "tcp4"
	}
	return "tcp6"
}
