//go:build linux && amd64

package live_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// TestSeizeDoesNotStop: a traced request without stops runs to its end by
// itself, and its thread sleeps like any other one meanwhile.
func TestSeizeDoesNotStop(t *testing.T) {
	s := newShop(t)
	r := s.trap(t, "/slow?ms=300", live.Plan{})
	r.awaitState(t, board.StateRunning)
	eventually(t, "the traced thread sleeps", func() bool { return r.asleep(t) })
	if tracer := r.status(t)["TracerPid"]; tracer == "0" {
		t.Error("the thread is not traced")
	}
	if !r.reply.pending() {
		t.Fatal("the response came too soon for the test to have seen anything")
	}
	r.gone(t)
	r.reply.ok(t)
}

func TestFreezeAndResume(t *testing.T) {
	s := newShop(t, "-gc", "5ms")
	addr := s.sym.at(t, "order-loaded")
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{addr}})
	fr := r.frozen(t)
	if fr.Cause != live.CauseStop || fr.Addr != addr || fr.State.Regs.Rip != addr {
		t.Errorf("frozen: cause %d, address %#x, RIP %#x; want address %#x", fr.Cause, fr.Addr, fr.State.Regs.Rip, addr)
	}
	if len(fr.Unarmed) != 0 {
		t.Errorf("unarmed: %x", fr.Unarmed)
	}
	if len(fr.State.XState) < 576 { // legacy area and header, Intel SDM vol. 1, 13.4
		t.Errorf("an XSAVE area of %d bytes", len(fr.State.XState))
	}
	// runtime.g begins with the bounds of its stack.
	lo, err := s.proc.Mem.Uint64(fr.State.G)
	if err != nil || fr.State.Regs.Rsp < lo || s.depth(t, fr) > 1<<20 {
		t.Errorf("g %#x: stack from %#x, %v; RSP %#x", fr.State.G, lo, err, fr.State.Regs.Rsp)
	}
	now, err := s.board.ReadSlot(r.slot.i)
	if err != nil || !now.Held || now.State != board.StateRunning {
		t.Errorf("slot %+v, %v: not held", now, err)
	}
	// Frozen is not stopped: the thread sleeps in the wait function, traced,
	// and what the runtime does with the others does not wait for it.
	s.serveOthers(t, 100)
	eventually(t, "the frozen thread sleeps", func() bool { return r.asleep(t) })
	if !r.reply.pending() {
		t.Fatal("the frozen request was answered")
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestHeldForLong: longer than the service's wait for a single word.
func TestHeldForLong(t *testing.T) {
	s := newShop(t, "-gc", "5ms")
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{s.sym.at(t, "repo-find")}})
	r.frozen(t)
	until := time.Now().Add(700 * time.Millisecond)
	for time.Now().Before(until) {
		if err := s.board.Beat(); err != nil {
			t.Fatal(err)
		}
		// repo-find holds the store's lock: /orders would wait.
		if status, err := get(others, s.url+"/healthz"); status != 200 || err != nil {
			t.Fatalf("another request: %d, %v", status, err)
		}
		// The runtime's preemption signal must be serviced all the time.
		if err := unix.Tgkill(s.pid, r.TID(), unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	if !r.reply.pending() {
		t.Fatal("the frozen request was answered")
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

func TestFourBreakpoints(t *testing.T) {
	s := newShop(t)
	var stops []uint64
	for _, name := range []string{"order-entry", "service-load", "repo-find", "order-loaded"} {
		stops = append(stops, s.sym.at(t, name))
	}
	plan := live.Plan{Stops: stops}
	r := s.trap(t, "/orders/7", plan)
	for i, want := range stops {
		fr := r.frozen(t)
		if fr.Addr != want || len(fr.Unarmed) != 0 {
			t.Fatalf("stop %d: at %#x, unarmed %x, want %#x", i, fr.Addr, fr.Unarmed, want)
		}
		r.Resume(plan)
	}
	r.gone(t)
	r.reply.ok(t)
}

// TestFiveBreakpoints: the hardware holds four; the last one in the list is not
// watched, which must be said.
func TestFiveBreakpoints(t *testing.T) {
	s := newShop(t)
	fifth := s.sym.at(t, "order-entry") // would be hit first
	var stops []uint64
	for _, name := range []string{"order-loaded", "order-price", "service-load", "repo-find"} {
		stops = append(stops, s.sym.at(t, name))
	}
	r := s.trap(t, "/orders/7", live.Plan{Stops: append(stops, fifth)})
	fr := r.frozen(t)
	if fr.Addr != s.sym.at(t, "service-load") || !slices.Equal(fr.Unarmed, []uint64{fifth}) {
		t.Errorf("stopped at %#x, unarmed %x; want %#x, unarmed %x", fr.Addr, fr.Unarmed, stops[2], fifth)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

func TestSetStopsWhileRunning(t *testing.T) {
	s := newShop(t)
	first, second := s.sym.at(t, "slow"), s.sym.at(t, "slow-done")
	r := s.trap(t, "/slow?ms=1000", live.Plan{Stops: []uint64{first}})
	if fr := r.frozen(t); fr.Addr != first {
		t.Fatalf("stopped at %#x, want %#x", fr.Addr, first)
	}
	r.SetStops([]uint64{s.sym.at(t, "order-entry")}) // no effect while frozen
	r.Resume(live.Plan{Stops: []uint64{first}})
	// Blocked in the select, which it is when its thread sleeps without being
	// held, it learns of the new stop.
	eventually(t, "the request goes on", func() bool {
		now, err := s.board.ReadSlot(r.slot.i)
		if err != nil {
			t.Fatal(err)
		}
		return !now.Held && r.asleep(t)
	})
	r.SetStops([]uint64{second})
	if fr := r.frozen(t); fr.Cause != live.CauseStop || fr.Addr != second {
		t.Fatalf("stopped at %#x (cause %d), want %#x", fr.Addr, fr.Cause, second)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestTwoAtOnce: each moves by itself.
func TestTwoAtOnce(t *testing.T) {
	s := newShop(t, "-gc", "5ms")
	entry, loaded := s.sym.at(t, "order-entry"), s.sym.at(t, "order-loaded")
	plan := live.Plan{Stops: []uint64{entry, loaded}}
	a := s.trap(t, "/orders/7", plan)
	a.frozen(t)
	b := s.trap(t, "/orders/8", plan)
	b.frozen(t)
	if a.TID() == b.TID() {
		t.Fatal("both requests are on one thread")
	}
	b.Resume(plan)
	if fr := b.frozen(t); fr.Addr != loaded {
		t.Errorf("the second one at %#x, want %#x", fr.Addr, loaded)
	}
	s.serveOthers(t, 20)
	b.Resume(live.Plan{})
	b.gone(t)
	b.reply.ok(t)
	if !a.reply.pending() {
		t.Fatal("the first request was answered")
	}
	a.Resume(plan)
	if fr := a.frozen(t); fr.Addr != loaded {
		t.Errorf("the first one at %#x, want %#x", fr.Addr, loaded)
	}
	a.Resume(live.Plan{})
	a.gone(t)
	a.reply.ok(t)
}

func TestReleaseWhileFrozen(t *testing.T) {
	s := newShop(t)
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{s.sym.at(t, "order-entry"), s.sym.at(t, "order-loaded")}})
	r.frozen(t)
	r.Release()
	r.gone(t) // and not frozen again at order-loaded
	r.reply.ok(t)
}

func TestReleaseWhileRunning(t *testing.T) {
	s := newShop(t)
	r := s.trap(t, "/slow?ms=1500", live.Plan{Stops: []uint64{s.sym.at(t, "slow-done")}})
	r.awaitState(t, board.StateRunning)
	r.Release()
	r.gone(t)
	if !r.reply.pending() {
		t.Fatal("the response came before the release: the test has seen nothing")
	}
	if tracer := r.status(t)["TracerPid"]; tracer != "0" {
		t.Errorf("the thread of a released request is traced by %s", tracer)
	}
	r.reply.ok(t)
}

// TestKilledWhileFrozen: the last event says that the process is the reason.
func TestKilledWhileFrozen(t *testing.T) {
	s := newShop(t)
	s.killed = true
	a := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{s.sym.at(t, "order-loaded")}})
	a.frozen(t)
	b := s.trap(t, "/slow?ms=20000", live.Plan{})
	b.awaitState(t, board.StateRunning)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*trapped{"frozen": a, "running": b} {
		if err := r.end(t); !errors.Is(err, live.ErrGone) {
			t.Errorf("the %s request: %v, want ErrGone", name, err)
		}
	}
	// Nobody listens any more.
	a.Resume(live.Plan{})
	a.Pause()
	a.Release()
	a.SetStops(nil)
}

func TestSeizeFails(t *testing.T) {
	s := newShop(t)
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{s.sym.at(t, "order-entry")}})
	r.frozen(t)
	for _, c := range []struct {
		name string
		tid  int
		want error
	}{
		{"no such thread", 1 << 22, unix.ESRCH}, // PID_MAX_LIMIT of a 64-bit kernel
		{"traced already", r.TID(), unix.EPERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := &trapped{Thread: live.Seize(s.proc, c.tid, unusedSlot{}, live.Plan{}), s: s}
			if err := other.end(t); !errors.Is(err, c.want) {
				t.Errorf("Gone: %v, want %v", err, c.want)
			}
		})
	}
	t.Run("the request has gone on", func(t *testing.T) {
		late := &trapped{Thread: live.Seize(s.proc, r.TID(), lapsedSlot{}, live.Plan{}), s: s}
		late.gone(t) // without an error: it has not tried
	})
	r.Release()
	r.gone(t)
	r.reply.ok(t)
}

