package keepalive

import (
	"golang.org/x/sys/unix"
)

// deadline sets how long data may stay unacknowledged: netinet/tcp.h,
// TCP_RXT_CONNDROPTIME, in seconds.
func deadline(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RXT_CONNDROPTIME, int(Timeout.Seconds()))
}
