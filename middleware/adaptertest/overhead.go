//go:build linux && amd64

package adaptertest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// discard is a ResponseWriter that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func nothing(http.ResponseWriter, *http.Request) {}

// exchange returns a function that has h serve one request.
func exchange(h http.Handler) func() {
	w, r := discard{make(http.Header)}, httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "198.51.100.23:51234"
	return func() { h.ServeHTTP(w, r) }
}

// allocations is how often f allocates at the least: frameworks keep contexts in
// a sync.Pool, from which the race detector and the garbage collector take some.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 100 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

// testAllocations fails if the adapter allocates for a request that is not
// trapped, beyond what the framework does for any middleware. That is
// once in echo 4, which has each middleware make its handler anew for every
// request (Echo.ServeHTTP, applyMiddleware).
func testAllocations(t *testing.T, f Framework) {
	want := allocations(exchange(f.Build(Setup{Handler: nothing, Idle: true})))
	gated := exchange(f.Build(Setup{Handler: nothing, Gate: new(gate.Gate)}))
	if n := allocations(gated); n != want {
		t.Errorf("unarmed: %v allocations, want %v", n, want)
	}
	gatetest.Arm(t, nobody)
	if n := allocations(gated); n != want {
		t.Errorf("armed, no match: %v allocations, want %v", n, want)
	}
}

// BenchmarkOverhead measures what the adapter adds to a request that the bare
// framework serves. Both take turns, in batches of some microseconds, so that a
// machine that is busy with other things disturbs both alike; the median of the
// differences is reported as ns-over-bare/op, beside a control, which is the bare
// framework against itself, and idle, which is what a middleware that does
// nothing costs there. ns/op counts both and means nothing.
func BenchmarkOverhead(b *testing.B, f Framework) {
	bare := exchange(f.Build(Setup{Handler: nothing, Bare: true}))
	gated := exchange(f.Build(Setup{Handler: nothing, Gate: new(gate.Gate)}))
	b.Run("control", func(b *testing.B) { overhead(b, bare, exchange(f.Build(Setup{Handler: nothing, Bare: true}))) })
	b.Run("idle", func(b *testing.B) { overhead(b, bare, exchange(f.Build(Setup{Handler: nothing, Idle: true}))) })
	b.Run("disarmed", func(b *testing.B) { overhead(b, bare, gated) })
	b.Run("armed-no-match", func(b *testing.B) {
		gatetest.Arm(b, nobody)
		overhead(b, bare, gated)
	})
}

func overhead(b *testing.B, bare, gated func()) {
	const batch = 200
	run := func(f func()) time.Duration {
		start := time.Now()
		for range batch {
			f()
		}
		return time.Since(start)
	}
	diffs := make([]time.Duration, 0, b.N/batch+1)
	took := make([]time.Duration, 0, b.N/batch+1)
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		base := run(bare)
		took = append(took, base)
		diffs = append(diffs, run(gated)-base)
	}
	b.StopTimer()
	slices.Sort(diffs)
	slices.Sort(took)
	b.ReportMetric(float64(diffs[len(diffs)/2])/batch, "ns-over-bare/op")
	b.ReportMetric(float64(took[len(took)/2])/batch, "ns-bare/op")
	b.ReportMetric(allocations(gated)-allocations(bare), "allocs-over-bare/op")
}
