//go:build linux && amd64

package live_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
)

// TestStepWithin steps through a function line by line: more stops than the
// hardware holds, which single-stepping makes work.
func TestStepWithin(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	start := s.sym.at(t, "order-entry")
	fn := s.sym.around(start)
	lines := s.sym.linesOf(fn)
	if len(lines) <= live.HardwareSlots {
		t.Fatalf("%s has %d lines: no test of many stops", fn.name, len(lines))
	}
	plan := live.Plan{Frame: slices.Collect(maps.Values(lines)), Within: s.sym.bounds(start)}
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{start}})
	fr := r.frozen(t)
	depth := s.depth(t, fr)
	visited := []uint64{fr.Addr}
	for {
		r.Resume(plan)
		ev := r.next(t)
		if ev.Gone != nil {
			if ev.Gone.Err != nil {
				t.Fatal(ev.Gone.Err)
			}
			break
		}
		if ev.Frozen == nil {
			t.Fatalf("after %d lines: %s", len(visited), describe(ev))
		}
		fr := ev.Frozen
		if fr.Cause != live.CauseStop || !slices.Contains(plan.Frame, fr.Addr) {
			t.Fatalf("stopped at %#x (cause %d), which is no line of %s", fr.Addr, fr.Cause, fn.name)
		}
		if d := s.depth(t, fr); d != depth {
			t.Errorf("at %#x the stack is %d bytes deep, at the first line %d: another call of the function", fr.Addr, d, depth)
		}
		if len(fr.Unarmed) != 0 {
			t.Errorf("unarmed: %x", fr.Unarmed)
		}
		if visited = append(visited, fr.Addr); len(visited) > 100 {
			t.Fatal("does not come to an end")
		}
	}
	r.reply.ok(t)
	checkOrder(t, s, visited, "order-entry", "order-loaded", "order-price", "order-priced")
	if slices.Contains(visited, s.sym.at(t, "order-missing")) {
		t.Error("stepped through the branch that is not taken")
	}
}

// checkOrder: the marked lines are among those visited, in this order.
func checkOrder(t *testing.T, s *service, visited []uint64, names ...string) {
	t.Helper()
	rest := visited
	for _, name := range names {
		i := slices.Index(rest, s.sym.at(t, name))
		if i < 0 {
			t.Fatalf("//bp:%s was not visited in its turn: %x", name, visited)
		}
		rest = rest[i+1:]
	}
}

