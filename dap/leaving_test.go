//go:build linux && amd64

package dap

import (
	"context"
	"testing"
)

// TestLeavingInterrupts: what waits before a disconnect is interrupted as it begins,
// as what runs is; the disconnect itself is not.
func TestLeavingInterrupts(t *testing.T) {
	var c cancellation
	running, _, end := c.begin(context.Background(), c.note([]byte(`{"seq":1,"command":"evaluate"}`)))
	waits := c.note([]byte(`{"seq":2,"command":"evaluate"}`))
	if running.Err() != nil {
		t.Error("interrupted by nobody")
	}
	leave := c.note([]byte(`{"seq":3,"command":"disconnect"}`))
	if running.Err() == nil {
		t.Error("what runs was not interrupted")
	}
	end()
	ctx, withdrawn, end := c.begin(context.Background(), waits)
	if ctx.Err() == nil || withdrawn {
		t.Errorf("what waited: %v, withdrawn: %v", ctx.Err(), withdrawn)
	}
	end()
	ctx, _, end = c.begin(context.Background(), leave)
	if ctx.Err() != nil {
		t.Errorf("the disconnect: %v", ctx.Err())
	}
	end()
}
