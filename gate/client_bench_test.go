package gate_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

// BenchmarkClient is what finding the client costs an armed gate; "peer" is the
// control. Three hops with X-Forwarded-For must stay below 200 ns.
func BenchmarkClient(b *testing.B) {
	many := append([]netip.Prefix{}, proxyPrefixes...)
	for i := range 40 { // about as many as a content delivery network has
		many = append(many, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i), 0}), 24))
	}
	const three = "192.0.2.10, 10.1.0.2, 10.1.0.3"
	for _, c := range []struct {
		name, peer, value string
		cfg               gate.Config
	}{
		{"peer", "10.1.0.1:51234", three, gate.Config{}},
		{"peer-from-conn", "10.1.0.1:51234", three, gate.Config{PeerFromConn: true}},
		{"stranger", "198.51.100.20:51234", three, gate.Config{Source: gate.FromXForwardedFor()}},
		{"x-forwarded-for-1", "10.1.0.1:51234", "192.0.2.10", gate.Config{Source: gate.FromXForwardedFor()}},
		{"x-forwarded-for-3", "10.1.0.1:51234", three, gate.Config{Source: gate.FromXForwardedFor()}},
		{"x-forwarded-for-3-many-prefixes", "10.1.0.1:51234", three, gate.Config{Source: gate.FromXForwardedFor(), TrustedProxies: many}},
		{"x-forwarded-for-3-ipv6", "[fd12:3456::1]:51234", "2001:db8:5::10, fd12:3456::2, fd12:3456::3", gate.Config{Source: gate.FromXForwardedFor()}},
		{"x-forwarded-for-garbage", "10.1.0.1:51234", "192.0.2.10, what", gate.Config{Source: gate.FromXForwardedFor()}},
		{"forwarded-3", "10.1.0.1:51234", "for=192.0.2.10;proto=https, for=10.1.0.2, for=10.1.0.3", gate.Config{Source: gate.FromForwarded()}},
		{"forwarded-3-quoted", "10.1.0.1:51234", `for="[2001:db8:5::10]:443";host="shop.example", for="[fd12:3456::2]", for="[fd12:3456::3]"`, gate.Config{Source: gate.FromForwarded()}},
		{"header", "10.1.0.1:51234", "192.0.2.10", gate.Config{Source: gate.FromHeader("X-Real-Ip")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			if c.cfg.Source != (gate.ClientSource{}) && c.cfg.TrustedProxies == nil {
				c.cfg.TrustedProxies = proxyPrefixes
			}
			g, err := gate.New(c.cfg)
			if err != nil {
				b.Fatal(err)
			}
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{c.cfg.Source.String(): {c.value}}}
			if c.cfg.PeerFromConn {
				r = r.WithContext(gate.ConnContext(context.Background(), &peerConn{remote: textAddr(c.peer)}))
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Client(r)
			}
		})
	}
}
