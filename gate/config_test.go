package gate

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestNewRefusesMistakes(t *testing.T) {
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
		t.Run(c.name, func(t *testing.T) {
			g, err := New(Config{Allow: []netip.Prefix{c.prefix}})
			var pe *PrefixError
			if g != nil || !errors.As(err, &pe) || pe.Reason != c.reason || pe.Index != 0 || pe.Prefix != c.prefix {
				t.Fatalf("New = %v, %v; want a PrefixError with reason %q", g, err, c.reason)
			}
			if !strings.HasPrefix(err.Error(), "remotedbg: gate: Allow[0]") || !strings.Contains(err.Error(), c.hint) {
				t.Errorf("message %q, want the hint %q in it", err, c.hint)
			}
		})
	}
}

func TestNewJoinsAllMistakes(t *testing.T) {
	_, err := New(Config{Allow: []netip.Prefix{
		netip.MustParsePrefix("203.0.113.7/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		{},
		netip.MustParsePrefix("::/0"),
	}})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Fatalf("New = %v, want three mistakes", err)
	}
	for i, want := range []int{0, 2, 3} {
		var pe *PrefixError
		if !errors.As(joined.Unwrap()[i], &pe) || pe.Index != want {
			t.Errorf("mistake %d is %v, want one about Allow[%d]", i, joined.Unwrap()[i], want)
		}
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
