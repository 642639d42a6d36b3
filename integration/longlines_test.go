//go:build linux && amd64

package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// longLines are the programs of targets/longlines, and what each has in its line.
var longLines = []struct{ name, what string }{
	{"inline", "a loop in a function that is inlined"},
	{"loop", "a loop"},
	{"loopcalls", "a loop that makes 20,000,000 calls"},
	{"call", "a function that is called"},
	{"closure", "a closure that sort.Slice calls"},
	{"recursive", "a recursive function"},
	{"inside", "a recursion that comes back to the line 1,000 times"},
}

// stoppedMost is the longest that a thread may have been in ptrace-stops over a
// line of a hundred million instructions. To single-step it would take a quarter
// of an hour; a thousand stops, on a machine where each waits for a processor, take
// seconds.
const stoppedMost = 15 * time.Second

// slow is a step that is not made again, for a median.
const slow = 2 * time.Second

// TestLongLines: next over a line that executes a hundred million instructions
// ends on the next line, and does not single-step them. How long it takes is
// logged, beside the line without a debugger and stock dlv on the same binary.
func TestLongLines(t *testing.T) {
	t.Parallel()
	binary, err := builder.Target("longlines")
	must(t, err)
	marks, err := harness.Marks(filepath.Join(builder.Root, "integration", "targets", "longlines"))
	must(t, err)
	ours := newWalker(t, binary)
	exe, err := builder.Agent()
	must(t, err)
	agent, err := harness.StartAgent(exe, ours.service.PID, "--stall-guard", "off")
	must(t, err)
	t.Cleanup(func() {
		if _, err := agent.Stop(syscall.SIGTERM, endTimeout); err != nil {
			t.Error(err)
		}
	})
	ours.ide, err = agent.Dial()
	must(t, err)
	must(t, ours.ide.SessionWith(nil, ""))
	dlv := dlvWalker(t, binary)
	ours.ide.Timeout, dlv.ide.Timeout = time.Minute, time.Minute

	rounds := 1
	if *full { // for medians
		rounds = 3
	}
	for _, line := range longLines {
		var alone, took, theirs []time.Duration
		var stopped time.Duration
		for range rounds {
			alone = append(alone, ours.alone(t, "/"+line.name))
			took = append(took, ours.over(t, marks, line.name))
			released := 0
			must(t, harness.Until(endTimeout, "the agent tells how long the thread was stopped", func() (err error) {
				stopped, released = stoppedOf(agent, "/"+line.name)
				if released < len(took) {
					err = fmt.Errorf("it was released %d times", released)
				}
				return err
			}))
			if stopped > stoppedMost {
				t.Errorf("%s: the thread was stopped for %v", line.what, stopped)
			}
			if n := len(theirs); n == 0 || theirs[n-1] < slow {
				theirs = append(theirs, dlv.over(t, marks, line.name))
			}
		}
		t.Logf("%s: the request alone %v; next %v, its thread stopped for %v; dlv %v; ratio %.2f", line.what,
			middle(alone).Round(time.Millisecond), middle(took).Round(time.Millisecond), stopped, middle(theirs).Round(time.Millisecond),
			middle(took).Seconds()/middle(theirs).Seconds())
	}
}

func middle(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// alone is how long a request takes that nobody stops.
func (w *walker) alone(t *testing.T, path string) time.Duration {
	t.Helper()
	others := harness.NewClient(w.service.URL, harness.Others, 1)
	defer others.Close()
	began := time.Now()
	must(t, others.All(1, path, time.Minute))
	return time.Since(began)
}

// over stops a request at a long line and makes one step, which must end on the
// next. It tells how long that took.
func (w *walker) over(t *testing.T, marks map[string]harness.Mark, name string) time.Duration {
	t.Helper()
	from, to := marks[name], marks[name+"-end"]
	if to.Line != from.Line+1 && name != "loop" { // whose body is empty
		t.Fatalf("%s: the marks are at lines %d and %d", name, from.Line, to.Line)
	}
	if bps, err := w.ide.SetBreakpoints(from.File, from.Line); err != nil || !bps[0].Verified {
		t.Fatalf("breakpoint at %s: %+v, %v", name, bps, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	reply := make(chan harness.Reply, 1)
	go func() { reply <- w.client.Send(ctx, http.MethodGet, "/"+name, nil) }()
	stop, err := w.ide.WaitStopped(daptest.AnyThread)
	must(t, err)
	_, err = w.ide.SetBreakpoints(from.File)
	must(t, err)
	w.stands(t, stop.ThreadId, from)

	began := time.Now()
	stop, over, err := w.step(stop.ThreadId, "next")
	took := time.Since(began)
	if err != nil || over || stop.Reason != "step" {
		t.Fatalf("%s: next ended with %+v, over: %t, %v", name, stop, over, err)
	}
	w.stands(t, stop.ThreadId, to)

	_, err = w.ide.Do("continue", map[string]any{"threadId": stop.ThreadId})
	must(t, err)
	if r := <-reply; r.Err != nil || r.Status != http.StatusOK {
		t.Fatalf("/%s: status %d, %v", name, r.Status, r.Err)
	}
	return took
}

// stands fails unless a thread is at a mark.
func (w *walker) stands(t *testing.T, thread int, m harness.Mark) {
	t.Helper()
	frames, _, err := w.ide.StackTrace(thread, 0, 1)
	must(t, err)
	if frames[0].Source == nil || frames[0].Source.Path != m.File || frames[0].Line != m.Line {
		t.Fatalf("thread %d is at %+v, want %s (%s:%d)", thread, frames[0], m.Name, m.File, m.Line)
	}
}

var releasedPattern = regexp.MustCompile(`released after \S+ \(its thread was stopped for (\S+) of it\): GET (\S+)`)

// stoppedOf is for how long the thread of the last request for a path was in
// ptrace-stops, and how many the agent has let go of.
func stoppedOf(a *harness.Agent, path string) (last time.Duration, released int) {
	for _, m := range releasedPattern.FindAllStringSubmatch(a.Stderr.String(), -1) {
		if d, err := time.ParseDuration(m[1]); err == nil && m[2] == path {
			last = d
			released++
		}
	}
	return last, released
}
