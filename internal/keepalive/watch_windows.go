package keepalive

import (
	"golang.org/x/sys/windows"
)

// deadline sets how long data may stay unacknowledged: TCP_MAXRT of winsock, in
// seconds.
func deadline(fd uintptr) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, windows.TCP_MAXRT, int(Timeout.Seconds()))
}
