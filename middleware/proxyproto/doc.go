// Package proxyproto makes a listener for services behind a proxy that speaks
// the PROXY protocol, version 1 or 2
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt): the RemoteAddr
// of its connections, and with it the gate's direct peer, is the client's address
// that the proxy names.
//
// It owns the policy: whose header counts, how long one may take, and what
// connections are refused. The addresses are read by
// github.com/pires/go-proxyproto. It knows nothing of HTTP or of requests.
//
//   - A peer in a trusted prefix MUST send a header, at once: within the time
//     limit and not longer than 4 KiB. If it does not, or if the header cannot be
//     read, the connection is closed.
//   - No other peer's header is ever believed. Such a peer is the client itself;
//     its connection is handed on as it came, and a header in it is a malformed
//     request.
//   - A connection of the proxy itself (LOCAL, for health checks) has the proxy's
//     address.
//   - A connection of a client whose address the proxy does not know (UNKNOWN,
//     UNSPEC, a unix socket of the proxy's) has the address [Unknown], which is
//     nobody's. The standard allows the proxy's own address for it as well, but
//     then the sender, who is not the proxy, could speak in its name: in
//     X-Forwarded-For, if the gate trusts the proxy there too.
//
// Trusted proxies MUST be the only ones that can connect from the trusted
// prefixes, and they MUST send the header on every connection: what a client
// sends through one that does not would be taken for the header.
//
// The header comes before anything else on the connection, TLS included:
// [Listen] MUST be given the plain listener, and TLS put on top of its result
// ([tls.NewListener], [net/http.Server.ServeTLS]).
//
// # Goroutines
//
// The first Accept starts a goroutine that accepts connections; each connection
// of a trusted proxy has one until its header has come, so that a silent proxy
// delays nobody but itself. Close ends the first at once and the others within
// the time limit.
package proxyproto
