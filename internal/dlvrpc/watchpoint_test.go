//go:build linux && amd64

package dlvrpc_test

import (
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
)

// TestWatchpoint: as dlv's "watch" sets one, with a condition, listed and
// cleared.
func TestWatchpoint(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("account-open")
	_, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line})
	must(t, err)
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/account")
	s.at(state(t, ch).CurrentThread, "account-open")

	for expr, why := range map[string]string{"local": "stack", "acc.Owner": "its length"} {
		if b, err := c.CreateWatchpoint(current, expr, api.WatchWrite); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %+v, %v", expr, b, err)
		}
	}
	b, err := c.CreateWatchpoint(current, "acc.Balance", api.WatchWrite)
	must(t, err)
	if b.WatchExpr != "acc.Balance" || b.WatchType&api.WatchWrite == 0 || b.Addr == 0 || b.ID == 0 {
		t.Errorf("watchpoint %+v", b)
	}
	list, err := c.ListBreakpoints(false)
	must(t, err)
	if len(list) != 2 || list[1].WatchExpr != "acc.Balance" || list[1].WatchType != b.WatchType {
		t.Errorf("breakpoints %+v", list)
	}

	b.Cond = "n == 0" // of the second deposit
	must(t, c.AmendBreakpoint(b))
	st := state(t, c.Continue())
	if st.StopReason != proc.StopWatchpoint.String() || st.CurrentThread == nil || st.CurrentThread.Breakpoint == nil || st.CurrentThread.Breakpoint.ID != b.ID || st.CurrentThread.Breakpoint.TotalHitCount != 1 {
		t.Errorf("state %+v, breakpoint %+v", st, st.CurrentThread.Breakpoint)
	}
	s.at(st.CurrentThread, "deposit-done")
	_, err = c.ClearBreakpoint(b.ID)
	must(t, err)
	if list, err = c.ListBreakpoints(false); err != nil || len(list) != 1 {
		t.Errorf("breakpoints %+v, %v", list, err)
	}
	c.Continue()
	req.ok()
}
