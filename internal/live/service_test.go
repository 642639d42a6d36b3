//go:build linux && amd64

package live_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// service is a running service. The test is its agent: it arms the board, looks
// at it, and seizes threads.
type service struct {
	cmd      *exec.Cmd
	pid      int
	url      string
	sym      *symbols
	board    *board.Board
	proc     *live.Process
	text     []byte
	textAddr uint64
	killed   bool // by the test
	seen     map[[2]uint32]bool
}

// newService starts a service and arms it; when the test ends the service must
// be as if there had been no debugger.
func newService(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	exe := build(t, dir)
	s := &service{sym: readSymbols(t, exe), seen: make(map[[2]uint32]bool)}
	s.cmd, s.url = launch(t, exe, args...)
	t.Cleanup(func() { s.end(t) })
	s.pid = s.cmd.Process.Pid
	img, err := board.Locate(s.pid)
	if err != nil {
		t.Fatal(err)
	}
	mem := vmem.Process{PID: s.pid}
	if s.board, err = board.Open(mem, img); err != nil {
		t.Fatal(err)
	}
	s.proc = &live.Process{
		PID: s.pid, Mem: mem,
		DebugCall: [2]uint64{img.DebugCall.Start, img.DebugCall.End},
		CallFrame: [2]uint64{img.DebugCall32.Start, img.DebugCall32.End},
		Park:      img.Park.Start,
		Calls:     img.Calls.Start,
		Trap:      img.Trap.Start,
		GOffset:   s.sym.tls,
		Func:      s.sym.bounds,
		NoFreeze:  s.sym.runtime,
		Offsets:   live.Runtime(img.Runtime),
	}
	s.text, s.textAddr = s.readText(t, exe), textBegins(t, exe)
	s.proc.Code = func(pc uint64, n int) []byte {
		if pc < s.textAddr || pc-s.textAddr >= uint64(len(s.text)) {
			return nil
		}
		at := int(pc - s.textAddr)
		return s.text[at:min(at+n, len(s.text))]
	}
	rules := []board.Rule{{Prefix: netip.MustParsePrefix(allowed + "/32")}}
	if err := s.board.Arm(os.Getpid(), rules, board.Now()+10*time.Minute); err != nil {
		t.Fatal(err)
	}
	return s
}

