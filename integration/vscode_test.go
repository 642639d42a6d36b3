//go:build linux && amd64

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

const (
	// vscodeInstall bounds npm ci, which may have to download.
	vscodeInstall = 3 * time.Minute
	// vscodeSession bounds the whole session; each wait in it has a bound of its
	// own that says more when it is over.
	vscodeSession = 2 * time.Minute
	// vscodeOthers is how many requests that are not allowlisted are sent while
	// two are frozen.
	vscodeOthers = 100
	// vscodeDir is where the IDE has the sources: not where the service was
	// built, so every path is one that was substituted.
	vscodeDir = "/home/dev/src/shop"
)

// vscodeClient installs VS Code's DAP client beside the scripts of
// vscodeclient/ and returns the directory. The copy keeps node_modules out of
// the checkout; npm's own cache makes the second time fast.
var vscodeClient = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(builder.Dir(), "vscodeclient")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(builder.Root, "integration", "vscodeclient"))); err != nil {
		return "", fmt.Errorf("copy the scripts: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), vscodeInstall)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--prefer-offline")
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second // npm's children may hold its output open
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w (the tests of the IDE clients need node 18 or newer, npm and its registry)\n%s", err, out)
	}
	return dir, nil
})

// vscodePlan is the argument of session.mjs.
type vscodePlan struct {
	Port           int                 `json:"port"` // of the agent
	Service        string              `json:"service"`
	Allowed        string              `json:"allowed"`      // where the requests to debug come from
	OtherAddress   string              `json:"otherAddress"` // where the others come from
	Others         int                 `json:"others"`
	SubstitutePath []map[string]string `json:"substitutePath"`
	File           string              `json:"file"` // as the IDE names it
	BreakLines     []int               `json:"breakLines"`
	CallLine       int                 `json:"callLine"`
	AfterCallLine  int                 `json:"afterCallLine"`
	Expressions    [][2]string         `json:"expressions"` // context, expression
	Refused        [][2]string         `json:"refused"`     // likewise
}

// vscodeSaw is what session.mjs prints. Pointers to bool: a missing value means
// something else to VS Code than false does.
type vscodeSaw struct {
	Capabilities map[string]any
	Breakpoints  []vscodeBreakpoint
	Threads      []vscodeThread // before any request

	First, Second, Third vscodeStop
	Order, Item          map[string]vscodeVariable // of the first
	Evaluated, Refused   []string                  // in the order of the plan
	ToCall               []vscodeStep              // of the second
	Into, Out            vscodeStep                // of the second
	FirstStays           vscodeFrame               // after that
	FirstStillID         string
	Together             [2][]vscodeStep // the first's and the second's
	OthersServed         int
	AnsweredEarly        bool
	ContinuedSecond      vscodeContinued
	AfterSecond          []vscodeThread // after the second was continued
	FirstHeld            bool           // likewise
	ContinuedFirst       vscodeContinued
	FirstStatus          int
	SecondStatus         int
	ThirdStatus          int // of the one that was frozen at the disconnect
	Events               []vscodeEvent
}

type vscodeThread struct {
	ID   int
	Name string
}

type vscodeBreakpoint struct {
	ID       int
	Verified bool
	Line     int
	Message  string
	Source   struct{ Path string }
}

type vscodeFrame struct {
	ID     int
	Name   string
	Line   int
	Source struct{ Path string }
}

type vscodeVariable struct{ Value, Type string }

type vscodeContinued struct{ AllThreadsContinued *bool }

type vscodeStopped struct {
	Reason            string
	ThreadID          int
	AllThreadsStopped *bool
	HitBreakpointIDs  []int
}

type vscodeStep struct {
	Stop  vscodeStopped
	Frame vscodeFrame
}

type vscodeStop struct {
	Stop  vscodeStopped
	Stack struct {
		Threads   []vscodeThread
		FirstPage int // frames in the answer to levels:1
		Total     int
		Frames    []vscodeFrame
	}
	Scopes    []struct{ Name string }
	Variables map[string]vscodeVariable
}

type vscodeEvent struct {
	Event string
	Body  json.RawMessage
}