// TestStepOverWhatBlocks: a sleep, a mutex, a channel and the network, in one
// function, with other goroutines that must run meanwhile.
func TestStepOverWhatBlocks(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	start := s.sym.at(t, "steps-level3")
	plan := live.Plan{
		Stops:  slices.Collect(maps.Values(s.sym.linesOf(s.sym.around(start)))),
		Within: s.sym.bounds(start),
	}
	r := s.trap(t, "/steps", live.Plan{Stops: []uint64{start}})
	visited := []uint64{r.frozen(t).Addr}
	end := s.sym.at(t, "steps-level3-end")
	for visited[len(visited)-1] != end {
		r.Resume(plan)
		if visited = append(visited, r.frozen(t).Addr); len(visited) > 100 {
			t.Fatal("does not come to the end of the function")
		}
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
	checkOrder(t, s, visited, "steps-level3", "after-sleep", "after-mutex", "after-chan", "after-net", "steps-level3-end")
}

// TestStopInsideWhatIsRunOver: a breakpoint further down is not missed.
func TestStopInsideWhatIsRunOver(t *testing.T) {
	s := newShop(t)
	start, inside := s.sym.at(t, "order-entry"), s.sym.at(t, "repo-find")
	plan := live.Plan{
		// The most important first, as the back end orders them.
		Stops:  append([]uint64{inside}, slices.Collect(maps.Values(s.sym.linesOf(s.sym.around(start))))...),
		Within: s.sym.bounds(start),
	}
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{start}})
	fr := r.frozen(t)
	for n := 0; fr.Addr != inside; n++ {
		if fr.Addr == s.sym.at(t, "order-loaded") || n > 50 {
			t.Fatal("ran past the breakpoint in the function that was called")
		}
		r.Resume(plan)
		fr = r.frozen(t)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestLeaveTheFunction: stepping ends with the return, and the thread runs on
// to a stop in the caller.
func TestLeaveTheFunction(t *testing.T) {
	s := newShop(t)
	start, back := s.sym.at(t, "repo-found"), s.sym.at(t, "order-loaded")
	r := s.trap(t, "/orders/7", live.Plan{Stops: []uint64{start}})
	r.frozen(t)
	r.Resume(live.Plan{Stops: []uint64{back}, Within: s.sym.bounds(start)})
	if fr := r.frozen(t); fr.Addr != back {
		t.Errorf("stopped at %#x, want %#x", fr.Addr, back)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestUntilText runs to the first function of the service's own, as
// stopOnEntry does.
func TestUntilText(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	r := s.trap(t, "/orders/7", live.Plan{UntilText: s.sym.user, OverText: s.sym.runtime})
	fr := r.frozen(t)
	fn := s.sym.around(fr.State.Regs.Rip)
	if fr.Cause != live.CauseText || !strings.HasPrefix(fn.name, "main.(*api).order") {
		t.Errorf("frozen in %s (cause %d)", fn.name, fr.Cause)
	}
	if fr.Addr != fr.State.Regs.Rip || fr.Addr != fn.start {
		t.Errorf("at %#x, RIP %#x; %s begins at %#x", fr.Addr, fr.State.Regs.Rip, fn.name, fn.start)
	}
	// One instruction.
	r.Resume(live.Plan{
		UntilText: func(uint64) bool { return true },
		OverText:  func(uint64) bool { return false },
	})
	next := r.frozen(t).State.Regs.Rip
	if next <= fr.State.Regs.Rip || next > fr.State.Regs.Rip+15 {
		t.Errorf("one instruction led from %#x to %#x", fr.State.Regs.Rip, next)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestUntilTextNeverThere: the request ends first; nothing is held up.
func TestUntilTextNeverThere(t *testing.T) {
	s := newShop(t)
	never := func(uint64) bool { return false }
	r := s.trap(t, "/healthz", live.Plan{UntilText: never, OverText: s.sym.runtime})
	r.gone(t)
	r.reply.ok(t)
}

// TestRunOverRecursion: the return of the outermost call is told from those of
// the same function further down, also when the runtime moves the stack
// meanwhile, as it does for a thousand frames.
func TestRunOverRecursion(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	for _, path := range []string{"/recursive?n=3", "/recursive?n=1000"} {
		t.Run(path, func(t *testing.T) {
			call, up := s.sym.at(t, "recursive"), s.sym.at(t, "recursive-up")
			fn := s.sym.around(call)
			r := s.trap(t, path, live.Plan{Stops: []uint64{call}})
			outer := r.frozen(t)
			depth := s.depth(t, outer)
			line := [2]uint64{up, up + 16} // some instructions of that line
			r.Resume(live.Plan{
				UntilText: func(pc uint64) bool { return line[0] <= pc && pc < line[1] },
				OverText:  func(pc uint64) bool { return pc == fn.start },
			})
			fr := r.frozen(t)
			if pc := fr.State.Regs.Rip; fr.Cause != live.CauseText || pc < line[0] || pc >= line[1] {
				t.Fatalf("frozen at %#x (cause %d), want %#x", pc, fr.Cause, line)
			}
			if d := s.depth(t, fr); d != depth {
				t.Errorf("%d bytes deep, the outermost call is %d deep", d, depth)
			}
			r.Resume(live.Plan{})
			r.gone(t)
			r.reply.ok(t)
		})
	}
}

// TestUntilTextAtAReturn: the address to which a call returns that was run over
// is one of those that UntilText is asked about.
func TestUntilTextAtAReturn(t *testing.T) {
	s := newShop(t)
	call := s.sym.at(t, "recursive")
	fn := s.sym.around(call)
	r := s.trap(t, "/recursive?n=3", live.Plan{Stops: []uint64{fn.start}})
	ret, err := s.proc.Mem.Uint64(r.frozen(t).State.Regs.Rsp) // of the call from the handler
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	r.gone(t)
	r.reply.ok(t)

	r = s.trap(t, "/recursive?n=3", live.Plan{Stops: []uint64{s.sym.at(t, "recursive-call")}})
	r.frozen(t)
	r.Resume(live.Plan{
		Stops:     []uint64{s.sym.at(t, "recursive-done")},
		UntilText: func(pc uint64) bool { return pc == ret },
		OverText:  func(pc uint64) bool { return pc == fn.start },
	})
	if fr := r.frozen(t); fr.Cause != live.CauseText || fr.State.Regs.Rip != ret {
		t.Errorf("frozen at %#x (cause %d), want %#x", fr.State.Regs.Rip, fr.Cause, ret)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestStopInRecursion: a stop in a deeper call of the function that is stepped.
func TestStopInRecursion(t *testing.T) {
	s := newShop(t)
	call, bottom := s.sym.at(t, "recursive"), s.sym.at(t, "recursive-bottom")
	r := s.trap(t, "/recursive?n=50", live.Plan{Stops: []uint64{call}})
	depth := s.depth(t, r.frozen(t))
	r.Resume(live.Plan{Stops: []uint64{bottom}, Within: s.sym.bounds(call)})
	fr := r.frozen(t)
	if fr.Cause != live.CauseStop || fr.Addr != bottom {
		t.Errorf("stopped at %#x (cause %d), want %#x", fr.Addr, fr.Cause, bottom)
	}
	if d := s.depth(t, fr); d <= depth {
		t.Errorf("%d bytes deep at the bottom, %d in the outermost call", d, depth)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestFrameInRecursion: the lines of the frame being stepped do not count in
// deeper calls of the same function.
func TestFrameInRecursion(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	call, up := s.sym.at(t, "recursive"), s.sym.at(t, "recursive-up")
	r := s.trap(t, "/recursive?n=300", live.Plan{Stops: []uint64{call}})
	depth := s.depth(t, r.frozen(t))
	r.Resume(live.Plan{Frame: []uint64{call, up}, Within: s.sym.bounds(call)})
	fr := r.frozen(t)
	if fr.Cause != live.CauseStop || fr.Addr != up {
		t.Errorf("stopped at %#x (cause %d), want %#x", fr.Addr, fr.Cause, up)
	}
	if d := s.depth(t, fr); d != depth {
		t.Errorf("%d bytes deep, the frame being stepped is %d deep", d, depth)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestReleaseWhileStepping: nobody waits for the end of a long step.
func TestReleaseWhileStepping(t *testing.T) {
	s := newService(t, spinDir)
	r := s.trap(t, "/spin", live.Plan{
		UntilText: func(uint64) bool { return false },
		OverText:  func(uint64) bool { return false },
	})
	eventually(t, "the loop is stepped through", func() bool { return r.stepping(t) })
	r.Release()
	r.gone(t)
	s.stopSpinning(t)
	r.reply.ok(t)
}

// stepping says whether the thread was seen in a ptrace-stop, in which one that
// is single-stepped is for much of the time.
func (r *trapped) stepping(t *testing.T) bool {
	t.Helper()
	return strings.HasPrefix(r.status(t)["State"], "t")
}

// TestStepLimit: a line that computes for long is left to the hardware.
func TestStepLimit(t *testing.T) {
	s := newService(t, spinDir)
	spun := s.sym.at(t, "spun")
	fn := s.sym.around(spun)
	r := s.trap(t, "/spin", live.Plan{UntilText: func(pc uint64) bool { return pc == fn.start }, OverText: s.sym.runtime})
	r.frozen(t)
	elsewhere := []uint64{s.sym.at(t, "load"), s.sym.at(t, "nil"), s.sym.at(t, "recovered"), s.sym.around(s.sym.at(t, "load")).start}
	r.Resume(live.Plan{Stops: append(elsewhere, spun), Within: s.sym.bounds(spun), Fallback: []uint64{spun}})
	// At full speed again, it is not in a ptrace-stop at any look.
	calm := 0
	eventually(t, "stepping is given up", func() bool {
		if calm++; r.stepping(t) {
			calm = 0
		}
		return calm > 200
	})
	s.stopSpinning(t)
	fr := r.frozen(t)
	if fr.Addr != spun {
		t.Errorf("stopped at %#x, want %#x", fr.Addr, spun)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestLongLine: a line that executes many millions of instructions ends at the
// first stop behind it, whatever else is to be watched, and is not single-stepped
// through.
func TestLongLine(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	start, end := s.sym.at(t, "long-line"), s.sym.at(t, "long-line-end")
	fn := s.sym.around(start)
	first := s.sym.lineAt(t, end)
	var lines []uint64
	for line, addr := range s.sym.linesOf(fn) {
		// Those above are of the line itself, and of the function that is inlined
		// there, which a step into would lead to and no other.
		if lineOf(t, line) >= first {
			lines = append(lines, addr)
		}
	}
	if len(lines) <= live.HardwareSlots {
		t.Fatalf("%s has %d lines behind the long one: no test of many stops", fn.name, len(lines))
	}
	r := s.trap(t, "/long?n=100000000", live.Plan{Stops: []uint64{start}})
	r.frozen(t)
	began := time.Now()
	r.Resume(live.Plan{Frame: lines, Within: s.sym.bounds(start)})
	fr := r.frozen(t)
	took := time.Since(began)
	if fr.Addr != end {
		t.Errorf("stopped at %#x, want %#x", fr.Addr, end)
	}
	t.Logf("100,000,000 rounds in %v, of which the thread was stopped for %v", took, r.StoppedInAll())
	if stopped := r.StoppedInAll(); stopped > 100*time.Millisecond {
		t.Errorf("stopped for %v", stopped)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// lineAt is the line that begins at an address.
func (s *symbols) lineAt(t *testing.T, addr uint64) int {
	t.Helper()
	for line, addrs := range s.lines {
		if slices.Contains(addrs, addr) {
			return lineOf(t, line)
		}
	}
	t.Fatalf("no line begins at %#x", addr)
	return 0
}

// lineOf is the number in "file:number".
func lineOf(t *testing.T, line string) int {
	t.Helper()
	_, number, _ := strings.Cut(line, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
