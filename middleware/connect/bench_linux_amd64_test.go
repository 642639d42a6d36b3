package connectgate_test

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	connectgate "github.com/remotedbg/remotedbg/middleware/connect"
)

// received is a request as Connect's handlers hand it to interceptors.
type received struct{ connect.AnyRequest }

var header = http.Header{"Host": {"shop"}, "Content-Type": {"application/proto"}}

func (received) HTTPMethod() string  { return "POST" }
func (received) Spec() connect.Spec  { return connect.Spec{Procedure: "/test.Echo/Unary"} }
func (received) Peer() connect.Peer  { return connect.Peer{Addr: "198.51.100.23:51234"} }
func (received) Header() http.Header { return header }

func handle(context.Context, connect.AnyRequest) (connect.AnyResponse, error) { return nil, nil }

func TestDisarmedDoesNotAllocate(t *testing.T) {
	i := connectgate.New(new(gate.Gate))
	u := i.WrapUnary(handle)
	s := i.WrapStreamingHandler(func(context.Context, connect.StreamingHandlerConn) error { return nil })
	ctx, req := t.Context(), connect.AnyRequest(received{})
	if n := testing.AllocsPerRun(500, func() { u(ctx, req); s(ctx, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkOverhead measures what the interceptor adds to calling the handler.
// Both take turns, in batches of a few microseconds, so that a machine that is
// busy with other things disturbs both alike; the median of the differences is
// reported as ns-over-direct/op, beside a control, which is the handler against
// itself. ns/op counts both and means nothing.
func BenchmarkOverhead(b *testing.B) {
	direct, gated := connect.UnaryFunc(handle), connectgate.New(new(gate.Gate)).WrapUnary(handle)
	b.Run("control", func(b *testing.B) { overhead(b, direct, direct) })
	b.Run("disarmed", func(b *testing.B) { overhead(b, direct, gated) })
	b.Run("armed-no-match", func(b *testing.B) {
		gatetest.Arm(b, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")})
		overhead(b, direct, gated)
	})
}

func overhead(b *testing.B, direct, gated connect.UnaryFunc) {
	const batch = 500
	ctx, req := b.Context(), connect.AnyRequest(received{})
	run := func(u connect.UnaryFunc) time.Duration {
		start := time.Now()
		for range batch {
			u(ctx, req)
		}
		return time.Since(start)
	}
	diffs := make([]time.Duration, 0, b.N/batch+1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		base := run(direct)
		diffs = append(diffs, run(gated)-base)
	}
	b.StopTimer()
	slices.Sort(diffs)
	b.ReportMetric(float64(diffs[len(diffs)/2])/batch, "ns-over-direct/op")
}
