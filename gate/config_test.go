package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNewRefusesPrefixes(t *testing.T) {
	for _, c := range []struct {
		name   string
		prefix netip.Prefix
		reason PrefixReason
		hint   string
	}{
		{"zero value", netip.Prefix{}, PrefixInvalid, ""},
		{"bits beyond the address", netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33), PrefixInvalid, ""},
		{"host bits IPv4", netip.MustParsePrefix("203.0.113.7/24"), PrefixHostBits, "203.0.113.0/24 for the network or 203.0.113.7/32 for the host"},
		{"host bits IPv6", netip.MustParsePrefix("2001:db8::7/64"), PrefixHostBits, "2001:db8::7/128"},
		{"host bits IPv4-mapped", netip.MustParsePrefix("::ffff:203.0.113.7/120"), PrefixHostBits, ""},
		{"all of IPv4", netip.MustParsePrefix("0.0.0.0/0"), PrefixEverybody, "leave Allow empty"},
		{"all of IPv6", netip.MustParsePrefix("::/0"), PrefixEverybody, ""},
		{"all of IPv4, mapped", netip.MustParsePrefix("::ffff:0.0.0.0/96"), PrefixEverybody, ""},
		{"mapped and beyond", netip.MustParsePrefix("::ffff:0.0.0.0/90"), PrefixMixedSpace, "97 bits"},
	} {
		for field, cfg := range map[string]Config{
			"Allow":          {Allow: []netip.Prefix{c.prefix}},
			"TrustedProxies": {TrustedProxies: []netip.Prefix{c.prefix}, Source: FromXForwardedFor()},
		} {
			t.Run(field+"/"+c.name, func(t *testing.T) {
				g, err := New(cfg)
				var pe *PrefixError
				if g != nil || !errors.As(err, &pe) || pe.Field != field || pe.Reason != c.reason || pe.Index != 0 || pe.Prefix != c.prefix {
					t.Fatalf("New = %v, %v; want a PrefixError with reason %q", g, err, c.reason)
				}
				hint := c.hint
				if field != "Allow" && c.reason == PrefixEverybody {
					hint = "name the proxies"
				}
				if !strings.HasPrefix(err.Error(), "remotedbg: gate: "+field+"[0]") || !strings.Contains(err.Error(), hint) {
					t.Errorf("message %q, want the hint %q in it", err, hint)
				}
				if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 1 {
					t.Errorf("%d mistakes, want one: %v", n, err)
				}
			})
		}
	}
}

