package grpcgate_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	grpcgate "github.com/remotedbg/remotedbg/middleware/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

var unaryInfo = &grpc.UnaryServerInfo{FullMethod: "/test.Echo/Unary"}

// peerContext is the context of a call from addr, as gRPC makes it.
func peerContext(addr string) context.Context {
	remote := &net.TCPAddr{IP: net.ParseIP(addr), Port: 51234}
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: remote})
	return metadata.NewIncomingContext(ctx, metadata.Pairs(":authority", "shop:8080", "content-type", "application/grpc",
		"user-agent", "grpc-go/1.80.0", "x-request-id", "1"))
}

func handle(_ context.Context, req any) (any, error) { return req, nil }

func TestDisarmedDoesNotAllocate(t *testing.T) {
	u, s, ctx := grpcgate.Unary(new(gate.Gate)), grpcgate.Stream(new(gate.Gate)), peerContext("127.0.0.1")
	n := testing.AllocsPerRun(500, func() { u(ctx, nil, unaryInfo, handle) })
	info, handler := &grpc.StreamServerInfo{FullMethod: "/test.Echo/Chat"}, func(any, grpc.ServerStream) error { return nil }
	n += testing.AllocsPerRun(500, func() { s(nil, nil, info, handler) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkOverhead measures what the interceptor adds to calling the handler.
// Both take turns, in batches of a few microseconds, so that a machine that is
// busy with other things disturbs both alike; the median of the differences is
// reported as ns-over-direct/op, beside a control, which is the handler against
// itself. ns/op counts both and means nothing.
func BenchmarkOverhead(b *testing.B) {
	direct := grpc.UnaryServerInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, req)
	})
	gated := grpcgate.Unary(new(gate.Gate))
	b.Run("control", func(b *testing.B) { overhead(b, direct, direct) })
	b.Run("disarmed", func(b *testing.B) { overhead(b, direct, gated) })
	b.Run("armed-no-match", func(b *testing.B) {
		gatetest.Arm(b, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")})
		overhead(b, direct, gated)
	})
}

func overhead(b *testing.B, direct, gated grpc.UnaryServerInterceptor) {
	const batch = 500
	ctx := peerContext("198.51.100.23")
	run := func(u grpc.UnaryServerInterceptor) time.Duration {
		start := time.Now()
		for range batch {
			u(ctx, nil, unaryInfo, handle)
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