func newShop(t *testing.T, args ...string) *service {
	t.Helper()
	return newService(t, shopDir, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
}

// end checks the service, if the test has left it alive, and ends it.
func (s *service) end(t *testing.T) {
	if !s.killed && s.proc != nil {
		s.checkUntouched(t)
	}
	_ = s.cmd.Process.Kill() // fails if it has ended
	_ = s.cmd.Wait()         // says how
}

// checkUntouched: no thread is traced or stopped, no slot taken, the text is
// that of the executable, and requests are served.
func (s *service) checkUntouched(t *testing.T) {
	t.Helper()
	if err := s.board.Disarm(); err != nil {
		t.Errorf("the service is gone: %v", err)
		return
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it ended just now
		}
		st := parseStatus(string(text))
		if err != nil || st["TracerPid"] != "0" || strings.HasPrefix(strings.ToLower(st["State"]), "t") {
			t.Errorf("%s: TracerPid %s, State %s, %v", task, st["TracerPid"], st["State"], err)
		}
	}
	var buf []byte
	slots, err := s.board.ReadSlots(nil, &buf)
	for _, slot := range slots {
		if slot.State != board.StateFree || slot.Held {
			t.Errorf("slot left behind: %+v", slot)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if text := s.readText(t, fmt.Sprintf("/proc/%d/exe", s.pid)); !bytes.Equal(text, s.text) {
		t.Error("the executable changed under the test")
	}
	for range 20 {
		if status, err := get(allowed, s.url+"/orders/7"); err != nil || status != 200 && status != 404 {
			t.Fatalf("afterwards: status %d, %v", status, err)
		}
	}
}

// readText returns the text of exe, which the process must have unchanged.
func (s *service) readText(t *testing.T, exe string) []byte {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section(".text")
	want, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	have := make([]byte, len(want))
	if _, err := (vmem.Process{PID: s.pid}).ReadMemory(have, text.Addr); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("the text is not that of the executable")
	}
	return have
}

// parseStatus splits a status file of proc(5) into its fields.
func parseStatus(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

// slot is an entry of the board as package live wants it.
type slot struct {
	b   *board.Board
	i   int
	gen uint32
}

func (s slot) Accept() error               { return s.b.Answer(s.i, s.gen, true) }
func (s slot) SetHeld(held bool) error     { return s.b.SetHeld(s.i, held) }
func (s slot) SetHoming(homing bool) error { return s.b.SetHoming(s.i, homing) }
func (s slot) Released() error             { return s.b.SetFreed(s.i, s.gen) }

func (s slot) Journal(pc, flags uint64, xstate []byte) error {
	return s.b.Journal(s.i, pc, flags, xstate)
}

func (s slot) Running() bool {
	now, err := s.b.ReadSlot(s.i)
	return err == nil && now.Gen == s.gen && (now.State == board.StateOffered || now.State == board.StateRunning)
}

// trapped is a gated request whose thread is traced.
type trapped struct {
	*live.Thread
	s     *service
	slot  slot
	reply *reply
}

// trap sends a gated request and seizes its thread when it is offered. On a
// busy machine the 100 ms of an offer can go by before that: then it sends
// another one.
func (s *service) trap(t *testing.T, path string, plan live.Plan) *trapped {
	t.Helper()
	for {
		re, offered := s.awaitOffer(t, path)
		sl := slot{s.board, offered.Index, offered.Gen}
		r := &trapped{live.Seize(s.proc, offered.TID, sl, plan), s, sl, re}
		if !r.lapsed(t, plan) {
			return r
		}
		r.gone(t)
		re.ok(t)
	}
}

// lapsed waits until the service has seen the answer, and says whether that came
// too late. A request that runs to its end at once, as one without stops may,
// looks the same afterwards.
func (r *trapped) lapsed(t *testing.T, plan live.Plan) bool {
	t.Helper()
	var now board.Slot
	eventually(t, "the service sees the answer", func() bool {
		var err error
		if now, err = r.s.board.ReadSlot(r.slot.i); err != nil {
			t.Fatal(err)
		}
		return now.Gen != r.slot.gen || now.State != board.StateOffered
	})
	over := now.Gen != r.slot.gen || now.State == board.StateFree
	return over && (len(plan.Stops) > 0 || plan.UntilText != nil)
}

func (s *service) awaitOffer(t *testing.T, path string) (r *reply, found board.Slot) {
	t.Helper()
	var slots []board.Slot
	var buf []byte
	r = ask(allowed, s.url+path)
	eventually(t, "the request is offered", func() bool {
		var err error
		if slots, err = s.board.ReadSlots(slots, &buf); err != nil {
			t.Fatal(err)
		}
		for _, found = range slots {
			key := [2]uint32{uint32(found.Index), found.Gen}
			if found.State == board.StateOffered && !s.seen[key] {
				s.seen[key] = true
				return true
			}
		}
		if !r.pending() {
			r = ask(allowed, s.url+path)
		}
		return false
	})
	return r, found
}

// next waits for the next event.
func (r *trapped) next(t *testing.T) live.Event {
	t.Helper()
	select {
	case ev, ok := <-r.Events():
		if !ok {
			t.Fatal("no more events")
		}
		n := 0
		for _, set := range []bool{ev.Frozen != nil, ev.Called != nil, ev.Passed != nil, ev.Gone != nil} {
			if set {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("an event with %d of its fields set: %+v", n, ev)
		}
		return ev
	case <-time.After(patience):
		t.Fatalf("no event within %v; the thread is in state %s", patience, r.status(t)["State"])
	}
	panic("unreachable")
}

// frozen waits for the request to be frozen.
func (r *trapped) frozen(t *testing.T) *live.Frozen {
	t.Helper()
	ev := r.next(t)
	if ev.Frozen == nil {
		t.Fatalf("not frozen but %s", describe(ev))
	}
	return ev.Frozen
}

// gone waits for the end, which must be clean.
func (r *trapped) gone(t *testing.T) {
	t.Helper()
	if err := r.end(t); err != nil {
		t.Errorf("Gone: %v", err)
	}
}

// end waits for Gone, which must be the last event, and returns its error.
func (r *trapped) end(t *testing.T) error {
	t.Helper()
	ev := r.next(t)
	if ev.Gone == nil {
		t.Fatalf("not gone but %s", describe(ev))
	}
	if ev, more := <-r.Events(); more {
		t.Errorf("after Gone: %s", describe(ev))
	}
	return ev.Gone.Err
}

// finish ends a request that is not traced any more, by hanging up.
func (r *trapped) finish(t *testing.T) {
	t.Helper()
	r.reply.hangUp()
	<-r.reply.done
	eventually(t, "the service ends the request", func() bool {
		now, err := r.s.board.ReadSlot(r.slot.i)
		if err != nil {
			t.Fatal(err)
		}
		return now.Gen != r.slot.gen || now.State == board.StateFree
	})
}

func describe(ev live.Event) string {
	switch {
	case ev.Frozen != nil:
		return fmt.Sprintf("frozen (cause %d) at %#x", ev.Frozen.Cause, ev.Frozen.Addr)
	case ev.Passed != nil:
		return fmt.Sprintf("passed %+v", *ev.Passed)
	}
	return fmt.Sprintf("gone: %v", ev.Gone.Err)
}

func (r *trapped) status(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", r.s.pid, r.TID()))
	if err != nil {
		t.Fatal(err)
	}
	return parseStatus(string(text))
}

// awaitState waits until the service shows the request in a state.
func (r *trapped) awaitState(t *testing.T, want board.State) {
	t.Helper()
	eventually(t, fmt.Sprintf("the slot is in state %d", want), func() bool {
		now, err := r.s.board.ReadSlot(r.slot.i)
		if err != nil || now.Gen != r.slot.gen {
			t.Fatalf("slot %+v, %v", now, err)
		}
		return now.State == want
	})
}

// depth is how much of the goroutine's stack is in use where it was frozen.
func (s *service) depth(t *testing.T, fr *live.Frozen) uint64 {
	t.Helper()
	hi, err := s.proc.Mem.Uint64(fr.State.G + 8) // g.stack.hi
	if err != nil {
		t.Fatal(err)
	}
	return hi - fr.State.Regs.Rsp
}

// asleep says whether the thread waits in the kernel, as one that is parked in
// a futex does; a thread in a ptrace-stop does not.
func (r *trapped) asleep(t *testing.T) bool {
	t.Helper()
	return strings.HasPrefix(r.status(t)["State"], "S")
}

// serveOthers: requests from elsewhere are served meanwhile.
func (s *service) serveOthers(t *testing.T, n int) {
	t.Helper()
	client := clientFrom(others)
	client.Timeout = patience
	for range n {
		resp, err := client.Get(s.url + "/orders/3")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("another request: status %d", resp.StatusCode)
		}
	}
}
