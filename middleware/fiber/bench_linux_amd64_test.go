package fibergate_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	fibergate "github.com/remotedbg/remotedbg/middleware/fiber"
	"github.com/valyala/fasthttp"
)

// request is one that did not come through a server.
func request(from net.Addr) *fasthttp.RequestCtx {
	req, ctx := new(fasthttp.Request), new(fasthttp.RequestCtx)
	req.Header.SetMethod("GET")
	req.SetRequestURI("/orders/7")
	req.Header.SetHost("shop")
	ctx.Init(req, from, nil)
	return ctx
}

// chain is an app with a middleware in front of its only route.
func chain(middleware fiber.Handler) fasthttp.RequestHandler {
	a := fiber.New()
	a.Use(middleware)
	a.Get("/orders/:id", func(fiber.Ctx) error { return nil })
	return a.Handler()
}

func through(c fiber.Ctx) error { return c.Next() }

func TestDisarmedDoesNotAllocate(t *testing.T) {
	ctx := request(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711})
	bare, gated := chain(through), chain(fibergate.New(new(gate.Gate)))
	without := testing.AllocsPerRun(500, func() { bare(ctx) })
	if n := testing.AllocsPerRun(500, func() { gated(ctx) }); n > without {
		t.Errorf("%v allocations, %v without the gate", n, without)
	}
}

// BenchmarkOverhead measures what the middleware adds to a middleware that does
// nothing. Both take turns, in batches of a few microseconds, so that a machine
// that is busy with other things disturbs both alike; the median of the
// differences is reported as ns-over-direct/op, beside a control, which is the
// empty middleware against itself. ns/op counts both and means nothing.
func BenchmarkOverhead(b *testing.B) {
	bare, gated := chain(through), chain(fibergate.New(new(gate.Gate)))
	b.Run("control", func(b *testing.B) { overhead(b, bare, bare) })
	b.Run("disarmed", func(b *testing.B) { overhead(b, bare, gated) })
	b.Run("armed-no-match", func(b *testing.B) {
		gatetest.Arm(b, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")})
		overhead(b, bare, gated)
	})
}

func overhead(b *testing.B, bare, gated fasthttp.RequestHandler) {
	const batch = 100
	ctx := request(&net.TCPAddr{IP: net.IPv4(198, 51, 100, 23), Port: 51234})
	run := func(h fasthttp.RequestHandler) time.Duration {
		start := time.Now()
		for range batch {
			h(ctx)
		}
		return time.Since(start)
	}
	diffs := make([]time.Duration, 0, b.N/batch+1)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		base := run(bare)
		diffs = append(diffs, run(gated)-base)
	}
	b.StopTimer()
	slices.Sort(diffs)
	b.ReportMetric(float64(diffs[len(diffs)/2])/batch, "ns-over-direct/op")
}
