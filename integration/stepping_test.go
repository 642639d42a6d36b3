//go:build linux && amd64

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// steppingDiffers lists the walks that end elsewhere than dlv's, and why that is
// right. A walk that is listed and does not differ fails the test, too.
var steppingDiffers = map[string]string{
	"channels stepIn":        stepIntoGo,
	"channels stepOut":       stepIntoGo,
	"gostart stepIn":         stepIntoGo,
	"methods stepIn":         noWrapperLine,
	"methods stepOut":        noWrapperLine,
	"typeswitch stepIn":      noWrapperLine,
	"recoveredinside stepIn": sameDepth,
}

const stepIntoGo = "dlv steps into a go statement by leaving the request for the new goroutine; here that one is a thread of its own, which a breakpoint stops"

const noWrapperLine = "dlv shows no source for the wrapper of a method value; here it has the method's line"

const sameDepth = "a panic has ended the function being stepped; dlv takes its next call, which begins as deep in the stack, for the one that it steps"

// maxSteps bounds a walk.
const maxSteps = 40

// TestSteppingAsDlv walks through programs for each construct of the language, by
// next, by stepIn, and by stepIn and stepOut in turns, with stock dlv and with
// remotedbg on the same optimised binary: every step must end on the same line.
func TestSteppingAsDlv(t *testing.T) {
	t.Parallel()
	binary, marks := steppingTarget(t)
	if len(marks) < 40 {
		t.Fatalf("%d programs", len(marks))
	}
	ours, dlv := remotedbgWalker(t, binary), dlvWalker(t, binary)
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		if strings.HasPrefix(name, libraryMark) {
			continue
		}
		for _, way := range []string{"next", "stepIn", "stepOut"} {
			walk := name + " " + way
			seen[walk] = true
			got, want := ours.walk(t, marks[name], way), dlv.walk(t, marks[name], way)
			why, listed := steppingDiffers[walk]
			same := slices.Equal(got, want)
			switch {
			case same && listed:
				t.Errorf("%s is listed as different and is not", walk)
			case !same && !listed:
				t.Errorf("%s:\n%s", walk, beside(want, got))
			case listed:
				t.Logf("%s differs: %s\n%s", walk, why, beside(want, got))
			case len(want) < 3:
				t.Errorf("%s: %d steps only: %v", walk, len(want), want)
			}
		}
	}
	for walk := range steppingDiffers {
		if !seen[walk] {
			t.Errorf("%q is listed and is no walk", walk)
		}
	}
}

// steppingTarget is the service whose handlers are walked through, and the first
// line of each.
func steppingTarget(t *testing.T) (binary string, marks map[string]harness.Mark) {
	t.Helper()
	binary, err := builder.Target("stepping")
	must(t, err)
	marks, err = harness.Marks(filepath.Join(builder.Root, "integration", "targets", "stepping"))
	must(t, err)
	return binary, marks
}

// beside shows two walks from where they part.
func beside(dlv, ours []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "      %-40s %s\n", "dlv", "remotedbg")
	for i := range max(len(dlv), len(ours)) {
		line := func(walk []string) string {
			if i < len(walk) {
				return walk[i]
			}
			return "-"
		}
		sign := " "
		if line(dlv) != line(ours) {
			sign = "*"
		}
		fmt.Fprintf(&b, "%s %3d %-40s %s\n", sign, i, line(dlv), line(ours))
	}
	return b.String()
}

// walker is a debugger attached to a service of its own.
type walker struct {
	ide     *daptest.Client
	service *harness.Service
	client  *harness.Client
	reply   chan harness.Reply // to the request that is walked through, if that matters
}

func newWalker(t *testing.T, binary string) *walker {
	t.Helper()
	service, err := harness.StartService(binary)
	must(t, err)
	w := &walker{service: service, client: harness.NewClient(service.URL, harness.Allowed, 4)}
	t.Cleanup(func() {
		w.client.Close()
		service.Kill()
	})
	return w
}

func remotedbgWalker(t *testing.T, binary string) *walker {
	t.Helper()
	w := newWalker(t, binary)
	exe, err := builder.Agent()
	must(t, err)
	agent, err := harness.StartAgent(exe, w.service.PID, "--stall-guard", "off")
	must(t, err)
	t.Cleanup(func() {
		if _, err := agent.Stop(syscall.SIGTERM, endTimeout); err != nil {
			t.Error(err)
		}
	})
	w.ide, err = agent.Dial()
	must(t, err)
	must(t, w.ide.SessionWith(nil, ""))
	return w
}

