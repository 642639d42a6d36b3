package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware"
)

// BenchmarkOverhead measures what the middleware adds to calling the handler.
// Handler and middleware take turns, in batches of a few microseconds, so that a
// machine that is busy with other things disturbs both alike; the median of the
// differences is reported as ns-over-direct/op, beside a control, which is the
// handler against itself. ns/op counts both and means nothing.
func BenchmarkOverhead(b *testing.B) {
	var direct http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	wrapped := middleware.Handler(direct)
	b.Run("control", func(b *testing.B) { overhead(b, direct, direct) })
	b.Run("disarmed", func(b *testing.B) { overhead(b, direct, wrapped) })
	b.Run("armed-no-match", func(b *testing.B) {
		gatetest.Arm(b, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")})
		overhead(b, direct, wrapped)
	})
	b.Run("armed-no-match-16-rules", func(b *testing.B) {
		rules := make([]gatetest.Rule, 16)
		for i := range rules {
			addr := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
			rules[i] = gatetest.Rule{Prefix: netip.PrefixFrom(addr, 32), Method: "POST"}
		}
		gatetest.Arm(b, rules...)
		overhead(b, direct, wrapped)
	})
}

func overhead(b *testing.B, direct, wrapped http.Handler) {
	const batch = 500
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/orders/7", nil)
	r.RemoteAddr = "198.51.100.23:51234"
	run := func(h http.Handler) time.Duration {
		start := time.Now()
		for range batch {
			h.ServeHTTP(w, r)
		}
		return time.Since(start)
	}
	diffs := make([]time.Duration, 0, b.N/batch+1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		base := run(direct)
		diffs = append(diffs, run(wrapped)-base)
	}
	b.StopTimer()
	slices.Sort(diffs)
	b.ReportMetric(float64(diffs[len(diffs)/2])/batch, "ns-over-direct/op")
}
