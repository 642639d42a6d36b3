package gate

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	for _, c := range []struct {
		name, remote, addr, reason string
	}{
		{"IPv4", "203.0.113.7:4711", "203.0.113.7", ReasonDirectPeer},
		{"IPv4, shortest", "1.2.3.4:5", "1.2.3.4", ReasonDirectPeer},
		{"IPv4, extremes", "255.255.255.255:65535", "255.255.255.255", ReasonDirectPeer},
		{"port zero", "192.0.2.0:0", "192.0.2.0", ReasonDirectPeer},
		{"unspecified IPv4, which fasthttp gives for no address", "0.0.0.0:0", "", ReasonUnspecified},
		{"unspecified IPv6", "[::]:80", "", ReasonUnspecified},
		{"unspecified, mapped", "[::ffff:0.0.0.0]:80", "", ReasonUnspecified},
		{"IPv6", "[2001:db8::7]:4711", "2001:db8::7", ReasonDirectPeer},
		{"IPv4-mapped", "[::ffff:203.0.113.7]:4711", "203.0.113.7", ReasonDirectPeer},
		{"IPv4-mapped in hexadecimal", "[::ffff:cb00:7107]:4711", "203.0.113.7", ReasonDirectPeer},
		{"IPv4-compatible is IPv6", "[::203.0.113.7]:4711", "::203.0.113.7", ReasonDirectPeer},
		{"zone", "[fe80::1%eth0]:4711", "", ReasonZone},
		{"zone on an IPv4-mapped address", "[::ffff:203.0.113.7%1]:4711", "", ReasonZone},
		{"empty", "", "", ReasonNotIPAndPort},
		{"unix socket", "@", "", ReasonNotIPAndPort},
		{"overwritten from a header", "203.0.113.7", "", ReasonNotIPAndPort},
		{"overwritten from a list", "203.0.113.7, 10.0.0.1:80", "", ReasonNotIPAndPort},
		{"empty zone", "[fe80::1%]:80", "", ReasonNotIPAndPort},
		{"IPv4 in brackets", "[203.0.113.7]:80", "", ReasonNotIPAndPort},
		{"IPv6 without brackets", "2001:db8::7:80", "", ReasonNotIPAndPort},
		{"IPv6 without a port", "[2001:db8::7]", "", ReasonNotIPAndPort},
		{"port of six digits", "203.0.113.7:000080", "", ReasonNotIPAndPort},
		{"host name", "localhost:80", "", ReasonNotIPAndPort},
		{"octal", "0203.0.113.7:80", "", ReasonNotIPAndPort},
		{"leading zero", "203.00.113.7:80", "", ReasonNotIPAndPort},
		{"field too large", "203.0.113.256:80", "", ReasonNotIPAndPort},
		{"field far too large", "203.0.113.4294967303:80", "", ReasonNotIPAndPort},
		{"three fields", "203.0.113:80", "", ReasonNotIPAndPort},
		{"five fields", "203.0.113.7.1:80", "", ReasonNotIPAndPort},
		{"no port", "203.0.113.7:", "", ReasonNotIPAndPort},
		{"port too large", "203.0.113.7:65536", "", ReasonNotIPAndPort},
		{"named port", "203.0.113.7:http", "", ReasonNotIPAndPort},
		{"leading space", " 203.0.113.7:80", "", ReasonNotIPAndPort},
		{"trailing newline", "203.0.113.7:80\n", "", ReasonNotIPAndPort},
		{"digits of another script", "２03.0.113.7:80", "", ReasonNotIPAndPort},
		{"very long", strings.Repeat("1", 1<<16), "", ReasonNotIPAndPort},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.remote, Header: http.Header{
				"X-Forwarded-For": {"192.0.2.66"}, "X-Real-Ip": {"192.0.2.66"}, "Forwarded": {"for=192.0.2.66"},
			}}
			want := Client{Reason: c.reason}
			if c.addr != "" {
				want.Addr = netip.MustParseAddr(c.addr)
			}
			for _, g := range []*Gate{nil, {}} {
				if got := g.Client(r); got != want {
					t.Errorf("Client = %v %q, want %v %q", got.Addr, got.Reason, want.Addr, want.Reason)
				}
			}
			if r.RemoteAddr != c.remote {
				t.Errorf("RemoteAddr was changed to %q", r.RemoteAddr)
			}
		})
	}
}

func TestClientOfNoRequest(t *testing.T) {
	var g Gate
	if got := g.Client(nil); got.Addr.IsValid() || got.Reason != ReasonNoRequest {
		t.Errorf("Client(nil) = %v", got)
	}
}

// FuzzPeer compares Peer with netip.
func FuzzPeer(f *testing.F) {
	for _, s := range []string{"203.0.113.7:4711", "1.2.3.4:5", "01.2.3.4:5", "[::1]:80", "[fe80::1%e]:80", "1.2.3:4",
		"1.2.3.4.5:6", "9.9.9.9:65536", "300.1.1.1:1", "[::ffff:1.2.3.4]:1", "[1:2:3:4:5:6:7:8]:9", "[1::8]:9", "[::1:2:3:4:5:6:7:8]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want netip.Addr
		ap, err := netip.ParseAddrPort(s)
		// netip takes "00000000080" for a port; net.TCPAddr does not write that.
		if err == nil && len(s)-strings.LastIndexByte(s, ':')-1 <= 5 {
			want = usable(ap.Addr())
		}
		if got := Peer(s); got.Addr != want || (got.Reason == ReasonDirectPeer) != want.IsValid() {
			t.Errorf("Peer(%q) = %v %q, want %v", s, got.Addr, got.Reason, want)
		}
	})
}

// FuzzAddress compares parse6 and scan4 with netip.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8:9",
		"::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "::01.2.3.4", "12345::", ":1::2", "1::2::3", "2001:DB8::A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, err := netip.ParseAddr(s)
		var want netip.Addr
		if err == nil {
			want = usable(addr)
		}
		if got, ok := parseNode(s, true); ok != want.IsValid() && !withPort(s) || ok && got != want && !withPort(s) {
			t.Errorf("parseNode(%q) = %v, %v; want %v", s, got, ok, want)
		}
	})
}

// withPort reports whether s has a form of address that netip.ParseAddr does
// not read.
func withPort(s string) bool {
	if strings.HasPrefix(s, "[") {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil
}

// usable is addr as rules see it, or no address.
func usable(addr netip.Addr) netip.Addr {
	if addr.Zone() != "" || addr.Unmap().IsUnspecified() {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func TestClientDoesNotAllocate(t *testing.T) {
	var g Gate
	for remote, known := range map[string]bool{
		"203.0.113.7:4711": true, "[2001:db8::7]:4711": true, "[::ffff:203.0.113.7]:4711": true,
		"203.0.113.7:65536": false, "[fe80::1%eth0]:80": false, "localhost:80": false, "[2001:db8::g]:80": false,
	} {
		r := &http.Request{RemoteAddr: remote}
		if n := testing.AllocsPerRun(200, func() {
			if g.Client(r).Addr.IsValid() != known {
				t.Errorf("%s: known is not %v", remote, known)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", remote, n)
		}
	}
}
