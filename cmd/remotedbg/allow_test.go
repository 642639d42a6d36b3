package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseAllow(t *testing.T) {
	tests := []struct {
		name  string
		value string
		want  string // prefix, if it is right
		text  string // part of the mistake, if it is wrong
		hint  string // part of its hint
	}{
		{name: "bare IPv4 address", value: "203.0.113.7", want: "203.0.113.7/32"},
		{name: "bare IPv6 address", value: "2001:db8::7", want: "2001:db8::7/128"},
		{name: "IPv4 network", value: "10.1.0.0/16", want: "10.1.0.0/16"},
		{name: "IPv6 network", value: "2001:db8::/32", want: "2001:db8::/32"},
		{name: "IPv4 host as prefix", value: "10.1.2.3/32", want: "10.1.2.3/32"},
		{name: "mapped address", value: "::ffff:10.1.2.3", want: "10.1.2.3/32"},
		{name: "mapped network", value: "::ffff:10.1.0.0/112", want: "10.1.0.0/16"},
		{name: "shortest IPv4 network", value: "128.0.0.0/1", want: "128.0.0.0/1"},

		{name: "everybody on IPv4", value: "0.0.0.0/0", text: "every client", hint: "name the addresses"},
		{name: "everybody on IPv6", value: "::/0", text: "every client", hint: "name the addresses"},
		{name: "everybody on IPv4, mapped", value: "::ffff:0.0.0.0/96", text: "every client"},
		{name: "everybody, from an address", value: "203.0.113.7/0", text: "every client"},
		{name: "mapped beyond IPv4", value: "::ffff:0.0.0.0/80", text: "more than the IPv4", hint: "as IPv4"},
		{name: "host bits", value: "10.1.2.3/16", text: "bits set", hint: "write 10.1.0.0/16 for the network or 10.1.2.3 for"},
		{name: "host bits IPv6", value: "2001:db8::7/64", text: "bits set", hint: "write 2001:db8::/64"},
		{name: "host bits, mapped", value: "::ffff:10.1.2.3/112", text: "bits set", hint: "write 10.1.0.0/16"},
		{name: "zone", value: "fe80::1%eth0", text: "zone (eth0)", hint: "write fe80::1"},
		{name: "zone in a prefix", value: "fe80::%eth0/64", text: "zone", hint: "write fe80::/64"},
		{name: "list", value: "10.0.0.1,10.0.0.2", text: "not one address", hint: "--allow once for each"},
		{name: "host name", value: "localhost", text: "not an IP address", hint: "names are not looked up"},
		{name: "empty", value: "", text: "not an IP address"},
		{name: "leading zeros", value: "010.0.0.1", text: "not an IP address"},
		{name: "too long", value: "10.0.0.0/33", text: "not a prefix length", hint: "1 to 32"},
		{name: "negative", value: "10.0.0.0/-1", text: "not a prefix length"},
		{name: "netmask", value: "10.0.0.0/255.0.0.0", text: "not a prefix length"},
		{name: "length missing", value: "10.0.0.0/", text: "not a prefix length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ms mistakes
			got := parseAllow([]string{tt.value}, &ms)
			if tt.want != "" {
				if len(ms) != 0 || !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix(tt.want)}) {
					t.Fatalf("got %v, mistakes %v; want %s", got, ms, tt.want)
				}
				return
			}
			if len(got) != 0 || len(ms) != 1 {
				t.Fatalf("got %v, mistakes %v; want one mistake", got, ms)
			}
			if !strings.Contains(ms[0].text, "--allow "+tt.value+": ") || !strings.Contains(ms[0].text, tt.text) || !strings.Contains(ms[0].hint, tt.hint) {
				t.Errorf("mistake %q, hint %q; want %q, %q", ms[0].text, ms[0].hint, tt.text, tt.hint)
			}
			if ms[0].hint == "" {
				t.Error("no hint")
			}
		})
	}
}

// The prefixes that are right are kept beside those that are wrong, once each.
func TestParseAllowSeveral(t *testing.T) {
	var ms mistakes
	got := parseAllow([]string{"10.0.0.1", "bad", "::ffff:10.0.0.1", "0.0.0.0/0", "::1"}, &ms)
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("::1/128")}
	if !slices.Equal(got, want) || len(ms) != 2 {
		t.Errorf("got %v, mistakes %v; want %v and two mistakes", got, ms, want)
	}
}

// FuzzParseAllow checks what the gate relies on against a naive reference: a
// prefix that is accepted is one that net/netip reads the same, masked,
// unmapped, without zone and not everybody.
func FuzzParseAllow(f *testing.F) {
	for _, seed := range []string{"10.1.0.0/16", "::ffff:1.2.3.4/120", "fe80::1%eth0", "::/0", "1.2.3.4/00", "::ffff:0:0/96"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var ms mistakes
		got := parseAllow([]string{value}, &ms)
		if len(got)+len(ms) != 1 {
			t.Fatalf("%q: %d prefixes and %d mistakes, want one of either", value, len(got), len(ms))
		}
		if len(got) == 0 {
			return
		}
		p := got[0]
		if !p.IsValid() || p.Bits() == 0 || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Fatalf("%q: accepted as %v", value, p)
		}
		addr, _, _ := strings.Cut(value, "/")
		if !p.Contains(netip.MustParseAddr(addr).Unmap()) {
			t.Fatalf("%q: %v does not contain its own address", value, p)
		}
	})
}
