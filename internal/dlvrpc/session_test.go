//go:build linux && amd64

package dlvrpc_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// TestClientLikeGoLand has the calls of an IDE that halts before it sets
// breakpoints, and polls the state while the process runs.
func TestClientLikeGoLand(t *testing.T) {
	s := newShop(t)
	c := s.client() // SetApiVersion
	if v := c.GetVersion(); v.APIVersion != 2 {
		t.Fatalf("version %+v", v)
	}
	began := time.Now()
	st, err := c.Halt()
	must(t, err)
	if took := time.Since(began); took > time.Second || st.Running || st.CurrentThread == nil {
		t.Errorf("halt with nothing in flight took %v: %+v", took, st)
	}
	sources, err := c.ListSources("handlers.go$")
	must(t, err)
	file, line := s.mark("order-loaded")
	if len(sources) == 0 || sources[len(sources)-1] != file {
		t.Errorf("sources %v", sources)
	}
	if _, _, err := c.FindLocation(current, sources[0]+":55", false, nil); err != nil {
		t.Error(err)
	}
	ch := c.Continue()
	resumed(t, c)

	// A breakpoint while it runs: halt, set, continue.
	_, err = c.Halt()
	must(t, err)
	<-ch
	b, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line, Cond: "id == 7"})
	must(t, err)
	ch = c.Continue()
	resumed(t, c)
	s.send("/orders/3").ok()
	req := s.send("/orders/7")
	for deadline := time.Now().Add(patience); ; {
		st, err := c.GetStateNonBlocking()
		must(t, err)
		if !st.Running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it runs for ever")
		}
	}
	st = state(t, ch)
	s.at(st.CurrentThread, "order-loaded")
	if bp := st.CurrentThread.Breakpoint; bp == nil || bp.ID != b.ID || bp.TotalHitCount != 1 {
		t.Errorf("breakpoint %+v", bp)
	}
	gs, _, err := c.ListGoroutines(0, 100)
	must(t, err)
	if len(gs) != 1 || gs[0].ID != st.SelectedGoroutine.ID || !strings.Contains(gs[0].Labels["request"], "GET /orders/") {
		t.Errorf("goroutines %+v", gs)
	}
	frames, err := c.Stacktrace(gs[0].ID, 50, 0, 0, nil)
	must(t, err)
	if len(frames) < 5 || !strings.Contains(frames[0].Function.Name(), "order") {
		t.Errorf("frames %+v", frames)
	}
	scope := api.EvalScope{GoroutineID: gs[0].ID}
	if _, err := c.ListLocalVariables(scope, values); err != nil {
		t.Error(err)
	}
	if args, err := c.ListFunctionArgs(scope, values); err != nil || len(args) < 3 {
		t.Errorf("args %v, %v", args, err)
	}
	if v, err := c.EvalVariable(scope, "order.Items[1].Quantity", values); err != nil || v.Value != "12" {
		t.Errorf("evaluated to %+v, %v", v, err)
	}
	must(t, c.SetVariable(scope, "order.Items[1].Quantity", "1"))
	st, err = c.Next()
	must(t, err)
	if st.CurrentThread.Line <= line {
		t.Errorf("next went to %+v", st.CurrentThread)
	}
	_, err = c.ClearBreakpoint(b.ID)
	must(t, err)
	must(t, c.Detach(false))
	req.ok()
	if strings.Contains(req.body, `"quantity":12`) {
		t.Errorf("what was set is not in the response: %s", req.body)
	}
}

// TestSeveralStops: one request is current, the others wait for their turn and
// can be switched to; a continue releases one.
func TestSeveralStops(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("order-loaded")
	_, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line})
	must(t, err)
	ch := c.Continue()
	resumed(t, c)
	first := s.send("/orders/7")
	a := state(t, ch).SelectedGoroutine.ID
	second := s.send("/orders/14")
	var gs []*api.Goroutine
	for began := time.Now(); len(gs) < 2 && time.Since(began) < patience; {
		gs, _, err = c.ListGoroutines(0, 0)
		must(t, err)
	}
	if len(gs) != 2 || gs[0].ID != a {
		t.Fatalf("goroutines %+v", gs)
	}
	b := gs[1].ID
	st, err := c.SwitchGoroutine(b)
	must(t, err)
	if st.SelectedGoroutine == nil || st.SelectedGoroutine.ID != b || len(st.Threads) != 2 {
		t.Errorf("after a switch: %+v", st)
	}
	if v, err := c.EvalVariable(current, "order.ID", values); err != nil || v.Value != "14" {
		t.Errorf("in the one: %+v, %v", v, err)
	}
	if v, err := c.EvalVariable(api.EvalScope{GoroutineID: a}, "order.ID", values); err != nil || v.Value != "7" {
		t.Errorf("in the other: %+v, %v", v, err)
	}
	if st, err = c.Next(); err != nil || st.SelectedGoroutine.ID != b {
		t.Errorf("a step went to %+v, %v", st, err)
	}
	if st = state(t, c.Continue()); st.SelectedGoroutine.ID != a {
		t.Errorf("after a continue: goroutine %d, want the one that waits, %d", st.SelectedGoroutine.ID, a)
	}
	second.ok()
	first.held()
	if _, err := c.SwitchGoroutine(1); err == nil || !strings.Contains(err.Error(), "no stopped request") {
		t.Errorf("a switch to the service's own goroutine: %v", err)
	}
	if frames, err := c.Stacktrace(1, 10, 0, 0, nil); err != nil || len(frames) == 0 {
		t.Errorf("its stack: %v, %v", frames, err)
	}
	all, next := 0, 0
	for next >= 0 {
		gs, next, err = c.ListGoroutines(next, 4)
		must(t, err)
		all += len(gs)
	}
	if all < 5 {
		t.Errorf("%d goroutines on all pages", all)
	}
	must(t, c.Detach(false))
	first.ok()
}

