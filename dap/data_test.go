//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"

	godap "github.com/google/go-dap"
)

// TestDataBreakpoints: what is sent back by setDataBreakpoints is what
// dataBreakpointInfo found, and nothing that was made up reaches the engine.
func TestDataBreakpoints(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	b.fake.lift()
	info := func(args map[string]any) godap.DataBreakpointInfoResponseBody {
		t.Helper()
		r, err := b.Do("dataBreakpointInfo", args)
		must(t, err)
		return r.(*godap.DataBreakpointInfoResponse).Body
	}
	found := info(map[string]any{"name": "a/b"})
	if found.DataId != "0x1000/8/0/1/a/b" || found.Description != "a/b (8 bytes at 0x1000)" {
		t.Fatalf("%+v", found)
	}
	at := info(map[string]any{"name": "0x2000", "asAddress": true, "bytes": 2})
	if at.DataId != "0x2000/2/17/1/0x2000" {
		t.Errorf("at an address: %+v", at)
	}
	if bad := info(map[string]any{"name": "zzz", "asAddress": true}); bad.DataId != nil || !strings.Contains(bad.Description, "no address") {
		t.Errorf("at no address: %+v", bad)
	}

	r, err := b.Do("setDataBreakpoints", map[string]any{"breakpoints": []map[string]any{
		{"dataId": "rubbish"},
		{"dataId": found.DataId, "accessType": "readWrite", "condition": " x > 1 "},
		{"dataId": found.DataId, "accessType": "read"},
		{"dataId": "0x1000/-8/0/1/x"},
		{"dataId": "0x1000/8/0/99999999999/x"},
	}})
	must(t, err)
	bps := r.(*godap.SetDataBreakpointsResponse).Body.Breakpoints
	if len(bps) != 5 {
		t.Fatalf("%d results", len(bps))
	}
	for i, bp := range bps {
		if bp.Verified != (i == 1) || !bp.Verified && bp.Message == "" {
			t.Errorf("breakpoint %d: %+v", i, bp)
		}
	}
	if !b.fake.called("SetDataBreakpoints [{{4096 8 a/b invalid 1} true {x > 1 }}]") {
		t.Errorf("calls %v", b.fake.calls)
	}
}
