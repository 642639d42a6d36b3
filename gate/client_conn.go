package gate

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// connKey is the key under which ConnContext keeps the connection.
type connKey struct{}

// recordedConn is the connection that a request came on.
type recordedConn struct {
	conn   net.Conn
	once   sync.Once
	addr   netip.Addr
	reason string
}

// ConnContext records c, so that a gate with [Config.PeerFromConn] knows the
// peer of the requests that come on it, whatever becomes of RemoteAddr. It is
// meant to be [http.Server.ConnContext], or to be called by it.
//
// It only keeps c. Its RemoteAddr is called when a request first needs it, in
// the goroutine of that request: the server calls ConnContext in the one that
// accepts connections, and RemoteAddr may block there, as it does in
// connections of the PROXY protocol until the header has come.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, &recordedConn{conn: c})
}

func (rc *recordedConn) peer() (netip.Addr, string) {
	rc.once.Do(func() { rc.addr, rc.reason = addrPeer(rc.conn.RemoteAddr()) })
	return rc.addr, rc.reason
}

// addrPeer is the peer at a. One on a unix socket has reasonUnixPeer.
func addrPeer(a net.Addr) (netip.Addr, string) {
	switch a := a.(type) {
	case nil:
		return netip.Addr{}, ReasonNotIPAndPort
	case *net.UnixAddr:
		return netip.Addr{}, reasonUnixPeer
	default:
		return parsePeer(a.String())
	}
}

// httpPeer is the peer of a request with that context and RemoteAddr.
func (p *proxies) httpPeer(ctx context.Context, remote string) (netip.Addr, string) {
	if p.fromConn {
		rc, _ := ctx.Value(connKey{}).(*recordedConn)
		if rc == nil {
			return netip.Addr{}, ReasonNoConn
		}
		return rc.peer()
	}
	addr, reason := stringPeer(remote)
	if reason == reasonUnixPeer {
		// What looks like a unix socket may be what middleware found in a
		// header. net/http tells what it really listens on.
		switch ctx.Value(http.LocalAddrContextKey).(type) {
		case nil, *net.UnixAddr:
		default:
			return netip.Addr{}, ReasonNotIPAndPort
		}
	}
	return addr, reason
}

// stringPeer is the peer that s stands for. Unix sockets are "@" if the client's
// has no name, as is usual, "@name" if it has an abstract one, or a path
// (net.UnixAddr.String).
func stringPeer(s string) (netip.Addr, string) {
	if s != "" && (s[0] == '@' || s[0] == '/') {
		return netip.Addr{}, reasonUnixPeer
	}
	return parsePeer(s)
}
