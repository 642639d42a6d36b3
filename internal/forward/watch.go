package forward

import (
	"errors"
	"net"
	"time"
)

// A host that is gone without a word is noticed within peerTimeout, as the agent
// notices us: by keepalive probes when nothing is to be sent, by unacknowledged data
// otherwise.
const (
	peerTimeout   = 8 * time.Second
	probeIdle     = 2 * time.Second
	probeInterval = 2 * time.Second
	probeCount    = int((peerTimeout - probeIdle) / probeInterval)
)

// watch sets the socket options that make a dead peer an error.
func watch(conn *net.TCPConn) error {
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