func TestNewRefusesSources(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	for _, c := range []struct {
		name   string
		cfg    Config
		reason SourceReason
		text   string
	}{
		{"a header and nobody to believe", Config{Source: FromXForwardedFor()}, SourceNoProxies, "Source: X-Forwarded-For needs trusted proxies"},
		{"a single header and nobody to believe", Config{Source: FromHeader("x-real-ip")}, SourceNoProxies, "X-Real-Ip needs"},
		{"proxies and nothing to believe", Config{TrustedProxies: proxies}, SourceMissing, "Source is missing"},
		{"unix sockets and nothing to believe", Config{TrustUnix: true}, SourceMissing, "Source is missing"},
		{"proxies and the peer from the connection", Config{TrustedProxies: proxies, PeerFromConn: true}, SourceMissing, "Source is missing"},
		{"no name", Config{TrustedProxies: proxies, Source: FromHeader("")}, SourceInvalidName, `""`},
		{"name with a space", Config{TrustedProxies: proxies, Source: FromHeader("X-Real Ip")}, SourceInvalidName, `"X-Real Ip"`},
		{"name with a colon", Config{TrustedProxies: proxies, Source: FromHeader("X-Real-Ip:")}, SourceInvalidName, "use letters"},
		{"name with a line break", Config{TrustedProxies: proxies, Source: FromHeader("X-Real-Ip\r\n")}, SourceInvalidName, `\r\n`},
		{"name with a letter of another script", Config{TrustedProxies: proxies, Source: FromHeader("X-R\u0435al-Ip")}, SourceInvalidName, "use letters"},
		{"two names", Config{TrustedProxies: proxies, Source: FromHeader("X-Real-Ip,X-Client-Ip")}, SourceInvalidName, "use letters"},
		{"a list", Config{TrustedProxies: proxies, Source: FromHeader("X-Forwarded-For")}, SourceList, "FromXForwardedFor"},
		{"a list in other case", Config{TrustedProxies: proxies, Source: FromHeader("x-FORWARDED-for")}, SourceList, "FromXForwardedFor"},
		{"the list of RFC 7239", Config{TrustedProxies: proxies, Source: FromHeader("forwarded")}, SourceList, "FromForwarded"},
		{"a list that was kept as it came", Config{TrustedProxies: proxies, Source: FromHeader("X-Original-Forwarded-For")}, SourceList, "not a header with a single address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := New(c.cfg)
			var se *SourceError
			if g != nil || !errors.As(err, &se) || se.Reason != c.reason || se.Source != c.cfg.Source {
				t.Fatalf("New = %v, %v; want a SourceError with reason %q", g, err, c.reason)
			}
			if !strings.HasPrefix(err.Error(), "remotedbg: gate: Source") || !strings.Contains(err.Error(), c.text) {
				t.Errorf("message %q, want %q in it", err, c.text)
			}
			if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 1 {
				t.Errorf("%d mistakes, want one: %v", n, err)
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.0.0/16")}
	for name, cfg := range map[string]Config{
		"nothing":                      {},
		"a header":                     {TrustedProxies: proxies, Source: FromHeader("CF-Connecting-IP")},
		"unix sockets alone":           {TrustUnix: true, Source: FromForwarded()},
		"everything":                   {Allow: proxies, TrustedProxies: proxies, TrustUnix: true, PeerFromConn: true, Source: FromXForwardedFor()},
		"the peer from the connection": {PeerFromConn: true},
	} {
		if g, err := New(cfg); g == nil || err != nil {
			t.Errorf("%s: New = %v, %v", name, g, err)
		}
	}
}

func TestNewJoinsAllMistakes(t *testing.T) {
	prefixes := []netip.Prefix{
		netip.MustParsePrefix("203.0.113.7/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		{},
		netip.MustParsePrefix("::/0"),
	}
	_, err := New(Config{Allow: prefixes, TrustedProxies: prefixes[2:], Source: FromHeader("X Real Ip")})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("New = %v, want all mistakes", err)
	}
	var got []string
	for _, err := range joined.Unwrap() {
		var pe *PrefixError
		var se *SourceError
		switch {
		case errors.As(err, &pe):
			got = append(got, fmt.Sprintf("%s[%d] %s", pe.Field, pe.Index, pe.Reason))
		case errors.As(err, &se):
			got = append(got, string(se.Reason))
		default:
			t.Errorf("%v is of no type that a program can tell", err)
		}
	}
	want := []string{
		"Allow[0] has host bits set", "Allow[2] not a valid prefix", "Allow[3] admits every address of its family",
		"TrustedProxies[0] not a valid prefix", "TrustedProxies[1] admits every address of its family",
		"is not a valid header name",
	}
	if !slices.Equal(got, want) {
		t.Errorf("mistakes %q, want %q", got, want)
	}
}

func TestClientSource(t *testing.T) {
	for s, want := range map[ClientSource]string{
		{}: "direct peer", FromXForwardedFor(): "X-Forwarded-For", FromForwarded(): "Forwarded", FromHeader("cf-connecting-ip"): "Cf-Connecting-Ip",
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

// TestPrefixSet compares the set with netip for every length of prefix.
func TestPrefixSet(t *testing.T) {
	for _, base := range []string{"203.0.113.77", "2001:db8:a5a5:5a5a:c3c3:3c3c:f00f:1234"} {
		addr := netip.MustParseAddr(base)
		for bits := 1; bits <= addr.BitLen(); bits++ {
			p := netip.PrefixFrom(addr, bits).Masked()
			var s prefixSet
			s.add(p)
			for flip := range addr.BitLen() {
				raw := addr.AsSlice()
				raw[flip/8] ^= 0x80 >> (flip % 8)
				other, _ := netip.AddrFromSlice(raw)
				if s.contains(other) != p.Contains(other) {
					t.Errorf("%v in %v is %v", other, p, s.contains(other))
				}
			}
			if !s.contains(addr) {
				t.Errorf("%v is not in %v", addr, p)
			}
		}
	}
	var s prefixSet
	s.add(netip.MustParsePrefix("::/1"))
	if s.contains(netip.MustParseAddr("10.1.0.1")) {
		t.Error("IPv4 is in a prefix of IPv6")
	}
}

func TestCeiling(t *testing.T) {
	ceiling := []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("::ffff:198.51.100.0/120"),
		netip.MustParsePrefix("2001:db8::/32"),
	}
	g, err := New(Config{Allow: ceiling})
	if err != nil {
		t.Fatal(err)
	}
	ceiling[0] = netip.MustParsePrefix("192.0.2.0/24") // New keeps a copy
	for addr, want := range map[string]bool{
		"203.0.113.7":          true,
		"203.0.114.7":          false,
		"198.51.100.9":         true,
		"2001:db8::1":          true,
		"2001:db9::1":          false,
		"192.0.2.1":            false,
		"::ffff:203.0.113.7":   false, // clients are unmapped before
		"::203.0.113.7":        false,
		"64:ff9b::203.0.113.7": false,
	} {
		if got := g.underCeiling(netip.MustParseAddr(addr)); got != want {
			t.Errorf("underCeiling(%s) = %v, want %v", addr, got, want)
		}
	}
	if g.underCeiling(netip.Addr{}) {
		t.Error("an unknown client is under the ceiling")
	}
	var zero Gate
	if !zero.underCeiling(netip.MustParseAddr("192.0.2.1")) {
		t.Error("the zero Gate has a ceiling")
	}
}
