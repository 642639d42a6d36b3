package gate

import (
	"fmt"
	"net/netip"
	"slices"
)

// PrefixReason says what is wrong with a prefix.
type PrefixReason string

// The reasons for which New refuses a prefix.
const (
	PrefixInvalid    PrefixReason = "not a valid prefix"
	PrefixEverybody  PrefixReason = "admits every address of its family"
	PrefixHostBits   PrefixReason = "has host bits set"
	PrefixMixedSpace PrefixReason = "reaches beyond the IPv4-mapped addresses"
)

// PrefixError reports one prefix of a [Config] that cannot be used.
type PrefixError struct {
	Field  string       // of Config: "Allow" or "TrustedProxies"
	Index  int          // position in the field
	Prefix netip.Prefix // as given
	Reason PrefixReason
}

// Error implements error.
func (e *PrefixError) Error() string {
	msg := fmt.Sprintf("remotedbg: gate: %s[%d]: %v %s", e.Field, e.Index, e.Prefix, e.Reason)
	switch e.Reason {
	case PrefixHostBits:
		one := netip.PrefixFrom(e.Prefix.Addr(), e.Prefix.Addr().BitLen())
		msg += fmt.Sprintf(": use %v for the network or %v for the host", e.Prefix.Masked(), one)
	case PrefixEverybody:
		if e.Field != "Allow" {
			return msg + ": name the proxies, since whoever is trusted can claim any address"
		}
		msg += ": name the networks, or leave Allow empty to have no ceiling"
	case PrefixMixedSpace:
		msg += ": use an IPv4 prefix, or ::ffff:a.b.c.d with 97 bits or more"
	}
	return msg
}

// normalizePrefixes returns the prefixes of a field of Config, each once, or the
// mistakes in them.
func normalizePrefixes(field string, given []netip.Prefix) ([]netip.Prefix, []error) {
	var errs []error
	norms := make([]netip.Prefix, 0, len(given))
	for i, p := range given {
		norm, reason := normalizePrefix(p)
		if reason != "" {
			errs = append(errs, &PrefixError{Field: field, Index: i, Prefix: p, Reason: reason})
			continue
		}
		if !slices.Contains(norms, norm) {
			norms = append(norms, norm)
		}
	}
	return norms, errs
}

// normalizePrefix returns p in the one form that clients are compared with:
// IPv4-mapped prefixes as IPv4. The reason is empty if p can be used.
func normalizePrefix(p netip.Prefix) (netip.Prefix, PrefixReason) {
	if !p.IsValid() {
		return netip.Prefix{}, PrefixInvalid
	}
	if p.Addr().Is4In6() {
		const mapped = 96 // RFC 4291 section 2.5.5.2
		if p.Bits() < mapped {
			return netip.Prefix{}, PrefixMixedSpace
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	if p.Bits() == 0 {
		return netip.Prefix{}, PrefixEverybody
	}
	if p != p.Masked() {
		return netip.Prefix{}, PrefixHostBits
	}
	return p, ""
}
