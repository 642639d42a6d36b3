//go:build linux && amd64

package integration_test

import (
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// The toolchains of the matrix: the newest release of each supported Go that
// the module proxy had when this was written. The last one is pinned too, so
// that the matrix is the same on every machine.
var toolchains = []string{"go1.24.13", "go1.25.14", "go1.26.8"}

// TestMatrix repeats the core test with the service built by every supported Go
// in every way that users build services.
func TestMatrix(t *testing.T) {
	for _, toolchain := range toolchains {
		for _, v := range []harness.Variant{
			{},
			{Trimpath: true},
			{PIE: true},
			{Race: true},
			{Cgo: true},
		} {
			v.Go = toolchain
			t.Run(v.String(), func(t *testing.T) {
				t.Parallel()
				arguments := map[string]any{}
				if paths := v.SubstitutePath(builder.Root); paths != nil {
					arguments["substitutePath"] = paths
				}
				r := newRig(t, v)
				core(t, r, arguments)
			})
		}
	}
}

// TestCallsC steps over a call of a C function that blocks, on the thread's
// system stack.
func TestCallsC(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{Cgo: true})
	c := r.debug("calls-entry")
	p := r.request("/calls")
	th := c.stopped("breakpoint", "calls-entry")
	th.nextTo("calls-c")
	th.nextTo("calls-after")
	th.resume()
	if reply := p.ok(t); reply.Body != "{\"sum\":41}\n" {
		t.Errorf("the response is %q", reply.Body)
	}
}
