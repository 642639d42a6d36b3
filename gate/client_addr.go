package gate

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// This file is the only place where addresses of clients and proxies are read
// and normalised. It does not use netip.ParseAddr because that allocates an
// error for what it refuses, and whoever sends garbage chooses how often; the
// fuzz tests compare the two.

// Peer returns the client for a connection whose remote end is hostport, in the
// form that [net.TCPAddr.String] gives: "203.0.113.7:4711" or
// "[2001:db8::7]:4711". Anything else is an unknown client. In particular, an
// address without a port is: net/http never gives that, but middleware that
// overwrites RemoteAddr with a header's value does, and then it is the sender
// who chose it.
//
// IPv4-mapped addresses become IPv4. Those with a zone are refused, since a rule
// has no zone, and fe80::1%eth0 and fe80::1%eth1 may be two hosts. So is the
// unspecified address, which is nobody's, and which some servers give for a
// connection without an address.
func Peer(hostport string) Client {
	addr, reason := parsePeer(hostport)
	return Client{Addr: addr, Reason: reason}
}

func parsePeer(s string) (netip.Addr, string) {
	addr, rest, ok := scan4(s)
	if !ok {
		return parsePeer6(s)
	}
	if rest == "" || rest[0] != ':' || !isPort(rest[1:]) {
		return netip.Addr{}, ReasonNotIPAndPort
	}
	if addr == 0 {
		return netip.Addr{}, ReasonUnspecified
	}
	return addr4(addr), ReasonDirectPeer
}

// parsePeer6 reads "[2001:db8::7]:4711".
func parsePeer6(s string) (netip.Addr, string) {
	inner, port, ok := splitBrackets(s)
	if !ok || !isPort(port) {
		return netip.Addr{}, ReasonNotIPAndPort
	}
	inner, zone, hasZone := strings.Cut(inner, "%")
	addr, ok := parse6(inner)
	switch {
	case !ok || hasZone && zone == "":
		return netip.Addr{}, ReasonNotIPAndPort
	case hasZone:
		return netip.Addr{}, ReasonZone
	case addr.IsUnspecified():
		return netip.Addr{}, ReasonUnspecified
	}
	return addr, ReasonDirectPeer
}

// parseNode reads an address in a header, with or without a port: 203.0.113.7,
// 203.0.113.7:4711, [2001:db8::7], [2001:db8::7]:4711, and if bare is set
// 2001:db8::7. The unspecified address is refused: it is no client.
func parseNode(s string, bare bool) (netip.Addr, bool) {
	if v4, rest, ok := scan4(s); ok {
		ok = v4 != 0 && (rest == "" || rest[0] == ':' && isPort(rest[1:]))
		return addr4(v4), ok
	}
	if s == "" {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		// Without a port there is a ']' at the end, and no ':' behind it.
		inner, port, ok := splitBrackets(s)
		if !ok && s[len(s)-1] == ']' {
			inner, port = s[1:len(s)-1], "0"
		}
		if !isPort(port) {
			return netip.Addr{}, false
		}
		s = inner
	} else if !bare {
		return netip.Addr{}, false
	}
	addr, ok := parse6(s)
	return addr, ok && !addr.IsUnspecified()
}

// splitBrackets splits "[inner]:port". What parts are is left to the caller.
func splitBrackets(s string) (inner, port string, ok bool) {
	end := strings.LastIndexByte(s, ']')
	if end < 1 || s[0] != '[' || end+1 >= len(s) || s[end+1] != ':' {
		return "", "", false
	}
	return s[1:end], s[end+2:], true
}

func addr4(v uint32) netip.Addr {
	// One store of four bytes: four stores of one would stall the load that
	// AddrFrom4 is compiled to.
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], v)
	return netip.AddrFrom4(a)
}

// scan4 reads an IPv4 address in dotted decimal at the start of s and returns
// what follows, which may begin with a digit too many: the caller knows what may
// follow. It is the larger part of what an armed gate costs a request that
// matches no rule, hence no loop over the digits.
func scan4(s string) (addr uint32, rest string, ok bool) {
	for i := range 4 {
		if s == "" {
			return 0, "", false
		}
		v := uint(s[0] - '0')
		n := 1
		if v > 9 {
			return 0, "", false
		}
		if len(s) > 2 {
			if d := uint(s[1] - '0'); d <= 9 && v != 0 {
				v, n = v*10+d, 2
				if d := uint(s[2] - '0'); d <= 9 {
					v, n = v*10+d, 3
				}
			}
		} else if len(s) == 2 {
			if d := uint(s[1] - '0'); d <= 9 && v != 0 {
				v, n = v*10+d, 2
			}
		}
		if v > 255 {
			return 0, "", false
		}
		addr = addr<<8 | uint32(v)
		if i == 3 {
			return addr, s[n:], true
		}
		if n >= len(s) || s[n] != '.' {
			return 0, "", false
		}
		s = s[n+1:]
	}
	return 0, "", false
}

// parse6 reads an IPv6 address in any of the forms of RFC 4291 section 2.2,
// without a zone, and returns it unmapped.
func parse6(s string) (netip.Addr, bool) {
	var a [16]byte
	n, gap := 0, -1 // bytes of a that are set; those before "::"
	if strings.HasPrefix(s, "::") {
		gap, s = 0, s[2:]
	} else if s == "" {
		return netip.Addr{}, false
	}
	for s != "" {
		if n == len(a) {
			return netip.Addr{}, false
		}
		group, digits := scanHex(s)
		if digits == 0 {
			return netip.Addr{}, false
		}
		if digits < len(s) && s[digits] == '.' {
			// The last 32 bits may be written as IPv4.
			v4, rest, ok := scan4(s)
			if !ok || rest != "" || n > 12 || n < 12 && gap < 0 {
				return netip.Addr{}, false
			}
			binary.BigEndian.PutUint32(a[n:], v4)
			n += 4
			break
		}
		binary.BigEndian.PutUint16(a[n:], group)
		n += 2
		if s = s[digits:]; s == "" {
			break
		}
		if s[0] != ':' || len(s) == 1 {
			return netip.Addr{}, false
		}
		if s = s[1:]; s[0] == ':' {
			if gap >= 0 {
				return netip.Addr{}, false
			}
			gap, s = n, s[1:]
		}
	}
	// "::" stands for one group at least; without one, none is missing.
	if (n < len(a)) != (gap >= 0) {
		return netip.Addr{}, false
	}
	if gap >= 0 {
		copy(a[gap+len(a)-n:], a[gap:n])
		clear(a[gap : gap+len(a)-n])
	}
	return netip.AddrFrom16(a).Unmap(), true
}

// scanHex reads up to four hexadecimal digits at the start of s. If there are
// more, what follows is no separator, and parse6 refuses it.
func scanHex(s string) (v uint16, digits int) {
	for digits < len(s) && digits < 4 {
		c := s[digits]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return v, digits
		}
		v = v<<4 | uint16(c)
		digits++
	}
	return v, digits
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
