package peer

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// KnowsTCP says whether the owner of a TCP connection over loopback can be told on
// this system.
const KnowsTCP = true

func uid(conn net.Conn) (int, error) {
	conn = unwrap(conn)
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("%w: %T has no socket", ErrUnknown, conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var n uint32
	if _, isUnix := conn.(*net.UnixConn); isUnix {
		n, err = uidOfUnix(raw)
	} else {
		n, err = uidOfTCP(conn, raw)
	}
	if err != nil {
		return 0, err
	}
	if err := realUID(n); err != nil {
		return 0, err
	}
	return int(n), nil
}

// uidOfUnix is the effective uid at the time of connect(2) (unix(7), SO_PEERCRED).
func uidOfUnix(raw syscall.RawConn) (n uint32, err error) {
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(controlErr, err); err != nil {
		return 0, fmt.Errorf("%w: SO_PEERCRED: %w", ErrUnknown, err)
	}
	return cred.Uid, nil
}

// uidOfTCP looks up the socket at the other end, in the network namespace that
// conn is of.
func uidOfTCP(conn net.Conn, raw syscall.RawConn) (uint32, error) {
	theirs, ours, err := ends(conn)
	if err != nil {
		return 0, err
	}
	var found socket
	look := func() (err error) {
		found, err = diagnose(theirs, ours)
		if err != nil && !errors.Is(err, errNoSocket) {
			// The module tcp_diag is missing, or a sandbox refuses netlink.
			var tableErr error
			if found, tableErr = lookInTable(theirs, ours); tableErr != nil {
				return errors.Join(err, tableErr)
			}
			return nil
		}
		return err
	}
	if err := inNamespaceOf(raw, look); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrUnknown, theirs, err)
	}
	// A socket without an inode belongs to no process any more, and its owner is
	// given as 0 then (net/core/sock.c, sock_i_uid; inet_twsk_diag_fill): whoever
	// sent something and closed would be taken for root.
	if found.inode == 0 || found.state == tcpListen {
		return 0, fmt.Errorf("%w: %s has been closed already", ErrUnknown, theirs)
	}
	return found.uid, nil
}

// realUID refuses the number that stands for every user that this process's user
// namespace has no number for (user_namespaces(7)).
func realUID(n uint32) error {
	if n > 1<<31-1 {
		return fmt.Errorf("%w: the kernel gave no uid", ErrUnknown)
	}
	overflow := uint64(65534)
	if text, err := os.ReadFile("/proc/sys/kernel/overflowuid"); err == nil {
		if overflow, err = strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 32); err != nil {
			return fmt.Errorf("%w: read the overflow uid: %w", ErrUnknown, err)
		}
	}
	if uint64(n) != overflow {
		return nil
	}
	mapped, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("%w: read the user namespace: %w", ErrUnknown, err)
	}
	// The first namespace has a number for everybody.
	if strings.Join(strings.Fields(string(mapped)), " ") == "0 0 4294967295" {
		return nil
	}
	return fmt.Errorf("%w: uid %d stands for every user outside of this user namespace", ErrUnknown, n)
}
