// Package keepalive notices a peer of a TCP connection that is gone without a word:
// its machine lost power, or the network between drops everything. It owns the
// socket options for that on each system, and starts no goroutine.
package keepalive

import (
	"errors"
	"net"
	"time"
)

// Timeout is within what time it is noticed: by keepalive probes when nothing is to
// be sent, by unacknowledged data otherwise. A frozen request waits for that long.
const Timeout = 8 * time.Second

const (
	probeIdle     = 2 * time.Second
	probeInterval = 2 * time.Second
	probeCount    = int((Timeout - probeIdle) / probeInterval)
)

// Watch sets the socket options that make a dead peer an error (tcp(7):
// TCP_KEEPIDLE and so on).
func Watch(conn *net.TCPConn) error {
	err := conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeIdle, Interval: probeInterval, Count: probeCount})
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	controlErr := raw.Control(func(fd uintptr) { set = deadline(fd) })
	return errors.Join(controlErr, set)
}
