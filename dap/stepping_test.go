//go:build linux && amd64

package dap_test

import (
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// TestGranularity: only "instruction" steps by instructions.
func TestGranularity(t *testing.T) {
	for _, tt := range []struct{ command, granularity, call string }{
		{"next", "", "Next 1"},
		{"next", "line", "Next 1"},
		{"next", "statement", "Next 1"},
		{"next", "instruction", "NextInstruction 1"},
		{"stepIn", "statement", "StepIn 1"},
		{"stepIn", "instruction", "StepInstruction 1"},
		{"stepOut", "instruction", "StepOut 1"},
	} {
		fake := newFake()
		fake.requests = []session.Request{aRequest(1)}
		b := attached(t, fake)
		b.stopped(t, 1)
		_, err := b.Do(tt.command, godap.NextArguments{ThreadId: 1, Granularity: godap.SteppingGranularity(tt.granularity)})
		must(t, err)
		if !fake.called(tt.call) {
			t.Errorf("%s by %q: %v", tt.command, tt.granularity, fake.calls)
		}
	}
}
