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
		{"IPv4, zeros", "0.0.0.0:0", "0.0.0.0", ReasonDirectPeer},
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

func TestClientUsesTheResolver(t *testing.T) {
	g := &Gate{resolve: func(peer Client, h Header) Client {
		return Client{Addr: netip.MustParseAddr(h.Values("X-Test")[0]), Reason: "behind " + peer.Addr.String()}
	}}
	got := g.Client(&http.Request{RemoteAddr: "203.0.113.7:1", Header: http.Header{"X-Test": {"192.0.2.1"}}})
	if got.Addr.String() != "192.0.2.1" || got.Reason != "behind 203.0.113.7" {
		t.Errorf("Client = %v", got)
	}
}

// FuzzPeer compares Peer, with its parser for the common case, with netip alone.
func FuzzPeer(f *testing.F) {
	for _, s := range []string{"203.0.113.7:4711", "1.2.3.4:5", "01.2.3.4:5", "[::1]:80", "[fe80::1%e]:80", "1.2.3:4", "1.2.3.4.5:6", "9.9.9.9:65536", "300.1.1.1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want netip.Addr
		if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Zone() == "" {
			want = ap.Addr().Unmap()
		}
		if got := Peer(s); got.Addr != want || (got.Reason == ReasonDirectPeer) != want.IsValid() {
			t.Errorf("Peer(%q) = %v %q, want %v", s, got.Addr, got.Reason, want)
		}
	})
}

func TestClientDoesNotAllocate(t *testing.T) {
	var g Gate
	for _, remote := range []string{"203.0.113.7:4711", "[2001:db8::7]:4711", "[::ffff:203.0.113.7]:4711"} {
		r := &http.Request{RemoteAddr: remote}
		if n := testing.AllocsPerRun(200, func() {
			if !g.Client(r).Addr.IsValid() {
				t.Error("unknown client")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", remote, n)
		}
	}
}
