package gate

import (
	"net/netip"
	"unsafe"
)

// findForwarded walks the list Forwarded (RFC 7239 section 4) from the right to
// the left.
//
// It is split from the left first, because commas in quoted strings separate
// nothing. The client can send the beginning of a quoted string and so make a
// part of what the proxy appended disappear in it. So a quote at a place where
// the grammar has none makes the whole header unreadable, also where the walk
// would not have come: a quote too many shifts all that follow to such places.
func findForwarded(values []string, trusted *prefixSet) (netip.Addr, string) {
	if len(values) == 0 {
		return netip.Addr{}, ReasonForwardedMissing
	}
	if tooLong(values) {
		return netip.Addr{}, ReasonForwardedTooLong
	}
	var elements [maxHeaderEntries]string
	n := 0
	for _, line := range values {
		for more := true; more; {
			end, ok := endOfElement(line)
			if !ok {
				return netip.Addr{}, ReasonForwardedUnreadable
			}
			if n == len(elements) {
				return netip.Addr{}, ReasonForwardedTooLong
			}
			elements[n] = line[:end]
			n++
			if more = end < len(line); more {
				line = line[end+1:]
			}
		}
	}
	for n--; n >= 0; n-- {
		addr, reason := forwardedFor(elements[n])
		if reason != "" {
			return netip.Addr{}, reason
		}
		if !trusted.contains(addr) {
			return addr, ReasonForwarded
		}
	}
	return netip.Addr{}, ReasonForwardedAllTrusted
}

// endOfElement returns the index of the first comma in s that is not quoted, or
// the length of s. It is not ok if a quote is at a wrong place: quoted strings
// follow '=' and end at a separator.
func endOfElement(s string) (end int, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return i, true
		case '"':
			if i == 0 || s[i-1] != '=' {
				return 0, false
			}
			n, _ := quotedString(s[i:])
			if n == 0 {
				return 0, false
			}
			i += n
			if i == len(s) {
				return i, true
			}
			if s[i] != ',' && s[i] != ';' && !isOWS(s[i]) {
				return 0, false
			}
			i-- // the separator is looked at again
		}
	}
	return len(s), true
}

// quotedString returns the length of the quoted string at the start of s (RFC
// 9110 section 5.6.4), and whether there are escapes in it. The length is 0 if
// there is none.
func quotedString(s string) (n int, escapes bool) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, escapes
		case c == '\\':
			escapes = true
			if i++; i == len(s) || isControl(s[i]) {
				return 0, false
			}
		case isControl(c):
			return 0, false
		}
	}
	return 0, false
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// forwardedFor returns the address in the parameter for= of an element. The
// reason is empty if there is one.
//
// The grammar allows for pairs that are empty ("for=192.0.2.1;"). Spaces around
// the semicolons, which it does not have, are accepted, because proxies write
// them and they cannot be mistaken for anything; around '=' they are refused.
func forwardedFor(s string) (netip.Addr, string) {
	var node netip.Addr
	s = trimOWS(s)
	seen, readable := false, true
	for s != "" {
		if s[0] == ';' {
			s = trimOWS(s[1:])
			continue
		}
		name := tokenLen(s)
		if name == 0 || name == len(s) || s[name] != '=' {
			return netip.Addr{}, ReasonForwardedUnreadable
		}
		isFor := isForName(s[:name])
		s = s[name+1:]
		n, quoted, escapes := valueLen(s)
		if n == 0 || isFor && seen { // RFC 7239 section 4: not more than once
			return netip.Addr{}, ReasonForwardedUnreadable
		}
		if isFor {
			seen = true
			node, readable = parseForwardedNode(s[:n], quoted, escapes)
		}
		if s = trimOWS(s[n:]); s != "" && s[0] != ';' {
			return netip.Addr{}, ReasonForwardedUnreadable
		}
	}
	switch {
	case !seen:
		return netip.Addr{}, ReasonForwardedNoFor
	case !readable:
		return netip.Addr{}, ReasonForwardedNoAddress
	}
	return node, ""
}

// isForName reports whether s is "for" in any case.
func isForName(s string) bool {
	return len(s) == 3 && s[0]|0x20 == 'f' && s[1]|0x20 == 'o' && s[2]|0x20 == 'r'
}

// valueLen returns the length of the token or quoted string at the start of s,
// 0 if there is none.
func valueLen(s string) (n int, quoted, escapes bool) {
	if s != "" && s[0] == '"' {
		n, escapes = quotedString(s)
		return n, true, escapes
	}
	return tokenLen(s), false, false
}

// parseForwardedNode reads the value of for= (RFC 7239 section 6).
func parseForwardedNode(s string, quoted, escapes bool) (netip.Addr, bool) {
	if !quoted {
		return parseNode(s, false)
	}
	s = s[1 : len(s)-1]
	if !escapes {
		return parseNode(s, false)
	}
	// Longer than the longest address with a port, which has 53 bytes:
	// "[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535".
	var buf [64]byte
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++ // quotedString has seen to it that there is one more
		}
		if n == len(buf) {
			return netip.Addr{}, false
		}
		buf[n] = s[i]
		n++
	}
	// A conversion would allocate what is longer than 32 bytes. parseNode does
	// not keep the string.
	return parseNode(unsafe.String(&buf[0], n), false)
}

// tokenLen returns the length of the token at the start of s (RFC 9110 section
// 5.6.2), 0 if there is none.
func tokenLen(s string) int {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return i
		}
	}
	return len(s)
}

// tokenBytes has a bit for each byte of a token.
const tokenBytes = 0 |
	(1<<10-1)<<'0' | (1<<26-1)<<'A' | (1<<26-1)<<'a' |
	1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' |
	1<<'-' | 1<<'.' | 1<<'^' | 1<<'_' | 1<<'`' | 1<<'|' | 1<<'~'

func isTokenByte(c byte) bool {
	// One of the shifts is by 64 or more, which gives 0; both are for bytes
	// beyond ASCII.
	return uint64(1)<<c&(tokenBytes&(1<<64-1))|uint64(1)<<(c-64)&(tokenBytes>>64) != 0
}