func dlvWalker(t *testing.T, binary string) *walker {
	t.Helper()
	w := newWalker(t, binary)
	exe, err := builder.Module(stockDlv)
	must(t, err)
	p, err := harness.Start(exe, "dap", "--listen=127.0.0.1:0")
	must(t, err)
	t.Cleanup(p.Kill)
	const ready = "DAP server listening at: "
	line, err := p.Stdout.WaitLine(ready, endTimeout)
	must(t, err)
	w.ide, err = daptest.Dial(strings.TrimPrefix(line, ready))
	must(t, err)
	t.Cleanup(func() { w.ide.Close() })
	must(t, w.ide.SessionWith(map[string]any{"mode": "local", "processId": w.service.PID}, ""))
	return w
}

// stopAt has a request stop at a mark, where there is no breakpoint any more behind
// it. cancel gives the request up.
func (w *walker) stopAt(t *testing.T, m harness.Mark) (stop dap.StoppedEventBody, reply chan harness.Reply, cancel context.CancelFunc) {
	t.Helper()
	if bps, err := w.ide.SetBreakpoints(m.File, m.Line); err != nil || !bps[0].Verified {
		t.Fatalf("breakpoint at %s: %+v, %v", m.Name, bps, err)
	}
	reply = make(chan harness.Reply, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // should it not come to the caller
	go func() { reply <- w.client.Send(ctx, http.MethodGet, "/"+m.Name, nil) }()
	stop, err := w.ide.WaitStopped(daptest.AnyThread)
	must(t, err)
	if _, err := w.ide.SetBreakpoints(m.File); err != nil {
		t.Fatal(err)
	}
	return stop, reply, cancel
}

// walk has a request stop at a mark and steps until the marked function has
// returned. It tells where each step ended.
func (w *walker) walk(t *testing.T, m harness.Mark, way string) (stops []string) {
	t.Helper()
	stop, reply, cancel := w.stopAt(t, m)
	defer cancel()
	w.reply = reply
	handler, over := "", false
	for i := 0; i < maxSteps && !over; i++ {
		frames, _, err := w.ide.StackTrace(stop.ThreadId, 0, 30)
		must(t, err)
		name := func(f dap.StackFrame) string { return strings.TrimSuffix(f.Name, " (inlined)") }
		if handler == "" {
			handler = name(frames[0])
		}
		if !slices.ContainsFunc(frames, func(f dap.StackFrame) bool { return name(f) == handler }) {
			break
		}
		file := "?"
		if frames[0].Source != nil {
			file = filepath.Base(frames[0].Source.Path)
		}
		stops = append(stops, fmt.Sprintf("%s %s:%d", name(frames[0]), file, frames[0].Line))
		kind := stepOf(way, i)
		if !strings.HasPrefix(frames[0].Name, "main.") {
			kind = "stepOut" // the library is not what this is about
		}
		stop, over, err = w.step(stop.ThreadId, kind)
		if err != nil && len(reply) > 0 {
			break // dlv: the step had no end, and the request went on to its own
		}
		if err != nil {
			t.Fatalf("%s, %s behind %v: %v", m.Name, kind, stops, err)
		}
	}
	if !over && len(reply) == 0 {
		_, err := w.ide.Do("continue", map[string]any{"threadId": stop.ThreadId})
		must(t, err)
	}
	if r := <-reply; r.Err != nil || r.Status != http.StatusOK {
		t.Fatalf("/%s: status %d, %v", m.Name, r.Status, r.Err)
	}
	return stops
}

// stepOf is the step number i of a way to walk.
func stepOf(way string, i int) string {
	if way == "stepOut" && i%3 != 2 {
		return "stepIn"
	}
	return way
}

// stepLook is how long a step is waited for that seems to have no end: its request has
// been answered.
const stepLook = time.Second

// step makes one step of a thread; over: its request has ended.
func (w *walker) step(thread int, kind string) (stop dap.StoppedEventBody, over bool, err error) {
	if _, err := w.ide.Do(kind, map[string]any{"threadId": thread}); err != nil {
		return stop, false, err
	}
	patience := w.ide.Timeout
	defer func() { w.ide.Timeout = patience }()
	w.ide.Timeout = stepLook
	for end := time.Now().Add(patience); ; {
		answered := len(w.reply) > 0
		_, err = w.ide.Wait("the end of a step", func(ev dap.EventMessage) bool {
			switch ev := ev.(type) {
			case *dap.StoppedEvent:
				stop = ev.Body
				return true
			case *dap.ThreadEvent:
				over = ev.Body.Reason == "exited" && ev.Body.ThreadId == thread
				return over
			}
			return false
		})
		if !errors.Is(err, daptest.ErrTimeout) || answered || time.Now().After(end) {
			return stop, over, err
		}
	}
}
