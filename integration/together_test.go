//go:build linux && amd64

package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// Everything at once, in one request: panics are watched for, more breakpoints are
// set than the hardware has, on lines that everybody runs, and its goroutines are
// followed. See the target together.

var togetherMarks = sync.OnceValues(func() (map[string]harness.Mark, error) {
	return harness.Marks(filepath.Join(builder.Root, "integration", "targets", "together"))
})

// togetherStops are where IDEs of these tests have breakpoints, the oldest first: by
// those set last the hardware is used up.
var togetherStops = []string{
	"price-base", "price-tax", "price-ship", "price-sum", "price-all", "price-done",
	"seldom-1", "seldom-2", "seldom-3", "seldom-4", "seldom-5",
}

const togetherPath = "/mixed?wait=1"

// together is the target under the load of others.
type together struct {
	*panicRig
	load *harness.Load
}

func newTogether(t *testing.T) *together {
	t.Helper()
	binary, err := builder.Target("together")
	must(t, err)
	marks, err := togetherMarks()
	must(t, err)
	r := &together{panicRig: &panicRig{rig: rigOf(t, binary), marks: marks}}
	r.load = harness.StartLoad(r.service.URL, "/price?n=5", 2)
	t.Cleanup(func() { r.load.Stop() })
	return r
}

// open attaches an agent with an IDE.
func (r *together) open() {
	r.t.Helper()
	r.attach()
	r.connect()
}

// connect connects an IDE that has all breakpoints and the filter.
func (r *together) connect() {
	r.t.Helper()
	r.Client = r.dial(r.agents[len(r.agents)-1])
	must(r.t, r.SessionWith(nil, ""))
	if bp := r.filter(filter("panic", ""))[0]; !bp.Verified {
		r.t.Fatalf("the filter: %+v", bp)
	}
	var lines []int
	for _, name := range togetherStops {
		lines = append(lines, r.marks[name].Line)
	}
	bps, err := r.SetBreakpoints(r.marks[togetherStops[0]].File, lines...)
	must(r.t, err)
	for i, bp := range bps {
		if !bp.Verified {
			r.t.Fatalf("%s: %+v", togetherStops[i], bp)
		}
	}
}

// stops waits until a thread stops for a reason at a mark. It is nil if the agent
// was too late for one.
func (r *together) stops(reason, name string) *thread {
	r.t.Helper()
	stop, late, err := stoppedOrLate(r.Client, daptest.AnyThread)
	if err != nil {
		r.t.Fatalf("waiting for %s: %v; output: %q", name, err, outputs(r.Events()))
	}
	if late {
		return nil
	}
	return r.stands(stop, reason, name)
}

// stands fails unless a thread has stopped for a reason at a mark.
func (r *together) stands(stop dap.StoppedEventBody, reason, name string) *thread {
	r.t.Helper()
	th := &thread{&ide{r.Client, r.t}, stop.ThreadId}
	if top := th.top(); stop.Reason != reason || stop.AllThreadsStopped || top.Line != r.marks[name].Line {
		r.t.Fatalf("stopped %+v at %v, want %s at %s", stop, top, reason, name)
	}
	return th
}

// meets waits until a thread stops at a breakpoint.
func (r *together) meets(th *thread, name string) {
	r.t.Helper()
	stop, err := r.WaitStopped(th.id)
	must(r.t, err)
	r.stands(stop, "breakpoint", name)
}

// freeze sends the request, and waits until two of its goroutines are frozen at a
// breakpoint and then the third where it panics.
func (r *together) freeze() (p *pending, siblings []*thread, panicked *thread) {
	r.t.Helper()
	for range 5 {
		p = r.request(togetherPath)
		if siblings, panicked = r.gather(); panicked != nil {
			p.held(r.t)
			return p, siblings, panicked
		}
		must(r.t, r.Disconnect())
		r.release(time.Second) // if it still waits
		r.answered(p)
		r.connect()
	}
	r.t.Fatal("the agent was too late each time")
	return nil, nil, nil
}

// gather waits for the three stops; panicked is nil if one does not come.
func (r *together) gather() (siblings []*thread, panicked *thread) {
	r.t.Helper()
	for range 2 {
		th := r.stops("breakpoint", "price-base")
		if th == nil {
			return nil, nil
		}
		siblings = append(siblings, th)
	}
	if !r.release(endTimeout) {
		r.t.Fatal("the third goroutine does not wait")
	}
	return siblings, r.stops("exception", "broken")
}

// release has the third goroutine go on and panic.
func (r *together) release(atMost time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	return r.others.Get(ctx, "/release").Status == 200
}

