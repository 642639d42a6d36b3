package keepalive

import (
	"golang.org/x/sys/unix"
)

// deadline sets how long data may stay unacknowledged: tcp(7), TCP_USER_TIMEOUT, in
// milliseconds.
func deadline(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(Timeout.Milliseconds()))
}
