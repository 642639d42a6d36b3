package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Config is what a service decides about its gate. The zero value is valid.
type Config struct {
	// Allow is a ceiling: only requests from these prefixes can ever be
	// offered to an agent, whatever rules the agent brings. The rules narrow
	// it and never widen it. Empty means that there is no ceiling and the
	// agent's rules alone decide.
	//
	// IPv4-mapped IPv6 prefixes count as the IPv4 prefix they stand for.
	// Prefixes with host bits set and prefixes that admit a whole address
	// family are refused.
	Allow []netip.Prefix
}

// Gate decides which requests an agent may debug. It is immutable and safe for
// concurrent use.
//
// The zero Gate has no ceiling and works with an agent. A nil *Gate never
// offers a request to anybody. Both pass every request through until an agent
// arms the service.
//
// All gates of a process share its one board: they differ in their ceilings
// only.
type Gate struct {
	ceiling []netip.Prefix // normalised; empty: no ceiling
	resolve resolver       // nil: the direct peer
}

// New returns a Gate for cfg. The error joins every mistake in cfg, each of
// them a *[PrefixError]; the Gate is nil if there is any.
func New(cfg Config) (*Gate, error) {
	g := &Gate{ceiling: make([]netip.Prefix, 0, len(cfg.Allow))}
	var errs []error
	for i, p := range cfg.Allow {
		norm, reason := normalizePrefix(p)
		if reason != "" {
			errs = append(errs, &PrefixError{Index: i, Prefix: p, Reason: reason})
			continue
		}
		if !slices.Contains(g.ceiling, norm) {
			g.ceiling = append(g.ceiling, norm)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return g, nil
}

// PrefixReason says what is wrong with a prefix.
type PrefixReason string

// The reasons for which New refuses a prefix.
const (
	PrefixInvalid    PrefixReason = "not a valid prefix"
	PrefixEverybody  PrefixReason = "admits every address of its family"
	PrefixHostBits   PrefixReason = "has host bits set"
	PrefixMixedSpace PrefixReason = "reaches beyond the IPv4-mapped addresses"
)

// PrefixError reports one prefix of Config.Allow that cannot be used.
type PrefixError struct {
	Index  int          // position in Config.Allow
	Prefix netip.Prefix // as given
	Reason PrefixReason
}

// Error implements error.
func (e *PrefixError) Error() string {
	msg := fmt.Sprintf("remotedbg: gate: Allow[%d]: %v %s", e.Index, e.Prefix, e.Reason)
	switch e.Reason {
	case PrefixHostBits:
		one := netip.PrefixFrom(e.Prefix.Addr(), e.Prefix.Addr().BitLen())
		msg += fmt.Sprintf(": use %v for the network or %v for the host", e.Prefix.Masked(), one)
	case PrefixEverybody:
		msg += ": name the networks, or leave Allow empty to have no ceiling"
	case PrefixMixedSpace:
		msg += ": use an IPv4 prefix, or ::ffff:a.b.c.d with 97 bits or more"
	}
	return msg
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

// underCeiling reports whether addr may be offered to an agent at all.
func (g *Gate) underCeiling(addr netip.Addr) bool {
	if len(g.ceiling) == 0 {
		return true
	}
	for i := range g.ceiling {
		if g.ceiling[i].Contains(addr) {
			return true
		}
	}
	return false
}