// TestTracepoint: a request runs over it, and its stack and variables are told.
func TestTracepoint(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("order-loaded")
	_, err := c.CreateBreakpoint(&api.Breakpoint{
		File: file, Line: line, Tracepoint: true, Goroutine: true, Stacktrace: 3,
		Variables: []string{"order.ID", "nonsense"}, LoadArgs: &values, HitCond: "% 2",
	})
	must(t, err)
	var out rpc2.CommandOut
	done := make(chan error, 1)
	go func() { done <- c.CallAPI("Command", api.DebuggerCommand{Name: api.Continue}, &out) }()
	resumed(t, c)
	s.send("/orders/7").ok()
	s.send("/orders/14").ok()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("the trace point was not told")
	}
	s.at(out.State.CurrentThread, "order-loaded")
	info := out.State.CurrentThread.BreakpointInfo
	if info == nil || info.Goroutine == nil || len(info.Stacktrace) < 3 || len(info.Arguments) < 3 || len(info.Variables) != 2 {
		t.Fatalf("information %+v", info)
	}
	if info.Variables[0].Value != "14" || info.Variables[1].Unreadable == "" {
		t.Errorf("variables %+v", info.Variables)
	}
	hits, err := c.GetBufferedTracepoints(nil)
	if err != nil || len(hits) != 1 || hits[0].Line != line || len(hits[0].InputParams) < 3 {
		t.Errorf("buffered %+v, %v", hits, err)
	}
}

// TestPauseOfRunning: a halt stops a request that runs in the user's code.
func TestPauseOfRunning(t *testing.T) {
	s := newShop(t)
	c := s.client()
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/spin?ms=2000")
	var st *api.DebuggerState
	for began := time.Now(); time.Since(began) < patience; {
		var err error
		st, err = c.Halt()
		must(t, err)
		<-ch
		if st.SelectedGoroutine != nil {
			break
		}
		ch = c.Continue()
		resumed(t, c)
	}
	if st.SelectedGoroutine == nil || st.StopReason != "manual" {
		t.Fatalf("halted at %+v", st)
	}
	req.held()
	must(t, c.Detach(false))
	req.ok()
}

// TestConnectionLost: what it held goes on, and the agent serves the next client.
func TestConnectionLost(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("order-loaded")
	_, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line})
	must(t, err)
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/orders/7")
	state(t, ch)
	req.held()
	began := time.Now()
	must(t, c.Disconnect(false))
	req.ok()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it went on after %v", took)
	}
	next := s.client()
	if bps, err := next.ListBreakpoints(false); err != nil || len(bps) != 0 {
		t.Errorf("the next client has %v, %v", bps, err)
	}
}

// TestEngineEnds: a client that waits is told why, and the connection closes.
func TestEngineEnds(t *testing.T) {
	s := newShop(t)
	c := s.client()
	ch := c.Continue()
	resumed(t, c)
	must(t, s.engine.Close("expired after 15m"))
	select {
	case st := <-ch:
		if st.Err == nil || !strings.Contains(st.Err.Error(), "expired after 15m") {
			t.Errorf("it was told %v", st.Err)
		}
	case <-time.After(patience):
		t.Fatal("it was not told")
	}
}

// TestClientReadsNothing: it is cut off, and what it held goes on.
func TestClientReadsNothing(t *testing.T) {
	s := newShop(t)
	nc, err := net.Dial("tcp", s.addr)
	must(t, err)
	defer nc.Close()
	c := rpc2.NewClientFromConn(nc)
	file, line := s.mark("order-loaded")
	_, err = c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line})
	must(t, err)
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/orders/7")
	state(t, ch)

	// Delve's client always reads: the same connection, used without it.
	raw, err := nc.(*net.TCPConn).File()
	must(t, err)
	defer raw.Close()
	must(t, nc.SetReadDeadline(time.Unix(1, 0)))
	began := time.Now()
	go func() {
		for i := range 1000 {
			call := fmt.Sprintf(`{"method":"RPCServer.ListFunctions","params":[{"Filter":""}],"id":%d}`, 1000+i)
			if _, err := raw.WriteString(call + "\n"); err != nil {
				return
			}
		}
	}()
	req.ok()
	if took := time.Since(began); took > writeTimeout+5*time.Second {
		t.Errorf("it went on after %v", took)
	}
	for !s.logged("the client took nothing") {
		if time.Since(began) > patience {
			t.Fatal("its connection ended for another reason")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestConditionError: the request stops, and the client is told why.
func TestConditionError(t *testing.T) {
	s := newShop(t)
	c := s.client()
	file, line := s.mark("order-loaded")
	_, err := c.CreateBreakpoint(&api.Breakpoint{File: file, Line: line, Cond: "nonsense == 1"})
	must(t, err)
	if _, err := c.CreateBreakpoint(&api.Breakpoint{FunctionName: "main.fail", Cond: "1 +"}); err == nil {
		t.Error("a condition that is no expression was accepted")
	}
	ch := c.Continue()
	resumed(t, c)
	req := s.send("/orders/7")
	if st := <-ch; st.Err == nil || !strings.Contains(st.Err.Error(), "nonsense") {
		t.Errorf("it was told %v", st.Err)
	}
	st, err := c.GetState()
	must(t, err)
	s.at(st.CurrentThread, "order-loaded")
	must(t, c.Detach(false))
	req.ok()
}
