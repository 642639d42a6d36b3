package gate

// The reasons in a [Client] that is known.
const (
	ReasonDirectPeer    = "direct peer"
	ReasonNoProxy       = "direct peer: it is no trusted proxy, so headers do not count"
	ReasonXForwardedFor = "X-Forwarded-For: the right-most address that is no trusted proxy"
	ReasonForwarded     = "Forwarded: the right-most address that is no trusted proxy"
	ReasonHeader        = "the header of the configuration, as the trusted proxy sent it"
)

// The reasons in a Client that is unknown because of its peer.
const (
	ReasonNoRequest    = "unknown: no request"
	ReasonNotIPAndPort = "unknown: RemoteAddr is not an IP address and port"
	ReasonZone         = "unknown: the peer's address has a zone"
	ReasonUnspecified  = "unknown: the peer's address is the unspecified address"
	ReasonUnixSocket   = "unknown: the peer is a unix socket, and these are not trusted"
	ReasonNoConn       = "unknown: the server does not record its connections (gate.ConnContext)"
)

// The reasons in a Client that is unknown because of what a trusted proxy sent.
const (
	ReasonXForwardedForMissing    = "unknown: the trusted proxy sent no X-Forwarded-For"
	ReasonXForwardedForTooLong    = "unknown: X-Forwarded-For is longer than 4 KiB or has more than 32 entries"
	ReasonXForwardedForNoAddress  = "unknown: X-Forwarded-For has an entry that is no address"
	ReasonXForwardedForAllTrusted = "unknown: X-Forwarded-For names trusted proxies only"

	ReasonForwardedMissing    = "unknown: the trusted proxy sent no Forwarded"
	ReasonForwardedTooLong    = "unknown: Forwarded is longer than 4 KiB or has more than 32 elements"
	ReasonForwardedUnreadable = "unknown: Forwarded is not written as RFC 7239 says"
	ReasonForwardedNoFor      = "unknown: Forwarded has an element without for="
	ReasonForwardedNoAddress  = "unknown: Forwarded has a for= that is no address"
	ReasonForwardedAllTrusted = "unknown: Forwarded names trusted proxies only"

	ReasonHeaderMissing   = "unknown: the trusted proxy sent no header of the configured name"
	ReasonHeaderNotSingle = "unknown: the configured header has more than one value"
	ReasonHeaderNoAddress = "unknown: the configured header is no address"
	ReasonHeaderTrusted   = "unknown: the configured header names a trusted proxy"
)

// reasonUnixPeer marks a peer that is a unix socket between the functions of
// this package. It never leaves it.
const reasonUnixPeer = "unix socket"
