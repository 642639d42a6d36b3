//go:build linux && amd64

package session_test

import (
	"context"
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

func TestCalls(t *testing.T) {
	r, req, re := callees(t, "-gc", "50ms")
	for _, c := range []struct{ expr, want string }{
		{"answer()", "42"},
		{"hello()", `"hello"`},
		{"nothing()", ""},
		{"add(1, 2)", "3"},
	} {
		began := time.Now()
		got, err := r.call(t, req.ID, c.expr)
		if err != nil || got != c.want {
			t.Errorf("%s = %s, %v, want %s", c.expr, got, err, c.want)
		}
		t.Logf("%s = %s in %v", c.expr, got, time.Since(began))
	}
	if err := r.s.Continue(req.ID); err != nil {
		t.Fatal(err)
	}
	r.exited(t, req.ID)
	re.ok(t)
}