// TestVSCodeClient has VS Code's own DAP client debug two requests at once. It
// is not parallel: node beside two other tests would be enough load on a small
// machine for the gate to stop waiting for the agent.
func TestVSCodeClient(t *testing.T) {
	dir, err := vscodeClient()
	must(t, err)
	r := newRig(t, harness.Variant{})
	plan := vscodePlanFor(t, r, r.attach())
	saw := runVSCode(t, dir, plan)

	checkVSCodeStart(t, saw, plan)
	checkVSCodeStops(t, saw, plan)
	checkVSCodeValues(t, saw)
	checkVSCodeSteps(t, saw, plan)
	checkVSCodeEnd(t, saw)
}

// vscodePlanFor sets a breakpoint where an order has been loaded. The service
// was built elsewhere than the IDE has its sources.
func vscodePlanFor(t *testing.T, r *rig, a *harness.Agent) vscodePlan {
	t.Helper()
	_, port, err := net.SplitHostPort(a.Addr)
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	loaded := mark(t, "order-loaded")
	return vscodePlan{
		Port: number, Service: r.service.URL,
		Allowed: harness.Allowed, OtherAddress: harness.Others, Others: vscodeOthers,
		SubstitutePath: []map[string]string{{"from": vscodeDir, "to": filepath.Dir(loaded.File)}},
		File:           vscodeFile(loaded),
		BreakLines:     []int{loaded.Line},
		CallLine:       mark(t, "order-price").Line,
		AfterCallLine:  mark(t, "order-priced").Line,
		Expressions: [][2]string{
			{"hover", "id"}, {"watch", "order.Customer.Name"}, {"repl", "order.Items[1].Quantity * 2"}, {"clipboard", "*order.Note"},
			{"repl", "dlv config -list hideSystemGoroutines"}, // what "Toggle hide system goroutines" sends
		},
		Refused: [][2]string{
			{"watch", "nosuchthing"}, {"repl", "call order.Payment.Describe()"},
		},
	}
}

// vscodeFile is where the IDE has the file of a mark.
func vscodeFile(m harness.Mark) string { return vscodeDir + "/" + filepath.Base(m.File) }

// runVSCode runs the session and returns what it saw.
func runVSCode(t *testing.T, dir string, plan vscodePlan) vscodeSaw {
	t.Helper()
	argument, err := json.Marshal(plan)
	must(t, err)
	p, err := harness.Start("node", filepath.Join(dir, "session.mjs"), string(argument))
	must(t, err)
	defer p.Kill()
	if code, err := p.Wait(vscodeSession); err != nil || code != 0 {
		t.Fatalf("the session of VS Code's client ended with %d, %v\n%s%s", code, err, p.Stdout, p.Stderr)
	}
	var saw vscodeSaw
	if err := json.Unmarshal([]byte(p.Stdout.String()), &saw); err != nil {
		t.Fatalf("%v in what the session printed:\n%s", err, p.Stdout)
	}
	return saw
}

// checkVSCodeStart looks at what was answered before any request came.
func checkVSCodeStart(t *testing.T, saw vscodeSaw, plan vscodePlan) {
	t.Helper()
	for _, name := range []string{
		"supportsConfigurationDoneRequest", "supportsEvaluateForHovers", "supportsClipboardContext",
		"supportsDelayedStackTraceLoading", // asked for, or VS Code does not page stacks
	} {
		if saw.Capabilities[name] != true {
			t.Errorf("%s is %v", name, saw.Capabilities[name])
		}
	}
	if len(saw.Breakpoints) != 1 || !saw.Breakpoints[0].Verified ||
		saw.Breakpoints[0].Line != plan.BreakLines[0] || saw.Breakpoints[0].Source.Path != plan.File {
		t.Errorf("breakpoints %+v, want one, verified at %s:%d", saw.Breakpoints, plan.File, plan.BreakLines[0])
	}
	if len(saw.Threads) != 0 {
		t.Errorf("before any request the threads are %+v", saw.Threads)
	}
}

