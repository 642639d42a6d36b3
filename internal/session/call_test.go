//go:build linux && amd64

package session_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/session"
)

const calleesDir = "../../integration/targets/callees"

// callees is the target of calls, with a request that is frozen at //bp:work.
func callees(t *testing.T, args ...string) (*rig, session.Request, *reply) {
	t.Helper()
	r := &rig{log: &logLines{}, path: "/work"}
	r.cmd, r.url = launch(t, build(t, calleesDir), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	r.pid = r.cmd.Process.Pid
	t.Cleanup(func() { r.end(t) })
	r.open(t, 10*time.Minute)
	r.ide(t)
	file, err := filepath.Abs(filepath.Join(calleesDir, "callees.go"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.s.SetBreakpoints(file, []session.SourceBreakpoint{{Line: lineOf(t, file, "work")}}); err != nil {
		t.Fatal(err)
	}
	req, re := r.request(t, "/work")
	r.stopped(t, req.ID, session.StopBreakpoint)
	return r, req, re
}

// lineOf finds the line of a file that is marked //bp:name.
func lineOf(t *testing.T, file, name string) int {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(src), "\n") {
		if strings.HasSuffix(line, "//bp:"+name) {
			return i + 1
		}
	}
	t.Fatalf("no line of %s is marked %s", file, name)
	return 0
}

// call evaluates an expression with calls and shows its values with blanks
// between them.
func (r *rig) call(t *testing.T, id session.RequestID, expr string) (string, error) {
	t.Helper()
	res, err := r.s.Call(context.Background(), id, session.CallRequest{Expr: expr})
	if err != nil {
		return "", err
	}
	var list []string
	err = r.s.Inspect(id, func(target *proc.Target) error {
		scope, err := proc.ThreadScope(target, target.CurrentThread())
		if err != nil {
			return err
		}
		for _, e := range res.Exprs {
			v, err := scope.EvalExpression(e, proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 3, MaxStringLen: 200, MaxArrayValues: 50, MaxStructFields: -1})
			if err != nil {
				return err
			}
			list = append(list, api.ConvertVar(v).SinglelineString())
		}
		return nil
	})
	text := strings.Join(list, " ")
	if res.Panicked {
		text = "panic: " + text
	}
	return text, err
}

// callMatrix has each kind of argument and result, of function, and of refusal.
var callMatrix = []struct{ expr, want, fails string }{
	{expr: "answer()", want: "42"},
	{expr: "hello()", want: `"hello"`},
	{expr: "nothing()", want: ""},
	{expr: "main.add(1, 2)", want: "3"},
	{expr: "add(-1, len(b.names))", want: "3"},
	{expr: `mixed(-8, 65535, true, 1.5, "text", 2.25, -9000000000, 255)`, want: `"-8 65535 true 1.5text2.25 -9000000000 255"`},
	{expr: "many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)", want: "650"},
	{expr: "double(1.25)", want: "2.5"},
	{expr: "double(3)", want: "6"},
	{expr: "turn(1 + 2i)", want: "(-2 + 1i)"},
	{expr: "not(true)", want: "false"},
	{expr: `upper("straße ü")`, want: `"STRAßE Ü"`},
	{expr: `upper(b.order.Customer)`, want: `"CUSTOMER-7"`},
	{expr: `upper("")`, want: `""`},
	{expr: `join(b.names, "+")`, want: `"+work+a+b"`},
	{expr: `join(b.names[1:3], "+")`, want: `"work+a"`},
	{expr: `join(nil, "+")`, want: `""`},
	{expr: "cheapest(b.items)", want: `main.Item {Name: "bolt", Cents: 7} error nil`},
	{expr: "cheapest(nil)", want: `main.Item {Name: "", Cents: 0} error(*errors.errorString) *{s: "no items"}`},
	{expr: "load(12).Customer", fails: "2 results"},
	{expr: "spread(b.wide)", want: `main.wide {Table: [6]int [2,4,6,8,10,12], Name: "work!"}`},
	{expr: "spread(b.wide).Table[5] + 1", want: "13"},
	{expr: "spread(spread(b.wide)).Name", want: `"work!!"`},
	{expr: "describe(5)", want: `"int 5"`},
	{expr: `describe("x")`, want: `"string x"`},
	{expr: "describe(1.5)", want: `"float64 1.5"`},
	{expr: "describe(true)", want: `"bool true"`},
	{expr: "describe(nil)", want: `"<nil> <nil>"`},
	{expr: "describe(b.items)", want: `"[]main.Item [{bolt 7} {nut 14}]"`},
	{expr: "describe(b.items[0])", want: `"main.Item {bolt 7}"`},
	{expr: "describe(b.temp)", want: `"main.celsius 4"`},
	{expr: "describe(b.shapes[0])", want: `"main.square {3}"`},
	{expr: "describe(b.missing)", want: `"*fmt.wrapError order -1: missing"`},
	{expr: "describe(b.stock)", want: `"map[string]int map[bolt:1 nut:2]"`},
	{expr: "area(b.shapes[0])", want: "9"},
	{expr: "area(b.shapes[1])", want: "12"},
	{expr: "why(b.missing)", want: `"order -1: missing"`},
	{expr: "why(nil)", want: `"no error"`},
	{expr: "why(b.none)", want: `"no error"`},
	{expr: "count(b.stock)", want: "2"},
	{expr: "apply(b.twice, 5)", want: "20"},
	{expr: "apply(nil, 5)", want: `panic: interface {}(runtime.errorString) "invalid memory address or nil pointer dereference"`},
	{expr: "b.next()", want: "5"},
	{expr: "b.next()", want: "6"},
	{expr: "counter(9)()", want: "10"},
	{expr: `sum("n=")`, want: `"n=0"`},
	{expr: `sum("n=", 1, 2, 3)`, want: `"n=6"`},
	{expr: `fmt.Sprint(b.order.ID, b.names, "x", 1.5)`, want: `"7 [ work a b]x1.5"`},
	{expr: `fmt.Sprintf("%v|%d", b.missing, b.stock["nut"])`, want: `"order -1: missing|2"`},
	{expr: `strings.Repeat("ab", 3)`, want: `"ababab"`},
	{expr: "b.order.Total()", want: "21"},
	{expr: "b.order.Signed()", want: `"signed by ada"`},
	{expr: "b.items[0].Label(`a `)", want: `"a bolt"`},
	{expr: "(&b.items[1]).Label(`the `)", want: `"the nut"`},
	{expr: "b.temp.Fahrenheit()", want: "39.2"},
	{expr: "b.shapes[0].Area()", want: "9"},
	{expr: "b.shapes[1].Area()", want: "12"},
	{expr: "b.shapes[2].Area()", fails: "nil interface"},
	{expr: "b.missing.Error()", want: `"order -1: missing"`},
	{expr: "b.broken.Error()", want: `"nameless"`},
	{expr: `b.order.Rename("ada")`, want: `"customer-7"`},
	{expr: `b.order.Rename("customer-7")`, want: `"ada"`},
	{expr: "add(add(1, 2), add(3, answer()))", want: "48"},
	{expr: "len(upper(hello()))", want: "5"},
	{expr: "answer() == 42 && true", want: "true"},
	{expr: "true && not(true)", fails: "right of &&"},
	{expr: "int64(answer())", want: "42"},
	{expr: "grow(500)", want: "125250"},
	{expr: "len(churn(300))", want: "3"},
	{expr: "churn(300)[2]", want: `"xx"`},
	{expr: "spin(120) > 0", want: "true"},
	{expr: `boom("x")`, want: `panic: interface {}(*errors.errorString) *{s: "boom: x"}`},
	{expr: "index(b.items, 9)", want: "panic: interface {}(runtime.boundsError) {x: 9, y: 2, signed: true, code: BoundsIndex (0)}"},
	{expr: "leave()", fails: "runtime.Goexit"},
	{expr: "answer()", want: "42"},
	{expr: "receive(b.ch)", want: "1"},
	{expr: "second(b.pair)", want: `"r"`},
	{expr: "first(b.small)", want: "8"},
	{expr: "tuple(b.inner)", want: `"nut" 14 true`},
	{expr: "b.bound(`my `)", want: `"my bolt"`},
	{expr: "b.plain.Total()", want: "21"},
	{expr: "describe(b.any)", want: `"float64 12.5"`},
	{expr: "describe(b.shape)", want: `"*main.circle &{1}"`},
	{expr: "area(b.shape)", want: "3"},
	{expr: "describe(b.order)", want: `"*main.Order &{7 customer-7 [{bolt 7} {nut 14}] {ada}}"`},
	{expr: "describe(b.pair)", want: `"[2]string [l r]"`},
	{expr: "b.none.Error()", fails: "nil interface"},
	{expr: "b.nobody.Total()", want: `panic: interface {}(runtime.errorString) "invalid memory address or nil pointer dereference"`},
	{expr: "time.Duration(1500000000).String()", want: `"1.5s"`},
	{expr: "b.missing.Unwrap().Error()", want: `"missing"`},
	{expr: "add(1)", fails: "takes 2 arguments, not 1"},
	{expr: "add(1, 2, 3)", fails: "takes 2 arguments, not 3"},
	{expr: `add(1, "x")`, fails: "string"},
	{expr: "add(1, 1.5)", fails: "1.5"},
	{expr: "not(1)", fails: "bool"},
	{expr: "upper(b.items)", fails: "cannot be used as a string"},
	{expr: `blank(1, "x")`, want: `"x"`},
	{expr: "pair(1, 2)", fails: "generic"},
	{expr: "local.Total()", fails: "stack"},
	{expr: "b.order.Missing()", fails: "Missing"},
	{expr: "missingFunc(1)", fails: "missingFunc"},
	{expr: "b.order.ID", want: "7"},
}

func TestCalls(t *testing.T) {
	r, req, re := callees(t, "-gc", "50ms")
	for _, c := range callMatrix {
		got, err := r.call(t, req.ID, c.expr)
		got = strings.Replace(got, "boundsIndex", "BoundsIndex", 1) // before Go 1.26
		switch {
		case c.fails != "":
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s = %s, %v, want an error with %q", c.expr, got, err, c.fails)
			}
		case err != nil || got != c.want:
			t.Errorf("%s = %s, %v, want %s", c.expr, got, err, c.want)
		}
		if t.Failed() && !re.pending() {
			t.Fatalf("%s: the request is over", c.expr)
		}
	}
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
}

