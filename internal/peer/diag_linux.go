package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// socket is what the kernel says about one.
type socket struct {
	uid, inode uint32
	state      uint8
}

// tcpListen is TCP_LISTEN of include/net/tcp_states.h.
const tcpListen = 10

var errNoSocket = errors.New("no socket of this network namespace is at the other end")

// Sizes of struct inet_diag_req_v2, inet_diag_sockid and inet_diag_msg
// (linux/inet_diag.h).
const (
	diagIDSize      = 48
	diagRequestSize = 8 + diagIDSize
	diagMessageSize = 4 + diagIDSize + 20
)

// diagnose asks the kernel for the TCP socket with these addresses by sock_diag(7).
// It asks for that one; a dump of all of them would cost a busy host dear.
func diagnose(local, remote netip.AddrPort) (socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return socket{}, fmt.Errorf("open sock_diag: %w", err)
	}
	defer unix.Close(fd)
	// The kernel answers within the call to send; this is for what only looks
	// like a kernel.
	limit := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return socket{}, fmt.Errorf("set up sock_diag: %w", err)
	}
	id := diagID(local, remote)
	if err := unix.Sendto(fd, diagRequest(local, id), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return socket{}, fmt.Errorf("ask sock_diag: %w", err)
	}
	answer := make([]byte, 4096)
	n, from, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return socket{}, fmt.Errorf("read sock_diag: %w", err)
	}
	// netlink(7): a message of the kernel has the port id 0.
	if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
		return socket{}, errors.New("an answer of sock_diag that is not the kernel's")
	}
	return readDiag(answer[:n], id)
}

// diagID is a struct inet_diag_sockid: ports and addresses in network order.
func diagID(local, remote netip.AddrPort) []byte {
	id := make([]byte, diagIDSize)
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:], local.Addr().AsSlice())
	copy(id[20:], remote.Addr().AsSlice())
	for i := 40; i < diagIDSize; i++ {
		id[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	return id
}

func diagRequest(local netip.AddrPort, id []byte) []byte {
	const size = unix.SizeofNlMsghdr + diagRequestSize
	m := make([]byte, size)
	binary.NativeEndian.PutUint32(m[0:], size)
	binary.NativeEndian.PutUint16(m[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST)
	r := m[unix.SizeofNlMsghdr:]
	// With IPv4 addresses this finds sockets of AF_INET6 too, which is what the
	// JVM uses for them.
	r[0] = unix.AF_INET6
	if local.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	r[1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(r[4:], ^uint32(0)) // any state
	copy(r[8:], id)
	return m
}

// readDiag reads the answer for the socket of the given id.
func readDiag(m, id []byte) (socket, error) {
	if len(m) < unix.SizeofNlMsghdr {
		return socket{}, fmt.Errorf("an answer of sock_diag with %d bytes", len(m))
	}
	kind, body := binary.NativeEndian.Uint16(m[4:]), m[unix.SizeofNlMsghdr:]
	switch {
	case kind == unix.NLMSG_ERROR && len(body) >= 4:
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		if errno == unix.ENOENT {
			// Also the answer for a family without a module; the table in
			// /proc would not have it either.
			return socket{}, errNoSocket
		}
		return socket{}, fmt.Errorf("sock_diag: %w", errno)
	case kind != unix.SOCK_DIAG_BY_FAMILY || len(body) < diagMessageSize:
		return socket{}, fmt.Errorf("an answer of sock_diag of type %d with %d bytes", kind, len(body))
	}
	// Where nothing is connected the kernel falls back to who listens on the
	// local address. The rest of the id is interface and cookie.
	if got := body[4 : 4+diagIDSize]; string(got[:4]) != string(id[:4]) {
		return socket{}, errNoSocket
	}
	tail := body[4+diagIDSize:]
	return socket{
		state: body[1],
		uid:   binary.NativeEndian.Uint32(tail[12:]),
		inode: binary.NativeEndian.Uint32(tail[16:]),
	}, nil
}
