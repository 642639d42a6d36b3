package gate

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"
)

// rawRule makes a rule as an agent writes it.
func rawRule(prefix, method, path, header, value string) rule {
	var r rule
	p := netip.MustParsePrefix(prefix)
	bits := p.Bits()
	if p.Addr().Is4() {
		r.is4, bits = 1, bits+96
	}
	r.addr, r.bits = p.Addr().As16(), uint8(bits)
	r.method.n = uint16(copy(r.method.b[:], method))
	r.path.n = uint16(copy(r.path.b[:], path))
	r.header.n = uint16(copy(r.header.b[:], header))
	r.value.n = uint16(copy(r.value.b[:], value))
	return r
}

func boardWith(rs ...rule) *board {
	b := &board{ruleCount: uint32(len(rs))}
	copy(b.rules[:], rs)
	return b
}

func request(addr string) *Request {
	return &Request{
		Client: Client{Addr: netip.MustParseAddr(addr)},
		Method: "GET", Path: "/orders/7", Host: "shop.example",
		Header: http.Header{"X-Debug": {"yes", "no"}, "X-Empty": {""}},
	}
}

func TestRuleMatches(t *testing.T) {
	for _, c := range []struct {
		name string
		rule rule
		addr string
		want bool
	}{
		{"prefix", rawRule("203.0.113.0/24", "", "", "", ""), "203.0.113.7", true},
		{"first address beyond", rawRule("203.0.113.0/24", "", "", "", ""), "203.0.114.0", false},
		{"last address before", rawRule("203.0.113.0/24", "", "", "", ""), "203.0.112.255", false},
		{"host", rawRule("203.0.113.7/32", "", "", "", ""), "203.0.113.7", true},
		{"neighbour", rawRule("203.0.113.7/32", "", "", "", ""), "203.0.113.6", false},
		{"host bits in the rule", rawRule("203.0.113.7/24", "", "", "", ""), "203.0.113.9", true},
		{"IPv6", rawRule("2001:db8::/32", "", "", "", ""), "2001:db8::7", true},
		{"IPv6 rule, IPv4 client", rawRule("2000::/3", "", "", "", ""), "32.1.13.184", false},
		{"IPv6 rule for the mapped space, IPv4 client", rawRule("::ffff:0:0/96", "", "", "", ""), "203.0.113.7", false},
		{"IPv4 rule, IPv6 client", rawRule("203.0.113.0/24", "", "", "", ""), "::203.0.113.7", false},
		{"method", rawRule("203.0.113.0/24", "GET", "", "", ""), "203.0.113.7", true},
		{"other method", rawRule("203.0.113.0/24", "POST", "", "", ""), "203.0.113.7", false},
		{"method in lower case", rawRule("203.0.113.0/24", "get", "", "", ""), "203.0.113.7", false},
		{"method's prefix", rawRule("203.0.113.0/24", "GE", "", "", ""), "203.0.113.7", false},
		{"path prefix", rawRule("203.0.113.0/24", "", "/orders/", "", ""), "203.0.113.7", true},
		{"whole path", rawRule("203.0.113.0/24", "", "/orders/7", "", ""), "203.0.113.7", true},
		{"longer path", rawRule("203.0.113.0/24", "", "/orders/77", "", ""), "203.0.113.7", false},
		{"path inside", rawRule("203.0.113.0/24", "", "orders", "", ""), "203.0.113.7", false},
		{"header", rawRule("203.0.113.0/24", "", "", "X-Debug", "yes"), "203.0.113.7", true},
		{"header not canonical", rawRule("203.0.113.0/24", "", "", "x-debug", "yes"), "203.0.113.7", true},
		{"header's second value", rawRule("203.0.113.0/24", "", "", "X-Debug", "no"), "203.0.113.7", false},
		{"header's prefix", rawRule("203.0.113.0/24", "", "", "X-Debug", "ye"), "203.0.113.7", false},
		{"header missing", rawRule("203.0.113.0/24", "", "", "X-Other", "yes"), "203.0.113.7", false},
		{"header missing, any value", rawRule("203.0.113.0/24", "", "", "X-Other", ""), "203.0.113.7", false},
		{"header there, any value", rawRule("203.0.113.0/24", "", "", "X-Debug", ""), "203.0.113.7", true},
		{"header empty, value wanted", rawRule("203.0.113.0/24", "", "", "X-Empty", "yes"), "203.0.113.7", false},
		{"value without a header", rawRule("203.0.113.0/24", "", "", "", "yes"), "203.0.113.7", true},
		{"host header", rawRule("203.0.113.0/24", "", "", "host", "shop.example"), "203.0.113.7", true},
		{"other host", rawRule("203.0.113.0/24", "", "", "Host", "other.example"), "203.0.113.7", false},
		{"right header, wrong address", rawRule("203.0.113.0/24", "", "", "X-Debug", "yes"), "192.0.2.1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := newRuleSet(0, decodeRules(boardWith(c.rule)))
			q := request(c.addr)
			if got := set.matches(q); got != c.want {
				t.Errorf("matches = %v, want %v", got, c.want)
			}
			if c.want && !set.admits(q.Client.Addr) {
				t.Error("admits refuses what matches")
			}
		})
	}
}