// TestCallThatBlocks: it is given up after some seconds, shows as running, and
// stands where it stood when the function has returned. Nobody else waits.
func TestCallThatBlocks(t *testing.T) {
	r, req, re := callees(t, "-gc", "50ms")
	held := ask(others, r.url+"/other?for=7s")
	for began := time.Now(); time.Since(began) < 200*time.Millisecond; { // until it has the lock
		if status, err := get(others, r.url+"/idle"); status != 404 || err != nil {
			t.Fatalf("another request: %d, %v", status, err)
		}
	}
	slowestUntil := func(stop <-chan struct{}) <-chan time.Duration {
		slowest := make(chan time.Duration, 1)
		go func() {
			most := time.Duration(0)
			for {
				select {
				case <-stop:
					slowest <- most
					return
				default:
				}
				began := time.Now()
				if status, err := get(others, r.url+"/idle"); status != 404 || err != nil {
					t.Errorf("another request: %d, %v", status, err)
				}
				most = max(most, time.Since(began))
			}
		}()
		return slowest
	}
	stop := make(chan struct{})
	slowest := slowestUntil(stop)
	began := time.Now()
	_, err := r.call(t, req.ID, "blocked()")
	if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "main.blocked has not returned after 5s") || took > 6*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
	if ev := r.expect(t, session.EventContinued); ev.Request.ID != req.ID || ev.Request.Frozen {
		t.Errorf("event %+v", ev)
	}
	for what, err := range map[string]error{"Continue": r.s.Continue(req.ID), "Inspect": r.s.Inspect(req.ID, nil), "Pause": r.s.Pause(req.ID)} {
		if !errors.Is(err, session.ErrCalling) {
			t.Errorf("%s meanwhile: %v", what, err)
		}
	}
	r.stopped(t, req.ID, session.StopPause)
	close(stop)
	most := <-slowest
	stop = make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(stop) })
	control := <-slowestUntil(stop) // while it is merely frozen
	if t.Logf("the slowest other request took %v; without a call %v", most, control); most > time.Second+control {
		t.Errorf("another request took %v", most)
	}
	held.ok(t)
	if got, err := r.call(t, req.ID, "blocked()"); err != nil || got != `"through"` {
		t.Errorf("again: %s, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.s.Call(ctx, req.ID, session.CallRequest{Expr: "spin(400)"}); err == nil || !strings.Contains(err.Error(), "not returned yet") {
		t.Errorf("cancelled: %v", err)
	}
	r.expect(t, session.EventContinued)
	r.stopped(t, req.ID, session.StopPause)
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
}
