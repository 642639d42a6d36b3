package gate

import (
	"context"
	"net/http"
	"net/netip"
)

// Client is the address a request came from, and why the gate believes so.
type Client struct {
	// Addr is never IPv4-mapped, has no zone and is not the unspecified
	// address. It is the zero Addr if the client is unknown; an unknown
	// client matches no rule.
	Addr netip.Addr

	// Reason is for people: how Addr was found, or why it is unknown. It is
	// a constant string without request data in it.
	Reason string
}

// Client returns the address that r came from. It looks at the peer first: the
// remote end of the connection, taken from r.RemoteAddr as net/http sets it (or
// from the connection itself, see [Config.PeerFromConn]). Unless the peer is one
// of the trusted proxies, it is the client, and no header is looked at, since
// whoever sends the request can write them.
//
// The header of a trusted proxy (see [Config.Source]) is read from the right to
// the left: the right-most entry was written by the proxy next to us, and what
// is left of the first entry that is no trusted proxy may be made up. Whatever
// cannot be read on the way makes the client unknown.
//
// Client does not allocate, does not change r, and accepts a nil *Gate.
func (g *Gate) Client(r *http.Request) Client {
	if r == nil {
		return Client{Reason: ReasonNoRequest}
	}
	addr, reason := g.client(r)
	return Client{Addr: addr, Reason: reason}
}

// client is Client for requests that are not nil. Its results are two because a
// Client does not fit into registers, and the detour through memory costs as
// much as the rest of the work.
func (g *Gate) client(r *http.Request) (netip.Addr, string) {
	if g == nil || g.behind == nil {
		return parsePeer(r.RemoteAddr)
	}
	return g.behind.client(r)
}

// ClientFrom is Client for requests that are not net/http's: peer is the remote
// end of the connection in the form of [net.TCPAddr.String], h the request's
// header or metadata, or nil. The caller MUST take peer from the connection;
// [Config.PeerFromConn] makes no difference here.
func (g *Gate) ClientFrom(peer string, h Header) Client {
	if g == nil || g.behind == nil {
		return Peer(peer)
	}
	addr, reason := g.behind.clientFrom(peer, h)
	return Client{Addr: addr, Reason: reason}
}

// ClientIn is ClientFrom for requests of systems on top of net/http, which hand
// on RemoteAddr as the peer and the request's context: as in Client, the peer is
// taken from the connection if [Config.PeerFromConn] says so.
func (g *Gate) ClientIn(ctx context.Context, peer string, h Header) Client {
	if g == nil || g.behind == nil {
		return Peer(peer)
	}
	addr, reason := g.behind.httpPeer(ctx, peer)
	addr, reason = g.behind.believe(addr, reason, h)
	return Client{Addr: addr, Reason: reason}
}

// proxies is what a gate that is not the simple case needs to find the client:
// who is trusted, and what they say. It is immutable.
type proxies struct {
	source   ClientSource
	trusted  prefixSet
	unix     bool // peers on unix sockets are trusted proxies
	fromConn bool // the peer is taken from the connection, not from RemoteAddr
}

// client finds the client of a request of net/http.
func (p *proxies) client(r *http.Request) (netip.Addr, string) {
	peer, reason := p.httpPeer(r.Context(), r.RemoteAddr)
	if !p.ask(peer, reason) {
		return p.direct(peer, reason)
	}
	// Not r.Header.Values, which looks for the canonical form of a name that is
	// canonical already.
	return p.source.find(r.Header[p.source.name], &p.trusted)
}

// clientFrom finds the client of other requests.
func (p *proxies) clientFrom(peer string, h Header) (netip.Addr, string) {
	addr, reason := stringPeer(peer)
	return p.believe(addr, reason, h)
}

// believe is the client of a request from that peer.
func (p *proxies) believe(addr netip.Addr, reason string, h Header) (netip.Addr, string) {
	if !p.ask(addr, reason) {
		return p.direct(addr, reason)
	}
	var values []string
	if h != nil {
		values = h.Values(p.source.name)
	}
	return p.source.find(values, &p.trusted)
}

// ask reports whether the peer is a proxy whose header counts.
func (p *proxies) ask(peer netip.Addr, reason string) bool {
	if p.source.kind == sourcePeer {
		return false
	}
	if !peer.IsValid() {
		return reason == reasonUnixPeer && p.unix
	}
	return p.trusted.contains(peer)
}

// direct is the client of a request whose header does not count.
func (p *proxies) direct(peer netip.Addr, reason string) (netip.Addr, string) {
	switch {
	case reason == reasonUnixPeer:
		return netip.Addr{}, ReasonUnixSocket
	case peer.IsValid() && p.source.kind != sourcePeer:
		return peer, ReasonNoProxy
	}
	return peer, reason
}
