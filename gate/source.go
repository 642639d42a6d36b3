package gate

import (
	"net/netip"
	"net/textproto"
	"strings"
)

// ClientSource says who tells the gate the client's address. The zero value is
// the connection: the client is the peer. The others are headers that trusted
// proxies write; a gate has one of them at most, because a proxy that sets one
// passes the others on as the client sent them.
//
// ClientSources are comparable.
type ClientSource struct {
	kind sourceKind
	name string // of the header, in canonical form
}

type sourceKind uint8

const (
	sourcePeer sourceKind = iota
	sourceXForwardedFor
	sourceForwarded
	sourceHeader
)

// FromXForwardedFor is the list X-Forwarded-For, to which every proxy appends
// the address that it was connected from. Entries are IPv4 or IPv6 addresses;
// they may have a port, IPv6 in brackets then.
func FromXForwardedFor() ClientSource {
	return ClientSource{kind: sourceXForwardedFor, name: "X-Forwarded-For"}
}

// FromForwarded is the list Forwarded of RFC 7239: the parameter for= of its
// elements. It is read as the RFC writes it, which means that IPv6 addresses and
// ports must be quoted: for="[2001:db8::7]:4711". Elements that hide the address
// (for=unknown, for=_hidden) make the client unknown.
func FromForwarded() ClientSource {
	return ClientSource{kind: sourceForwarded, name: "Forwarded"}
}

// FromHeader is a header with a single address, such as X-Real-Ip or
// Cf-Connecting-Ip. The trusted proxy MUST set it on every request, replacing
// what the client sent. If it comes twice, or with a comma in it, the client is
// unknown.
//
// [New] refuses names that are no header's and those of lists.
func FromHeader(name string) ClientSource {
	return ClientSource{kind: sourceHeader, name: textproto.CanonicalMIMEHeaderKey(name)}
}

// String returns the name of the header, or "direct peer".
func (s ClientSource) String() string {
	if s.kind == sourcePeer {
		return ReasonDirectPeer
	}
	return s.name
}

// The bounds of what is read of a header, over all of its field lines. Beyond
// them somebody is playing tricks.
const (
	maxHeaderBytes   = 4 << 10
	maxHeaderEntries = 32
)

// tooLong reports whether values, joined with commas, are more than
// maxHeaderBytes.
func tooLong(values []string) bool {
	n := len(values) - 1
	for _, v := range values {
		n += len(v)
	}
	return n > maxHeaderBytes
}

// find returns the client that the header with these values names.
func (s ClientSource) find(values []string, trusted *prefixSet) (netip.Addr, string) {
	switch s.kind {
	case sourceXForwardedFor:
		return findXForwardedFor(values, trusted)
	case sourceForwarded:
		return findForwarded(values, trusted)
	default:
		return findHeader(values, trusted)
	}
}

// findHeader reads a header with a single value.
func findHeader(values []string, trusted *prefixSet) (netip.Addr, string) {
	if len(values) != 1 {
		if len(values) == 0 {
			return netip.Addr{}, ReasonHeaderMissing
		}
		return netip.Addr{}, ReasonHeaderNotSingle
	}
	if tooLong(values) {
		return netip.Addr{}, ReasonHeaderNoAddress
	}
	addr, ok := parseNode(trimOWS(values[0]), true)
	switch {
	case !ok && strings.IndexByte(values[0], ',') >= 0:
		return netip.Addr{}, ReasonHeaderNotSingle
	case !ok:
		return netip.Addr{}, ReasonHeaderNoAddress
	case trusted.contains(addr):
		// The proxy says that it was connected from another proxy. Who was on
		// that one's other side is not in this header.
		return netip.Addr{}, ReasonHeaderTrusted
	}
	return addr, ReasonHeader
}

// findXForwardedFor walks the list from the right to the left.
func findXForwardedFor(values []string, trusted *prefixSet) (netip.Addr, string) {
	if len(values) == 0 {
		return netip.Addr{}, ReasonXForwardedForMissing
	}
	if tooLong(values) {
		return netip.Addr{}, ReasonXForwardedForTooLong
	}
	entries := len(values)
	for _, v := range values {
		entries += strings.Count(v, ",")
	}
	if entries > maxHeaderEntries {
		return netip.Addr{}, ReasonXForwardedForTooLong
	}
	for i := len(values) - 1; i >= 0; i-- {
		for line, more := values[i], true; more; {
			entry := line
			comma := strings.LastIndexByte(line, ',')
			if more = comma >= 0; more {
				line, entry = line[:comma], line[comma+1:]
			}
			addr, ok := parseNode(trimOWS(entry), true)
			if !ok {
				return netip.Addr{}, ReasonXForwardedForNoAddress
			}
			if !trusted.contains(addr) {
				return addr, ReasonXForwardedFor
			}
		}
	}
	return netip.Addr{}, ReasonXForwardedForAllTrusted
}

// trimOWS removes what RFC 9110 section 5.6.3 allows around the elements of a
// list: spaces and tabs, and no other white space.
func trimOWS(s string) string {
	for s != "" && isOWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }
