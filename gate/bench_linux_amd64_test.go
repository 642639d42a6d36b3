package gate

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

func BenchmarkPeer(b *testing.B) {
	for _, s := range []string{"203.0.113.7:51234", "[2001:db8::7]:51234"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c := Peer(s); !c.Addr.IsValid() {
					b.Fatal(c.Reason)
				}
			}
		})
	}
}

// BenchmarkNoMatch is what an armed gate costs requests that match no rule.
func BenchmarkNoMatch(b *testing.B) {
	for _, n := range []int{1, 4, numRules} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			var rs []gatetest.Rule
			for i := range n {
				addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
				rs = append(rs, gatetest.Rule{Prefix: netip.PrefixFrom(addr, 32)})
			}
			gatetest.Arm(b, rs...)
			var g Gate
			r := httpRequest("203.0.113.7:51234")
			b.ReportAllocs()
			for b.Loop() {
				if g.EnterHTTP(r, "").Trapped() {
					b.Fatal("trapped")
				}
			}
		})
	}
}
