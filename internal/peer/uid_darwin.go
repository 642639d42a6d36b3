package peer

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// KnowsTCP says whether the owner of a TCP connection over loopback can be told on
// this system.
const KnowsTCP = false

// uid is the effective uid at the time of connect(2) (unix(4), LOCAL_PEERCRED).
func uid(conn net.Conn) (int, error) {
	conn = unwrap(conn)
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("%w: macOS names the owner of Unix sockets only: %w", ErrUnknown, errors.ErrUnsupported)
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var cred *unix.Xucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	})
	if err = errors.Join(controlErr, err); err != nil {
		return 0, fmt.Errorf("%w: LOCAL_PEERCRED: %w", ErrUnknown, err)
	}
	return int(cred.Uid), nil
}
