package gate

import (
	"encoding/binary"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
)

// ruleSet is the agent's rule table, decoded once for each generation of it.
// Immutable.
type ruleSet struct {
	gen   uint32
	rules []allowRule
	nets4 []net4    // the IPv4 prefixes of rules
	key   *tokenKey // nil: no rule asks for a token
}

// net4 is an IPv4 prefix in the form that is fastest to compare with: an armed
// gate compares each request's address with all of them.
type net4 struct{ addr, mask uint32 }

// allowRule is one rule in the form requests are compared with. Empty texts
// match anything.
type allowRule struct {
	prefix netip.Prefix
	method string
	path   string
	header string // canonical
	value  string
	token  bool // the request must carry one
}

// ruleCache keeps the decoded form of one board's rules.
type ruleCache struct {
	decoded atomic.Pointer[ruleSet]
}

// current returns the rules on b, or nil while the agent is writing them. The
// agent makes the generation odd before it writes and even afterwards, so that
// a set that was read half old and half new is never used.
func (c *ruleCache) current(b *board) *ruleSet {
	gen := atomic.LoadUint32(&b.ruleGen)
	if set := c.decoded.Load(); set != nil && set.gen == gen {
		return set
	}
	return c.decode(b, gen)
}

// decode reads generation gen of the rules. There is no lock: a request can be
// frozen in here, with a breakpoint in the gate, and must not hold up others.
// Requests that come at the same time all decode, to the same result; if one of
// them stores an older generation late, the next request decodes again.
func (c *ruleCache) decode(b *board, gen uint32) *ruleSet {
	if gen&1 != 0 {
		return nil
	}
	set := newRuleSet(gen, decodeRules(b))
	set.useKey(b.tokenKey)
	if atomic.LoadUint32(&b.ruleGen) != gen {
		return nil
	}
	c.decoded.Store(set)
	return set
}

func newRuleSet(gen uint32, rules []allowRule) *ruleSet {
	set := &ruleSet{gen: gen, rules: rules}
	for _, r := range rules {
		if r.prefix.Addr().Is4() {
			mask := ^uint32(0) << (32 - r.prefix.Bits())
			set.nets4 = append(set.nets4, net4{addr: word4(r.prefix.Addr()), mask: mask})
		}
	}
	return set
}

// useKey sets the key of the tokens, if a rule asks for one.
func (s *ruleSet) useKey(key tokenKey) {
	for _, r := range s.rules {
		if r.token {
			s.key = &key
		}
	}
}

// wantToken reports whether any rule asks for a token. Requests lose theirs
// then, whoever sends it.
func (s *ruleSet) wantToken() bool { return s != nil && s.key != nil }

// word4 is an IPv4 address as a number.
func word4(addr netip.Addr) uint32 {
	a4 := addr.As4()
	return binary.BigEndian.Uint32(a4[:])
}

// decodeRules reads the rule table. The board can hold anything, since another
// process writes it: what does not make sense matches nobody.
func decodeRules(b *board) []allowRule {
	n := atomic.LoadUint32(&b.ruleCount)
	if n > numRules {
		return nil
	}
	rules := make([]allowRule, 0, n)
	for i := range n {
		raw := b.rules[i] // a copy: checked and used values are the same ones
		if r, ok := decodeRule(&raw); ok {
			rules = append(rules, r)
		}
	}
	return rules
}

// decodeRule decodes one rule. The prefix is mandatory: a rule for everybody is
// refused here as it is in Config and on the agent's command line.
func decodeRule(raw *rule) (allowRule, bool) {
	var r allowRule
	addr, bits := netip.AddrFrom16(raw.addr), int(raw.bits)
	switch {
	case raw.is4 > 1, bits > 128:
		return r, false
	case raw.is4 == 1:
		if bits < 96 || !addr.Is4In6() {
			return r, false
		}
		addr, bits = addr.Unmap(), bits-96
	}
	if bits == 0 {
		return r, false
	}
	r.prefix = netip.PrefixFrom(addr, bits).Masked()
	r.token = raw.token != 0
	ok := [...]bool{
		decodeText(&r.method, raw.method.b[:], raw.method.n),
		decodeText(&r.path, raw.path.b[:], raw.path.n),
		decodeText(&r.header, raw.header.b[:], raw.header.n),
		decodeText(&r.value, raw.value.b[:], raw.value.n),
	}
	for _, good := range ok {
		if !good {
			return allowRule{}, false
		}
	}
	r.header = textproto.CanonicalMIMEHeaderKey(r.header)
	return r, true
}

func decodeText(dst *string, b []byte, n uint16) bool {
	if int(n) > len(b) {
		return false
	}
	*dst = string(b[:n])
	return true
}

// admits reports whether any rule is for addr, whatever else it asks for. It is
// the cheapest test and the one that nearly every request fails. A nil set
// admits nobody.
func (s *ruleSet) admits(addr netip.Addr) bool {
	if s == nil {
		return false
	}
	if addr.Is4() {
		a := word4(addr)
		for _, n := range s.nets4 {
			if a&n.mask == n.addr {
				return true
			}
		}
		return false
	}
	for i := range s.rules {
		if s.rules[i].prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// matches reports whether any rule admits q.
func (s *ruleSet) matches(q *Request) bool {
	if s == nil {
		return false
	}
	for i := range s.rules {
		if r := &s.rules[i]; r.matches(q) && (!r.token || s.key.valid(q.token, monotonic())) {
			return true
		}
	}
	return false
}

func (r *allowRule) matches(q *Request) bool {
	return r.prefix.Contains(q.Client.Addr) &&
		(r.method == "" || r.method == q.Method) &&
		strings.HasPrefix(q.Path, r.path) &&
		(r.header == "" || r.matchesHeader(q.Host, q.Header))
}

// matchesHeader compares the first value of the header, as http.Header.Get does.
// An empty value asks for the header to be there at all.
func (r *allowRule) matchesHeader(host string, h Header) bool {
	if r.header == "Host" { // net/http keeps it apart from the other headers
		return host != "" && (r.value == "" || r.value == host)
	}
	if h == nil {
		return false
	}
	values := h.Values(r.header)
	return len(values) > 0 && (r.value == "" || r.value == values[0])
}
