// Package peer says which user's process is at the other end of a local
// connection, as far as the operating system knows.
//
// It owns that question ([UID], [SameUser]). What to do with the answer is the
// caller's business: it knows no roles, no audit and no protocol. An answer that
// cannot be had is an error, never a guess.
//
// What can be known where:
//
//   - linux: Unix sockets (SO_PEERCRED, unix(7)) and TCP over loopback, whose other
//     end is a socket of this host that the kernel finds by its addresses
//     (sock_diag(7)).
//   - windows: TCP over loopback, by the table of connections with their processes.
//     It compares users and has no numbers for them: [SameUser] works, [UID] does not.
//   - darwin: Unix sockets (LOCAL_PEERCRED, unix(4)). For TCP there is no documented
//     interface. [KnowsTCP] is false there.
//
// It starts no goroutine that outlives a call.
package peer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrUnknown is the answer where the owner of the other end cannot be told: the
// connection comes from another machine or network namespace, it has been closed
// already, or this system does not say. It must be taken for a stranger, unless
// the caller has another proof.
var ErrUnknown = errors.New("the owner of the other end cannot be told")

// ErrOther is the answer of [SameUser] for a process of another user.
var ErrOther = errors.New("the other end belongs to another user")

// UID is the number of the user whose process opened the other end of conn, as
// this process's user namespace counts. It must be asked once, before anything
// that conn says is acted on: a socket that its process has closed has no owner
// any more, and what it said still arrives. A wrapper is looked through if it has
// the method NetConn, as tls.Conn has.
//
// It is the user who opened the socket. Processes can hand open sockets to others,
// and a relay (socat, a proxy, sshd for a forwarded port) shows its own user.
//
// Errors are ErrUnknown with the reason.
func UID(conn net.Conn) (int, error) { return uid(conn) }

// SameUser is nil if the other end of conn belongs to the user that this process
// runs as. Otherwise it is ErrOther or ErrUnknown, with details. The rules of [UID]
// apply.
func SameUser(conn net.Conn) error { return sameUser(conn) }

// unwrap is the connection that conn was made from.
func unwrap(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

// ends are the addresses of a TCP connection within one host, as its other end
// sees them: its own and ours.
func ends(conn net.Conn) (theirs, ours netip.AddrPort, err error) {
	remote, isTCP := conn.RemoteAddr().(*net.TCPAddr)
	local, alsoTCP := conn.LocalAddr().(*net.TCPAddr)
	if !isTCP || !alsoTCP {
		return theirs, ours, fmt.Errorf("%w: %T is not a TCP connection", ErrUnknown, conn)
	}
	theirs, ours = normal(remote), normal(local)
	// Loopback addresses cannot come in over a network (RFC 1122 section
	// 3.2.1.3 (g), RFC 4291 section 2.5.3). With any other a socket of this
	// host that has the same addresses proves nothing.
	if !theirs.Addr().IsLoopback() || !ours.Addr().IsLoopback() {
		return theirs, ours, fmt.Errorf("%w: %s to %s is not a connection over loopback", ErrUnknown, theirs, ours)
	}
	return theirs, ours, nil
}

func normal(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
