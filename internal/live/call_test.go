//go:build linux && amd64

package live_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

const calleesDir = "../../integration/targets/callees"

// entry is where a function of the service begins.
func (s *symbols) entry(t *testing.T, name string) uint64 {
	t.Helper()
	for _, f := range s.funcs {
		if f.name == name {
			return f.start
		}
	}
	t.Fatalf("no function %s", name)
	return 0
}

// simple is a call of a function with integers, of a few words' results.
func simple(pc uint64, args ...uint64) live.Call {
	s := live.Step{PC: pc}
	for i, a := range args {
		s.Ints[i] = live.Word{Value: a}
	}
	return live.Call{Steps: []live.Step{s}}
}

// called waits for the outcome of a call.
func (r *trapped) called(t *testing.T) *live.Called {
	t.Helper()
	select {
	case ev := <-r.Events():
		if ev.Called == nil {
			t.Fatalf("not called but %s", describe(ev))
		}
		return ev.Called
	case <-time.After(patience):
		t.Fatalf("the call has not returned within %v; the thread is in state %s", patience, r.status(t)["State"])
	}
	panic("unreachable")
}

// TestCall: one call after the other, and the request goes on from where it was
// frozen, with what it had in its registers.
func TestCall(t *testing.T) {
	s := newService(t, calleesDir, "-gc", "5ms")
	addr := s.sym.at(t, "work")
	r := s.trap(t, "/work", live.Plan{Stops: []uint64{addr}})
	fr := r.frozen(t)
	add, boom, leave, grow := s.sym.entry(t, "main.add"), s.sym.entry(t, "main.boom"), s.sym.entry(t, "main.leave"), s.sym.entry(t, "main.grow")
	for i := range uint64(200) {
		r.Call(simple(add, i, 1000))
		if done := r.called(t); done.Err != nil || done.Panic != nil || done.First[0] != i+1000 {
			t.Fatalf("add(%d, 1000): %+v", i, done)
		}
		switch i % 20 {
		case 3:
			r.Call(simple(boom))
			if done := r.called(t); done.Panic == nil || done.Panic[0] == 0 || done.Panic[1] == 0 {
				t.Fatalf("boom: %+v", done)
			}
		case 7:
			r.Call(simple(leave))
			if done := r.called(t); !done.Exited {
				t.Fatalf("leave: %+v", done)
			}
		case 11:
			r.Call(simple(grow, 1000))
			if done := r.called(t); done.First[0] != 500500 {
				t.Fatalf("grow: %+v", done)
			}
		}
	}
	if status, err := get(others, s.url+"/other"); status != 200 || err != nil {
		t.Errorf("another request: %d, %v", status, err)
	}
	if !r.reply.pending() {
		t.Fatal("the frozen request was answered")
	}
	r.Resume(live.Plan{UntilText: func(uint64) bool { return true }, OverText: func(uint64) bool { return false }})
	if next := r.frozen(t); next.State.Regs.Rip == addr || next.State.Regs.Rsp > fr.State.Regs.Rsp+64 {
		t.Errorf("it goes on at %#x with SP %#x, from %#x with %#x", next.State.Regs.Rip, next.State.Regs.Rsp, addr, fr.State.Regs.Rsp)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

// TestReleaseInTheMiddleOfACall: the thread is let go of at once, and the service
// takes the call and the request to their ends by itself.
func TestReleaseInTheMiddleOfACall(t *testing.T) {
	s := newService(t, calleesDir, "-gc", "20ms")
	r := s.trap(t, "/work", live.Plan{Stops: []uint64{s.sym.at(t, "work")}})
	r.frozen(t)
	for _, name := range []string{"main.spin", "main.blocked"} {
		held := ask(others, s.url+"/other?for=1500ms")
		eventually(t, "the lock is held", func() bool { return held.pending() })
		time.Sleep(50 * time.Millisecond) // until it has the lock: nothing outside tells
		r.Call(simple(s.sym.entry(t, name), 700))
		eventually(t, "the call is under way", func() bool {
			now, err := s.board.ReadSlot(r.slot.i)
			return err == nil && !now.Held
		})
		began := time.Now()
		r.Release()
		r.gone(t)
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("%s: letting go took %v", name, took)
		}
		r.reply.ok(t)
		held.ok(t)
		r = s.trap(t, "/work", live.Plan{Stops: []uint64{s.sym.at(t, "work")}})
		r.frozen(t)
	}
	r.Resume(live.Plan{})
	r.gone(t)
	r.reply.ok(t)
}

const agentEnv = "LIVE_CALLING_AGENT"

// callingAgent is an agent of its own that freezes the first request that it can
// and has it make calls, one right after the other, until it is killed. Its
// argument is the service's pid and what newService has found out.
func callingAgent(spec string) error {
	f := strings.Fields(spec)
	var n []uint64
	for _, w := range f {
		v, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			return err
		}
		n = append(n, v)
	}
	pid, tls, stop, calls := int(n[0]), n[1], n[2], n[3:]
	img, err := board.Locate(pid)
	if err != nil {
		return err
	}
	mem := vmem.Process{PID: pid}
	b, err := board.Open(mem, img)
	if err != nil {
		return err
	}
	p := &live.Process{
		PID: pid, Mem: mem,
		DebugCall: [2]uint64{img.DebugCall.Start, img.DebugCall.End}, CallFrame: [2]uint64{img.DebugCall32.Start, img.DebugCall32.End},
		Park: img.Park.Start, Calls: img.Calls.Start, Trap: img.Trap.Start, GOffset: tls,
		Func: func(uint64) [2]uint64 { return [2]uint64{} }, NoFreeze: func(uint64) bool { return false }, Offsets: live.Runtime(img.Runtime),
	}
	rules := []board.Rule{{Prefix: netip.MustParsePrefix(allowed + "/32")}}
	if err := b.Arm(os.Getpid(), rules, board.Now()+10*time.Minute); err != nil {
		return err
	}
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			_ = b.Beat()
		}
	}()
	fmt.Println("armed")
	var slots []board.Slot
	var buf []byte
	for {
		if slots, err = b.ReadSlots(slots, &buf); err != nil {
			return err
		}
		for _, sl := range slots {
			if sl.State == board.StateOffered && sl.Answer>>1 != sl.Gen {
				th := live.Seize(p, sl.TID, slot{b, sl.Index, sl.Gen}, live.Plan{Stops: []uint64{stop}})
				if err := callForEver(th, calls); err != nil {
					return err
				}
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// callForEver returns nil if the request was not frozen: on a busy machine its
// offer lapses.
func callForEver(th *live.Thread, calls []uint64) error {
	frozen := false
	for i := 0; ; i++ {
		ev := <-th.Events()
		switch {
		case ev.Frozen != nil:
			frozen = true
			fmt.Println("calling")
		case ev.Gone != nil && ev.Gone.Err == nil && !frozen:
			return nil
		case ev.Called == nil:
			return fmt.Errorf("%+v", ev)
		}
		th.Call(simple(calls[i%len(calls)], 3, 4))
	}
}

// TestKilledInACall: the agent is killed at a random moment of continuous calls.
// The service lives, others are served, and the request is answered.
func TestKilledInACall(t *testing.T) {
	if spec := os.Getenv(agentEnv); spec != "" {
		t.Fatal(callingAgent(spec))
	}
	trials := 25
	if testing.Short() {
		trials = 5
	}
	s := newService(t, calleesDir, "-gc", "20ms")
	if err := s.board.Disarm(); err != nil {
		t.Fatal(err)
	}
	spec := fmt.Sprint(s.pid, " ", s.sym.tls, " ", s.sym.at(t, "work"))
	all, ending := spec, spec
	for _, name := range []string{"add", "boom", "add", "spin", "leave", "grow"} {
		all += fmt.Sprint(" ", s.sym.entry(t, "main."+name))
	}
	ending += fmt.Sprint(" ", s.sym.entry(t, "main.leave"))
	for i := range trials {
		if spec = all; i%5 == 4 {
			spec = ending // functions that end their goroutine, one after the other
		}
		agent := exec.Command(os.Args[0], "-test.run=^TestKilledInACall$")
		agent.Env = append(os.Environ(), agentEnv+"="+spec)
		agent.Stderr = os.Stderr
		out, err := agent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = agent.Process.Kill() }) // fails if the test has come to where it does that
		said := make(chan string, 1)
		go func() {
			defer close(said)
			for lines := bufio.NewScanner(out); lines.Scan(); {
				said <- lines.Text()
			}
		}()
		expectLine(t, said, "armed")
		re := ask(allowed, s.url+"/work")
		for offered := true; offered; {
			select {
			case <-re.done: // not taken in time
				re.ok(t)
				re = ask(allowed, s.url+"/work")
			case line := <-said:
				if offered = false; line != "calling" {
					t.Fatalf("the agent says %q, want that it calls", line)
				}
			case <-time.After(patience):
				t.Fatalf("no request frozen within %v", patience)
			}
		}
		pause := rand.N(20 * time.Millisecond)
		time.Sleep(pause)
		_ = agent.Process.Signal(unix.SIGKILL)
		_ = agent.Wait() // killed
		if status, err := get(others, s.url+"/other"); status != 200 || err != nil {
			t.Errorf("another request: %d, %v", status, err)
		}
		re.ok(t)
		// Its slot is left to the next agent, or until somebody disarms and a
		// request comes.
		if err := s.board.Disarm(); err != nil {
			t.Fatal(err)
		}
		if _, err := get(others, s.url+"/other"); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("trial %d, killed after %v of calls", i, pause)
		}
	}
}

// expectLine waits for a line of an agent's.
func expectLine(t *testing.T, said <-chan string, want string) {
	t.Helper()
	select {
	case line := <-said:
		if line != want {
			t.Fatalf("the agent says %q, want %q", line, want)
		}
	case <-time.After(patience):
		t.Fatalf("the agent does not say %q within %v", want, patience)
	}
}
