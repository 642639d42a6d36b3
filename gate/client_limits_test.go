package gate_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

// TestHeaderLimits: the bounds hold for all field lines together and for
// what the walk would not reach, since it is the client who fills that.
func TestHeaderLimits(t *testing.T) {
	repeat := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s, n), ",") }
	pad := func(s string, n int) string { return strings.Repeat(" ", n-len(s)) + s }
	const known = "192.0.2.10"
	for _, c := range []struct {
		name   string
		source gate.ClientSource
		lines  []string
		reason string
	}{
		{"32 entries", gate.FromXForwardedFor(), []string{known + "," + repeat("10.1.0.2,", 31)}, gate.ReasonXForwardedFor},
		{"33 entries", gate.FromXForwardedFor(), []string{known + "," + repeat("10.1.0.2,", 32)}, gate.ReasonXForwardedForTooLong},
		{"33 entries, the right one is the client", gate.FromXForwardedFor(), []string{repeat("a,", 32) + "," + known}, gate.ReasonXForwardedForTooLong},
		{"32 lines", gate.FromXForwardedFor(), append(strings.Split(repeat("10.1.0.2,", 31), ","), known), gate.ReasonXForwardedFor},
		{"33 lines", gate.FromXForwardedFor(), append(strings.Split(repeat("10.1.0.2,", 32), ","), known), gate.ReasonXForwardedForTooLong},
		{"33 entries in two lines", gate.FromXForwardedFor(), []string{repeat("10.1.0.2,", 16), repeat("10.1.0.2,", 16) + "," + known}, gate.ReasonXForwardedForTooLong},
		{"4096 bytes", gate.FromXForwardedFor(), []string{pad(known, 4096)}, gate.ReasonXForwardedFor},
		{"4097 bytes", gate.FromXForwardedFor(), []string{pad(known, 4097)}, gate.ReasonXForwardedForTooLong},
		{"4096 bytes in two lines", gate.FromXForwardedFor(), []string{pad("", 2000), pad(known, 2095)}, gate.ReasonXForwardedFor},
		{"4097 bytes in two lines", gate.FromXForwardedFor(), []string{pad("", 2000), pad(known, 2096)}, gate.ReasonXForwardedForTooLong},
		{"long garbage to the left", gate.FromXForwardedFor(), []string{strings.Repeat("a", 5000), known}, gate.ReasonXForwardedForTooLong},
		{"one long entry", gate.FromXForwardedFor(), []string{strings.Repeat("1", 4000)}, gate.ReasonXForwardedForNoAddress},
		{"a megabyte", gate.FromXForwardedFor(), []string{strings.Repeat(",", 1<<20)}, gate.ReasonXForwardedForTooLong},

		{"32 elements", gate.FromForwarded(), []string{"for=" + known + "," + repeat("for=10.1.0.2,", 31)}, gate.ReasonForwarded},
		{"33 elements", gate.FromForwarded(), []string{"for=" + known + "," + repeat("for=10.1.0.2,", 32)}, gate.ReasonForwardedTooLong},
		{"33 elements, the right one is the client", gate.FromForwarded(), []string{repeat("a,", 32) + ",for=" + known}, gate.ReasonForwardedTooLong},
		{"33 lines of Forwarded", gate.FromForwarded(), append(strings.Split(repeat("for=10.1.0.2,", 32), ","), "for="+known), gate.ReasonForwardedTooLong},
		{"40 quoted commas are one element", gate.FromForwarded(), []string{`for=` + known + `;x="` + strings.Repeat(",", 40) + `"`}, gate.ReasonForwarded},
		{"Forwarded of 4096 bytes", gate.FromForwarded(), []string{pad("for="+known, 4096)}, gate.ReasonForwarded},
		{"Forwarded of 4097 bytes", gate.FromForwarded(), []string{pad("for="+known, 4097)}, gate.ReasonForwardedTooLong},

		{"single header of 4096 bytes", gate.FromHeader("X-Real-Ip"), []string{pad(known, 4096)}, gate.ReasonHeader},
		{"single header of 4097 bytes", gate.FromHeader("X-Real-Ip"), []string{pad(known, 4097)}, gate.ReasonHeaderNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := gate.New(gate.Config{TrustedProxies: proxyPrefixes, Source: c.source})
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{RemoteAddr: "10.1.0.1:5000", Header: http.Header{c.source.String(): c.lines}}
			got := g.Client(r)
			if got.Reason != c.reason || got.Addr.IsValid() && got.Addr.String() != known {
				t.Errorf("Client = %v %q, want %q", got.Addr, got.Reason, c.reason)
			}
			if n := testing.AllocsPerRun(10, func() { g.Client(r) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

var proxyPrefixes = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12:3456::/32")}