// lapsedSlot is that of a request that the agent was too late for.
type lapsedSlot struct{ unusedSlot }

func (lapsedSlot) Running() bool { return false }

// unusedSlot is that of a request that is not traced: it may be told that its
// thread is free, and calling anything else fails the test with a panic.
type unusedSlot struct {
	live.Slot // nil
}

func (unusedSlot) Running() bool   { return true }
func (unusedSlot) Released() error { return nil }

func (s unusedSlot) SetHeld(held bool) error {
	if held {
		return s.Slot.SetHeld(held)
	}
	return nil
}

func TestCheckBreakpoints(t *testing.T) {
	if err := live.CheckBreakpoints(); err != nil {
		t.Errorf("hardware breakpoints, which all tests here need: %v", err)
	}
	fds := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := fds()
	for range 10 {
		if err := live.CheckBreakpoints(); err != nil {
			t.Fatal(err)
		}
	}
	if after := fds(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestNothingIsLeft: neither descriptors nor threads of ours.
func TestNothingIsLeft(t *testing.T) {
	s := newShop(t)
	addr := s.sym.at(t, "order-loaded")
	round := func() {
		r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{addr}})
		r.frozen(t)
		r.Resume(live.Plan{})
		r.gone(t)
		r.reply.ok(t)
	}
	round()
	events := perfEvents(t)
	for range 10 {
		round()
	}
	if events != 0 || perfEvents(t) != 0 {
		t.Errorf("%d, later %d perf events are left open", events, perfEvents(t))
	}
	if slots := s.tracedThreads(t); slots != 0 {
		t.Errorf("%d threads are traced", slots)
	}
}

func perfEvents(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range list {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && target == "anon_inode:[perf_event]" {
			n++
		}
	}
	return n
}

func (s *service) tracedThreads(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range list {
		if _, err := strconv.Atoi(task.Name()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", s.pid, task.Name()))
		if err == nil && parseStatus(string(text))["TracerPid"] != "0" {
			n++
		}
	}
	return n
}
