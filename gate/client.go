package gate

import (
	"encoding/binary"
	"net/http"
	"net/netip"
)

// Client is the address a request came from, and why the gate believes so.
type Client struct {
	// Addr is never IPv4-mapped and has no zone. It is the zero Addr if the
	// client is unknown; an unknown client matches no rule.
	Addr netip.Addr

	// Reason is for people: how Addr was found, or why it is unknown. It is
	// a constant string without request data in it.
	Reason string
}

// The reasons in a Client.
const (
	ReasonDirectPeer   = "direct peer"
	ReasonNotIPAndPort = "unknown: RemoteAddr is not an IP address and port"
	ReasonZone         = "unknown: the peer's address has a zone"
	ReasonNoRequest    = "unknown: no request"
)

// resolver finds the client of a request whose peer is known. This is the seam
// for deployments behind trusted proxies: peer first, header second. Without
// one the client is the peer.
type resolver func(peer Client, header Header) Client

// Client returns the address that r came from. It is the direct peer, taken
// from r.RemoteAddr as net/http sets it; headers are not looked at, since
// whoever sends the request can write them. It does not allocate, and it
// accepts a nil *Gate.
func (g *Gate) Client(r *http.Request) Client {
	if r == nil {
		return Client{Reason: ReasonNoRequest}
	}
	addr, reason := g.client(r)
	return Client{Addr: addr, Reason: reason}
}

// client finds the client from the peer first and the headers second. Its
// results are two because a Client does not fit into registers, and the detour
// through memory costs as much as the rest of the work.
func (g *Gate) client(r *http.Request) (netip.Addr, string) {
	if g == nil || g.resolve == nil {
		return parsePeer(r.RemoteAddr)
	}
	c := g.resolve(Peer(r.RemoteAddr), r.Header)
	return c.Addr, c.Reason
}

// ClientFrom is Client for requests that are not net/http's: peer is the remote
// end of the connection in the form of [net.TCPAddr.String], h the request's
// header or metadata, or nil.
func (g *Gate) ClientFrom(peer string, h Header) Client {
	if g == nil || g.resolve == nil {
		return Peer(peer)
	}
	return g.resolve(Peer(peer), h)
}

// Peer returns the client for a connection whose remote end is hostport, in the
// form that [net.TCPAddr.String] gives: "203.0.113.7:4711" or
// "[2001:db8::7]:4711". Anything else is an unknown client. In particular, an
// address without a port is: net/http never gives that, but middleware that
// overwrites RemoteAddr with a header's value does, and then it is the sender
// who chose it.
//
// IPv4-mapped addresses become IPv4. Those with a zone are refused, since a rule
// has no zone, and fe80::1%eth0 and fe80::1%eth1 may be two hosts.
func Peer(hostport string) Client {
	addr, reason := parsePeer(hostport)
	return Client{Addr: addr, Reason: reason}
}

// parsePeer is the only place where addresses of clients are normalised.
func parsePeer(hostport string) (netip.Addr, string) {
	if addr, ok := parsePeer4(hostport); ok {
		return addr, ReasonDirectPeer
	}
	ap, err := netip.ParseAddrPort(hostport)
	if err != nil {
		return netip.Addr{}, ReasonNotIPAndPort
	}
	addr := ap.Addr()
	if addr.Zone() != "" {
		return netip.Addr{}, ReasonZone
	}
	return addr.Unmap(), ReasonDirectPeer
}

// parsePeer4 parses the common case, "203.0.113.7:4711", in a third of the time
// of netip.ParseAddrPort; it is the larger part of what an armed gate costs a
// request that matches no rule. It accepts nothing that ParseAddrPort refuses;
// what it does not understand is left to ParseAddrPort.
func parsePeer4(s string) (netip.Addr, bool) {
	addr := uint32(0)
	for i := range 4 {
		if len(s) < 4 { // the shortest rest is that of the last field: "7:80" less a digit
			return netip.Addr{}, false
		}
		v := uint(s[0] - '0')
		n := 1
		if v > 9 {
			return netip.Addr{}, false
		}
		// No digits after a leading zero: some systems read them as octal.
		if d := uint(s[1] - '0'); d <= 9 && v != 0 {
			v, n = v*10+d, 2
			if d := uint(s[2] - '0'); d <= 9 {
				v, n = v*10+d, 3
			}
		}
		want := byte('.')
		if i == 3 {
			want = ':'
		}
		if v > 255 || s[n] != want {
			return netip.Addr{}, false
		}
		addr = addr<<8 | uint32(v)
		s = s[n+1:]
	}
	if !isPort(s) {
		return netip.Addr{}, false
	}
	// One store of four bytes: four stores of one would stall the load that
	// AddrFrom4 is compiled to.
	var a4 [4]byte
	binary.BigEndian.PutUint32(a4[:], addr)
	return netip.AddrFrom4(a4), true
}

// isPort accepts one to five digits that make a port number.
func isPort(s string) bool {
	if len(s) == 0 || len(s) > 5 {
		return false
	}
	port := uint(0)
	for i := 0; i < len(s); i++ {
		d := uint(s[i] - '0')
		if d > 9 {
			return false
		}
		port = port*10 + d
	}
	return port <= 65535
}
