package gate

import (
	"errors"
	"net/netip"
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

	// TrustedProxies are the addresses of the proxies in front of the service:
	// those that connect to it, and those that they pass requests on for. Name
	// exactly these: whoever is in here can claim to be anybody. Nothing is
	// trusted by default, private and loopback addresses neither. The same
	// kinds of prefixes as in Allow are refused.
	TrustedProxies []netip.Prefix

	// Source is the header in which the trusted proxies say who the client is.
	// The zero value is none: the client is the peer.
	Source ClientSource

	// TrustUnix makes peers on unix sockets trusted proxies: whoever may
	// connect to the service's socket can claim to be anybody. Without it they
	// are unknown clients.
	TrustUnix bool

	// PeerFromConn takes the peer from the connection, as [ConnContext] has
	// recorded it, and not from RemoteAddr. It is for services in which
	// something outside of the gate overwrites RemoteAddr. The clients of
	// servers without ConnContext are unknown.
	PeerFromConn bool
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
	behind  *proxies       // nil: the client is the peer in RemoteAddr
}

// New returns a Gate for cfg. The error joins every mistake in cfg, each of
// them a *[PrefixError] or a *[SourceError]; the Gate is nil if there is any.
func New(cfg Config) (*Gate, error) {
	ceiling, errs := normalizePrefixes("Allow", cfg.Allow)
	trusted, more := normalizePrefixes("TrustedProxies", cfg.TrustedProxies)
	errs = append(errs, more...)
	errs = append(errs, cfg.sourceMistakes()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	g := &Gate{ceiling: ceiling}
	if cfg.Source.kind == sourcePeer && !cfg.PeerFromConn {
		return g, nil
	}
	g.behind = &proxies{source: cfg.Source, unix: cfg.TrustUnix, fromConn: cfg.PeerFromConn}
	for _, p := range trusted {
		g.behind.trusted.add(p)
	}
	return g, nil
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
