//go:build linux

package door

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A peer that is gone without a word (its machine lost power, the network
// between drops everything) is noticed within peerTimeout: by keepalive probes
// when nothing is to be sent, by unacknowledged data otherwise. A frozen request
// waits for that long.
const (
	peerTimeout   = 8 * time.Second
	probeIdle     = 2 * time.Second
	probeInterval = 2 * time.Second
	probeCount    = int((peerTimeout - probeIdle) / probeInterval)
)

// watchPeer sets the socket options that make a dead peer an error (tcp(7):
// TCP_KEEPIDLE and so on, TCP_USER_TIMEOUT). They help where they can be set;
// other connections have no such peer.
func watchPeer(nc net.Conn) error {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	if err := tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeIdle, Interval: probeInterval, Count: probeCount}); err != nil {
		return err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(peerTimeout/time.Millisecond))
	})
	if err != nil {
		return err
	}
	return set
}
