//go:build linux && amd64

package integration_test

import (
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// dataInfo asks whether something can be watched.
func (c *ide) dataInfo(args map[string]any) dap.DataBreakpointInfoResponseBody {
	c.t.Helper()
	r, err := c.Do("dataBreakpointInfo", args)
	must(c.t, err)
	return r.(*dap.DataBreakpointInfoResponse).Body
}

// watch sets data breakpoints, which must be verified.
func (c *ide) watch(list ...map[string]any) []dap.Breakpoint {
	c.t.Helper()
	r, err := c.Do("setDataBreakpoints", map[string]any{"breakpoints": list})
	must(c.t, err)
	bps := r.(*dap.SetDataBreakpointsResponse).Body.Breakpoints
	if len(bps) != len(list) {
		c.t.Fatalf("%d breakpoints in the answer, want %d", len(bps), len(list))
	}
	for _, bp := range bps {
		c.verified(bp)
	}
	return bps
}

// changed waits for a stop behind an access to what a breakpoint watches.
func (c *ide) changed(bp dap.Breakpoint, says string) dap.StoppedEventBody {
	c.t.Helper()
	ev, err := c.WaitStopped(daptest.AnyThread)
	must(c.t, err)
	if ev.Reason != "data breakpoint" || len(ev.HitBreakpointIds) != 1 || ev.HitBreakpointIds[0] != bp.Id || !strings.HasPrefix(ev.Description, says) || ev.AllThreadsStopped {
		c.t.Fatalf("stopped: %+v, want breakpoint %d: %s", ev, bp.Id, says)
	}
	return ev
}

// TestDataBreakpoints watches fields, an element, a package variable and bytes
// at an address of a live service, by rows of the variables pane and by
// expressions, with conditions.
func TestDataBreakpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	c := r.debug("account-open")
	p := r.request("/account?owner=you")
	th := c.stopped("breakpoint", "account-open")

	frames, _, err := c.StackTrace(th.id, 0, 1)
	must(t, err)
	frame := frames[0].Id
	for expr, why := range map[string]string{
		"local":          "stack",
		"acc.Owner":      "its length",
		`acc.Notes["a"]`: "map",
		"len(acc.Owner)": "no variable",
	} {
		if info := c.dataInfo(map[string]any{"name": expr, "frameId": frame}); info.DataId != nil || !strings.Contains(info.Description, why) {
			t.Errorf("%s: %+v, want a refusal with %q", expr, info, why)
		}
	}

	locals, err := c.Locals(th.id)
	must(t, err)
	row := c.dataInfo(map[string]any{"variablesReference": locals["acc"].VariablesReference, "name": "Balance"})
	history := c.dataInfo(map[string]any{"name": "acc.History[2]", "frameId": frame})
	payments := c.dataInfo(map[string]any{"name": "main.payments", "frameId": frame})
	for name, info := range map[string]dap.DataBreakpointInfoResponseBody{"Balance": row, "History": history, "payments": payments} {
		if info.DataId == nil || len(info.AccessTypes) != 2 || info.CanPersist {
			t.Fatalf("%s: %+v", name, info)
		}
	}
	ref := strings.Split(row.DataId.(string), "/")[0]
	bytes := c.dataInfo(map[string]any{"name": ref, "asAddress": true, "bytes": 4, "frameId": frame})
	if bytes.DataId == nil || !strings.Contains(bytes.Description, "4 bytes at "+ref) {
		t.Errorf("4 bytes at an address: %+v", bytes)
	}
	if info := c.dataInfo(map[string]any{"name": ref, "asAddress": true, "bytes": 64, "frameId": frame}); info.DataId != nil {
		t.Errorf("64 bytes at an address: %+v", info)
	}

	set := c.watch(
		map[string]any{"dataId": row.DataId, "accessType": "write"},
		map[string]any{"dataId": history.DataId, "accessType": "write", "condition": "acc.History[2] == 2+6+10"},
		map[string]any{"dataId": payments.DataId, "accessType": "readWrite"},
	)
	must(t, c.Continue(th.id))
	c.changed(set[0], "acc.Balance changed from 100 to 120 in main.deposit memory.go:")
	must(t, c.Continue(th.id))
	c.changed(set[0], "acc.Balance was written as it was, 120, in main.deposit")
	must(t, c.Continue(th.id))
	ev := c.changed(set[2], "main.payments")
	for ev.HitBreakpointIds[0] == set[2].Id {
		must(t, c.Continue(th.id))
		ev, err = c.WaitStopped(daptest.AnyThread)
		must(t, err)
		if len(ev.HitBreakpointIds) != 1 || ev.Reason != "data breakpoint" {
			t.Fatalf("stopped: %+v", ev)
		}
	}
	if !strings.HasPrefix(ev.Description, "acc.History[2] changed from 8 to 18 in main.accountPage") {
		t.Errorf("with a condition on it: %q", ev.Description)
	}
	c.watch()
	must(t, c.Continue(th.id))
	p.ok(t)

	// In the next request the heap's addresses mean nothing; the variable's do.
	bp := c.watch(map[string]any{"dataId": payments.DataId, "accessType": "write", "hitCondition": "1"})
	c.clear("account-open")
	p = r.request("/account")
	_, err = c.WaitThread("started", 0)
	must(t, err)
	must(t, c.Continue(c.changed(bp[0], "main.payments changed from ").ThreadId))
	p.ok(t)
	answer, err := c.Do("setDataBreakpoints", map[string]any{"breakpoints": []map[string]any{{"dataId": row.DataId}, {"dataId": "rubbish"}}})
	must(t, err)
	over := answer.(*dap.SetDataBreakpointsResponse).Body.Breakpoints
	if len(over) != 2 || over[0].Verified || !strings.Contains(over[0].Message, "has ended") || over[1].Verified {
		t.Errorf("of a request that is over: %+v", over)
	}
}
