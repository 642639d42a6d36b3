package gate

import (
	"encoding/binary"
	"net/netip"
)

// prefixSet is a set of normalised prefixes. They are kept as numbers: a
// comparison takes a third of the time of netip.Prefix.Contains, and lists of
// proxies are long (a content delivery network has dozens of prefixes) and are
// asked for each entry of a header.
type prefixSet struct {
	v4 []prefix4
	v6 []prefix6
}

type prefix4 struct{ net, mask uint32 }

type prefix6 struct{ netHi, netLo, maskHi, maskLo uint64 }

// add adds a prefix that normalizePrefix has returned.
func (s *prefixSet) add(p netip.Prefix) {
	if p.Addr().Is4() {
		s.v4 = append(s.v4, prefix4{net: number4(p.Addr()), mask: ^uint32(0) << (32 - p.Bits())})
		return
	}
	var e prefix6
	e.netHi, e.netLo = number6(p.Addr())
	// Shifts by 64 and more give 0, and there are none by less than 0.
	e.maskHi = ^uint64(0) << max(0, 64-p.Bits())
	e.maskLo = ^uint64(0) << min(64, 128-p.Bits())
	s.v6 = append(s.v6, e)
}

// contains reports whether addr, which is unmapped and has no zone, is in one of
// the prefixes.
func (s *prefixSet) contains(addr netip.Addr) bool {
	if addr.Is4() {
		n := number4(addr)
		for i := range s.v4 {
			if n&s.v4[i].mask == s.v4[i].net {
				return true
			}
		}
		return false
	}
	hi, lo := number6(addr)
	for i := range s.v6 {
		e := &s.v6[i]
		if hi&e.maskHi == e.netHi && lo&e.maskLo == e.netLo {
			return true
		}
	}
	return false
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func number6(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}