func TestUnknownClientMatchesNothing(t *testing.T) {
	set := newRuleSet(0, decodeRules(boardWith(
		rawRule("0.0.0.0/1", "", "", "", ""), rawRule("::/1", "", "", "", ""))))
	q := request("203.0.113.7")
	q.Client.Addr = netip.Addr{}
	if set.matches(q) || set.admits(q.Client.Addr) {
		t.Error("an unknown client matches")
	}
}

func TestGarbageOnTheBoardMatchesNobody(t *testing.T) {
	good := rawRule("203.0.113.0/24", "GET", "/", "X-Debug", "yes")
	garble := func(f func(*rule)) *board {
		r := good
		f(&r)
		return boardWith(r)
	}
	for _, c := range []struct {
		name  string
		board *board
	}{
		{"no rules", boardWith()},
		{"too many rules", func() *board { b := boardWith(good); b.ruleCount = numRules + 1; return b }()},
		{"absurdly many rules", func() *board { b := boardWith(good); b.ruleCount = 1<<32 - 1; return b }()},
		{"all zero rule", boardWith(rule{})},
		{"all ones", garble(func(r *rule) {
			for i := range unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r)) {
				unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))[i] = 0xff
			}
		})},
		{"all of IPv4", boardWith(rawRule("0.0.0.0/0", "", "", "", ""))},
		{"all of IPv6", boardWith(rawRule("::/0", "", "", "", ""))},
		{"bits too large", garble(func(r *rule) { r.bits = 129 })},
		{"IPv4 with bits of the short form", garble(func(r *rule) { r.bits = 24 })},
		{"IPv4 with an IPv6 address", garble(func(r *rule) { r.addr = netip.MustParseAddr("2001:db8::").As16() })},
		{"neither family", garble(func(r *rule) { r.is4 = 2 })},
		{"method too long", garble(func(r *rule) { r.method.n = 17 })},
		{"path too long", garble(func(r *rule) { r.path.n = 129 })},
		{"header too long", garble(func(r *rule) { r.header.n = 65 })},
		{"value too long", garble(func(r *rule) { r.value.n = 65535 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := newRuleSet(0, decodeRules(c.board))
			for _, addr := range []string{"203.0.113.7", "2001:db8::1", "::1", "255.255.255.255"} {
				if set.matches(request(addr)) {
					t.Errorf("%s matches", addr)
				}
			}
		})
	}
	t.Run("garbage does not hide the good rule", func(t *testing.T) {
		set := newRuleSet(0, decodeRules(boardWith(rule{bits: 200}, good)))
		if !set.matches(request("203.0.113.7")) {
			t.Error("the second rule is gone")
		}
	})
}