// checkVSCodeStops looks at the three stops at the breakpoint and at what VS
// Code fetches then.
func checkVSCodeStops(t *testing.T, saw vscodeSaw, plan vscodePlan) {
	t.Helper()
	for _, one := range []struct {
		vscodeStop
		id      string   // of the order
		threads []string // in flight
	}{
		{saw.First, "7", []string{"7"}},
		{saw.Second, "14", []string{"7", "14"}},
		{saw.Third, "3", []string{"3"}},
	} {
		checkVSCodeStopped(t, one.Stop, "breakpoint", one.Stop.ThreadID)
		if len(saw.Breakpoints) == 1 && !slices.Equal(one.Stop.HitBreakpointIDs, []int{saw.Breakpoints[0].ID}) {
			t.Errorf("order %s: stopped by the breakpoints %v, want %d", one.id, one.Stop.HitBreakpointIDs, saw.Breakpoints[0].ID)
		}
		if len(one.Stack.Threads) != len(one.threads) {
			t.Errorf("order %s: the threads are %+v, want those of the orders %v", one.id, one.Stack.Threads, one.threads)
		}
		for _, id := range one.threads {
			checkVSCodeThread(t, one.Stack.Threads, id)
		}
		checkVSCodeStack(t, one.vscodeStop, plan)
		if got := one.Variables["id"].Value; got != one.id {
			t.Errorf("id is %q, want %s", got, one.id)
		}
	}
	if saw.First.Stop.ThreadID == saw.Second.Stop.ThreadID {
		t.Errorf("both requests are thread %d", saw.First.Stop.ThreadID)
	}
	for _, ev := range saw.Events { // a missing flag means all threads
		if ev.Event == "continued" {
			t.Errorf("an event that nobody needs: continued %s", ev.Body)
		}
	}
}

// checkVSCodeThread fails unless the request for an order is among threads.
func checkVSCodeThread(t *testing.T, threads []vscodeThread, order string) {
	t.Helper()
	name := "GET /orders/" + order + " from " + harness.Allowed
	if !slices.ContainsFunc(threads, func(th vscodeThread) bool { return th.Name == name }) {
		t.Errorf("the threads are %+v, want %q among them", threads, name)
	}
}

// checkVSCodeStack fails unless a stack was served in pages and stands where
// the breakpoint is.
func checkVSCodeStack(t *testing.T, stop vscodeStop, plan vscodePlan) {
	t.Helper()
	stack := stop.Stack
	if stack.FirstPage != 1 || len(stack.Frames) > 20 || stack.Total < len(stack.Frames) {
		t.Errorf("%d frames on the first page, %d on both, %d in all", stack.FirstPage, len(stack.Frames), stack.Total)
	}
	checkVSCodeFrame(t, stack.Frames[0], plan.File, plan.BreakLines[0], "main.(*api).order")
	if !slices.ContainsFunc(stack.Frames, func(f vscodeFrame) bool { return f.Name == "http.(*conn).serve" }) {
		t.Errorf("no http.(*conn).serve in the stack %+v", stack.Frames)
	}
	if len(stop.Scopes) != 2 || !strings.HasPrefix(stop.Scopes[0].Name, "Locals") || stop.Scopes[1].Name != "Request" {
		t.Errorf("the scopes are %+v", stop.Scopes)
	}
}

// checkVSCodeFrame fails unless a frame is where it must be.
func checkVSCodeFrame(t *testing.T, f vscodeFrame, file string, line int, function string) {
	t.Helper()
	if f.Source.Path != file || f.Line != line || f.Name != function {
		t.Errorf("a frame is %s %s:%d, want %s %s:%d", f.Name, f.Source.Path, f.Line, function, file, line)
	}
}

// checkVSCodeStopped fails unless a stopped event is about one thread alone, in
// so many words.
func checkVSCodeStopped(t *testing.T, stop vscodeStopped, reason string, thread int) {
	t.Helper()
	if stop.Reason != reason || stop.ThreadID != thread || stop.AllThreadsStopped == nil || *stop.AllThreadsStopped {
		t.Errorf("stopped event %+v, want %s of thread %d with allThreadsStopped false", stop, reason, thread)
	}
}