// answered checks the answer to the request: it is the one without a debugger.
func (r *together) answered(p *pending) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	want := r.others.Get(ctx, "/mixed")
	if reply := p.ok(r.t); reply.Body != want.Body || want.Status != 200 {
		r.t.Errorf("the answer is %q, without a debugger %+v", reply.Body, want)
	}
}

// unharmed checks that none of the others noticed anything, and starts them anew.
func (r *together) unharmed() {
	r.t.Helper()
	result := r.load.Stop()
	if result.Failed > 0 || result.Served == 0 {
		r.t.Errorf("of the others %d were served and %d failed, first: %v", result.Served, result.Failed, result.FirstBad)
	}
	r.load = harness.StartLoad(r.service.URL, "/price?n=5", 2)
}

// TestTogether: each goroutine is its own thread and stops where it should, with its
// own variables; nobody else notices.
func TestTogether(t *testing.T) {
	t.Parallel()
	r := newTogether(t)
	r.open()
	p, siblings, panicked := r.freeze()

	var seen []string
	for _, th := range siblings {
		v, err := r.Evaluate("n", th.top().ID, "watch")
		must(t, err)
		seen = append(seen, v.Result)
		th.callers("main.price", "main.part")
	}
	slices.Sort(seen)
	if !slices.Equal(seen, []string{"1", "2"}) {
		t.Errorf("the siblings have n = %v", seen)
	}
	if info := r.info(panicked); info.ExceptionId != "panic" || info.Details.FullTypeName != "runtime.errorString" {
		t.Errorf("%+v, %+v", info, info.Details)
	}
	panicked.callers("main.broken")
	if list, err := r.Threads(); err != nil || len(list) < 3 {
		t.Errorf("threads %v, %v", list, err)
	}
	// The request's own goroutine runs and waits, for which its uprobes may be set
	// two seconds. Then nothing is in the text, with three goroutines frozen.
	must(t, harness.Until(6*time.Second, "frozen, it has no uprobe", func() error { return harness.TextIntact(r.service.PID) }))
	r.unharmed()

	// One goes from breakpoint to breakpoint, one takes a step, one goes on from
	// its panic, in this order and with the others frozen.
	for _, name := range togetherStops[1:6] {
		must(t, siblings[0].Continue(siblings[0].id))
		r.meets(siblings[0], name)
	}
	if top := siblings[1].step(r.Next); top.Line != r.marks["price-tax"].Line {
		t.Errorf("next led to %v", top)
	}
	panicked.resume()
	p.held(t)
	siblings[0].resume()
	p.held(t)
	for _, name := range togetherStops[2:6] {
		must(t, siblings[1].Continue(siblings[1].id))
		r.meets(siblings[1], name)
	}
	siblings[1].resume()
	r.answered(p)
	must(t, harness.Until(4*time.Second, "no uprobe is left", func() error { return harness.TextIntact(r.service.PID) }))
	r.unharmed()
	for _, ev := range r.Events() {
		if stop, ok := ev.(*dap.StoppedEvent); ok {
			t.Errorf("one stop more: %+v", stop.Body)
		}
	}
}

// TestTogetherKilled kills the agent in the middle of that: with all three frozen,
// and while the siblings run from breakpoint to breakpoint.
func TestTogetherKilled(t *testing.T) {
	t.Parallel()
	r := newTogether(t)
	trials := 3
	if *full {
		trials = 12
	}
	for i := range trials {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r.t = t
			r.open()
			a := r.agents[len(r.agents)-1]
			p, siblings, panicked := r.freeze()
			if i%3 != 0 {
				for _, th := range siblings {
					must(t, th.Continue(th.id))
				}
			}
			if i%3 == 2 {
				must(t, panicked.Continue(panicked.id))
			}
			<-time.After(rand.N(30 * time.Millisecond)) // the random moment, not a wait for anything
			must(t, a.Signal(syscall.SIGKILL))
			r.answered(p)
			if code, err := a.Wait(endTimeout); err != nil || code != -int(syscall.SIGKILL) {
				t.Errorf("the agent ended with %d, %v", code, err)
			}
			r.agents = nil
			must(t, harness.Untraced(r.service.PID))
			must(t, harness.Until(5*time.Second, "no uprobe is left", func() error { return harness.TextIntact(r.service.PID) }))
			r.unharmed()
		})
	}
	r.t = t
	r.attach() // heals what the last one has left on the board
	must(t, harness.Until(endTimeout, "every slot is free", func() error { return harness.SlotsFree(r.service.PID) }))
}