func TestRulesOfAnOddGenerationAreNotUsed(t *testing.T) {
	b := boardWith(rawRule("203.0.113.0/24", "", "", "", ""))
	var c ruleCache
	set := c.current(b)
	if !set.matches(request("203.0.113.7")) {
		t.Fatal("generation 0 does not match")
	}
	if c.current(b) != set {
		t.Error("the same generation is decoded twice")
	}
	atomic.StoreUint32(&b.ruleGen, 1)
	b.rules[0] = rawRule("192.0.2.0/24", "", "", "", "")
	if c.current(b) != nil {
		t.Error("rules are used while they are being written")
	}
	atomic.StoreUint32(&b.ruleGen, 2)
	set = c.current(b)
	if set.matches(request("203.0.113.7")) || !set.matches(request("192.0.2.1")) {
		t.Error("the new generation is not used")
	}
}

func TestRulesThatChangeWhileBeingReadAreNotUsed(t *testing.T) {
	b := boardWith(rawRule("203.0.113.0/24", "", "", "", ""))
	var c ruleCache
	atomic.StoreUint32(&b.ruleGen, 4)
	if c.decode(b, 2) != nil || c.decoded.Load() != nil {
		t.Error("a generation that is over was used")
	}
}

// FuzzRule compares decoding and matching with a naive reading of the layout
// and of the address's bits.
func FuzzRule(f *testing.F) {
	add := func(r rule) {
		raw := *(*[unsafe.Sizeof(rule{})]byte)(unsafe.Pointer(&r))
		f.Add(raw[:], []byte{203, 0, 113, 7}, "GET", "/orders/7", "yes")
	}
	add(rawRule("203.0.113.0/24", "GET", "/orders", "X-Debug", "yes"))
	add(rawRule("2001:db8::/32", "", "", "", ""))
	add(rawRule("203.0.113.7/32", strings.Repeat("M", 16), strings.Repeat("/", 128), "", ""))
	add(rule{is4: 1, bits: 95})
	f.Fuzz(func(t *testing.T, raw, addr []byte, method, path, debug string) {
		var r rule
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)), raw)
		ip, ok := netip.AddrFromSlice(addr)
		if !ok {
			ip = netip.AddrFrom4([4]byte{203, 0, 113, 7})
		}
		ip = ip.Unmap()
		q := &Request{Client: Client{Addr: ip}, Method: method, Path: path,
			Header: http.Header{"X-Debug": {debug}}}
		set := newRuleSet(0, decodeRules(boardWith(r)))
		if got, want := set.matches(q), naiveMatch(&r, q, debug); got != want {
			t.Errorf("matches = %v, want %v: rule %+v request %+v", got, want, r, q)
		}
		if set.matches(q) && !set.admits(ip) {
			t.Errorf("admits refuses what matches: rule %+v request %+v", r, q)
		}
		if len(set.rules) > 0 && set.admits(ip) != set.rules[0].prefix.Contains(ip) {
			t.Errorf("admits(%v) is not what %v contains", ip, set.rules[0].prefix)
		}
	})
}

// naiveMatch says what a rule means, reading the layout byte by byte.
func naiveMatch(r *rule, q *Request, debug string) bool {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
	text := func(at, size uintptr) (string, bool) {
		n := uintptr(binary.LittleEndian.Uint16(raw[at:]))
		if n > size {
			return "", false
		}
		return string(raw[at+2 : at+2+n]), true
	}
	method, ok1 := text(unsafe.Offsetof(r.method), 16)
	path, ok2 := text(unsafe.Offsetof(r.path), 128)
	header, ok3 := text(unsafe.Offsetof(r.header), 64)
	value, ok4 := text(unsafe.Offsetof(r.value), 128)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return false
	}
	is4, bits, min := raw[17], int(raw[16]), 0
	mapped := string(raw[:12]) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"
	if is4 == 1 {
		min = 96
	}
	if is4 > 1 || is4 == 1 && !mapped || bits <= min || bits > 128 || (is4 == 1) != q.Client.Addr.Is4() {
		return false
	}
	client := q.Client.Addr.As16()
	for i := range bits {
		if (raw[i/8]^client[i/8])&(0x80>>(i%8)) != 0 {
			return false
		}
	}
	if method != "" && method != q.Method || !strings.HasPrefix(q.Path, path) {
		return false
	}
	switch {
	case header == "":
		return true
	case strings.EqualFold(header, "x-debug"):
		return value == "" || value == debug
	case strings.EqualFold(header, "host"):
		return q.Host != "" && value == q.Host
	}
	return false
}