// checkVSCodeValues looks at the first request's variables and expressions.
func checkVSCodeValues(t *testing.T, saw vscodeSaw) {
	t.Helper()
	for _, one := range []struct {
		name string
		vars map[string]vscodeVariable
		want map[string]string // each contained in the value
	}{
		{"order", saw.Order, map[string]string{"ID": "7", "Customer": "Edsger", "Payment": "Invoice", "Note": "leave at the door"}},
		{"order.Items[1]", saw.Item, map[string]string{"SKU": `"pen-blue"`, "Quantity": "12", "Cents": "149"}},
	} {
		for _, field := range slices.Sorted(maps.Keys(one.want)) {
			if got := one.vars[field].Value; !strings.Contains(got, one.want[field]) {
				t.Errorf("%s.%s is %q, want %s", one.name, field, got, one.want[field])
			}
		}
	}
	// A copied string is a literal as well, as Delve has it.
	if want := []string{"7", `"Edsger"`, "24", `"leave at the door"`, "hideSystemGoroutines\ttrue\n"}; !slices.Equal(saw.Evaluated, want) {
		t.Errorf("the expressions are %q, want %q", saw.Evaluated, want)
	}
	for i, why := range []string{"nosuchthing", "needs the role mutate"} {
		if i >= len(saw.Refused) || !strings.Contains(saw.Refused[i], why) {
			t.Errorf("the refusals are %q, want %q in the one at %d", saw.Refused, why, i)
		}
	}
}

// checkVSCodeSteps looks at the steps of two frozen requests: each moved alone.
func checkVSCodeSteps(t *testing.T, saw vscodeSaw, plan vscodePlan) {
	t.Helper()
	first, second := saw.First.Stop.ThreadID, saw.Second.Stop.ThreadID
	service := vscodeFile(mark(t, "service-price"))
	const order = "main.(*api).order"
	for _, one := range []struct {
		steps  []vscodeStep
		thread int
		line   int
	}{{saw.ToCall, second, plan.CallLine}, {saw.Together[0], first, plan.CallLine}, {saw.Together[1], second, plan.AfterCallLine}} {
		for _, step := range one.steps {
			checkVSCodeStopped(t, step.Stop, "step", one.thread)
		}
		checkVSCodeFrame(t, one.steps[len(one.steps)-1].Frame, plan.File, one.line, order)
	}
	checkVSCodeStopped(t, saw.Into.Stop, "step", second)
	checkVSCodeFrame(t, saw.Into.Frame, service, saw.Into.Frame.Line, "main.(*service).Price")
	checkVSCodeStopped(t, saw.Out.Stop, "step", second)
	checkVSCodeFrame(t, saw.Out.Frame, plan.File, plan.CallLine, order)
	checkVSCodeFrame(t, saw.FirstStays, plan.File, plan.BreakLines[0], order)
	if saw.FirstStillID != "7" {
		t.Errorf("after the steps of the other, id of the first is %s", saw.FirstStillID)
	}
	if saw.OthersServed != plan.Others || saw.AnsweredEarly {
		t.Errorf("with two frozen, %d of %d others were served; a frozen one was answered: %t", saw.OthersServed, plan.Others, saw.AnsweredEarly)
	}
}

// checkVSCodeEnd looks at how the requests went on.
func checkVSCodeEnd(t *testing.T, saw vscodeSaw) {
	t.Helper()
	for _, reply := range []vscodeContinued{saw.ContinuedSecond, saw.ContinuedFirst} {
		if reply.AllThreadsContinued == nil || *reply.AllThreadsContinued {
			t.Errorf("continue was answered with %+v, want allThreadsContinued false", reply)
		}
	}
	if len(saw.AfterSecond) != 1 || !saw.FirstHeld {
		t.Errorf("after one was continued the threads are %+v; the other is held: %t", saw.AfterSecond, saw.FirstHeld)
	}
	checkVSCodeThread(t, saw.AfterSecond, "7")
	if got := [...]int{saw.FirstStatus, saw.SecondStatus, saw.ThirdStatus}; got != [...]int{200, 200, 200} {
		t.Errorf("the requests were answered with %v", got)
	}
}
