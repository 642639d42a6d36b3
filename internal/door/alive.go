//go:build linux

package door

import (
	"net"

	"github.com/remotedbg/remotedbg/internal/keepalive"
)

// watchPeer makes a dead peer an error where that can be; other connections than
// TCP's have no such peer.
func watchPeer(nc net.Conn) error {
	if tcp, ok := nc.(*net.TCPConn); ok {
		return keepalive.Watch(tcp)
	}
	return nil
}
