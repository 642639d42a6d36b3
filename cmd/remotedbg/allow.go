package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// parseAllow reads the values of --allow into prefixes the gate can match: no
// zone, no bits set past the length, IPv4 never in its IPv6-mapped form. The
// values that are wrong go to ms, each with the value that was probably meant;
// none is corrected silently, for a wrong prefix freezes the wrong people.
func parseAllow(values []string, ms *mistakes) []netip.Prefix {
	if len(values) == 0 {
		ms.add("--allow 203.0.113.7 takes the requests of that one client, --allow 10.1.0.0/16 those of a network",
			"--allow is required: whose requests may be frozen")
		return nil
	}
	var prefixes []netip.Prefix
	seen := map[netip.Prefix]bool{}
	for _, value := range values {
		p, m := parsePrefix(value)
		if m != nil {
			*ms = append(*ms, mistake{fmt.Sprintf("--allow %s: %s", value, m.text), m.hint})
			continue
		}
		if !seen[p] {
			seen[p] = true
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// parsePrefix reads one CIDR or bare address.
func parsePrefix(value string) (netip.Prefix, *mistake) {
	none := netip.Prefix{}
	if strings.ContainsAny(value, ", ") {
		return none, &mistake{"not one address or CIDR", "give --allow once for each: --allow 10.1.0.0/16 --allow 203.0.113.7"}
	}
	host, length, isPrefix := strings.Cut(value, "/")
	if addr, zone, hasZone := strings.Cut(host, "%"); hasZone {
		if isPrefix {
			addr += "/" + length
		}
		return none, &mistake{fmt.Sprintf("the gate compares addresses without their zone (%s)", zone), "write " + addr}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return none, &mistake{"not an IP address or CIDR", "write an address (203.0.113.7, 2001:db8::7) or a CIDR (10.1.0.0/16); names are not looked up"}
	}
	p := netip.PrefixFrom(addr, addr.BitLen())
	if isPrefix {
		if p, err = netip.ParsePrefix(value); err != nil {
			return none, &mistake{fmt.Sprintf("%q is not a prefix length", length),
				fmt.Sprintf("write a length from 1 to %d: %s/%d is the one address", addr.BitLen(), addr, addr.BitLen())}
		}
	}
	return normalPrefix(p)
}

// normalPrefix unmaps p and refuses what the gate must never be asked to match.
func normalPrefix(p netip.Prefix) (netip.Prefix, *mistake) {
	none := netip.Prefix{}
	if p.Addr().Is4In6() {
		// RFC 4291 section 2.5.5.2: ::ffff:0:0/96 holds the IPv4 addresses. A
		// shorter prefix is a part of the IPv6 space besides.
		if p.Bits() < 96 {
			return none, &mistake{"covers more than the IPv4 addresses", "write the IPv4 prefix as IPv4, such as 10.1.0.0/16"}
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Bits() == 0 {
		return none, &mistake{"would freeze the requests of every client", "name the addresses you debug from, such as 203.0.113.7 or 10.1.0.0/16"}
	}
	if masked := p.Masked(); masked != p {
		return none, &mistake{"has address bits set after the prefix length",
			fmt.Sprintf("write %s for the network or %s for the one address", masked, p.Addr())}
	}
	return p, nil
}
