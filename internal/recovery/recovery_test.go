//go:build linux && amd64

package recovery

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"golang.org/x/sys/unix"
)

func TestNothingToHeal(t *testing.T) {
	s := newService(t)
	s.heal(Report{})
	if (Report{}).Healed() {
		t.Error("nothing counts as healed")
	}
	s.arm(os.Getpid())
	if err := s.Disarm(); err != nil { // an agent that ended in order
		t.Fatal(err)
	}
	s.heal(Report{})
}

func TestDeadAgentDisarmed(t *testing.T) {
	s := newService(t)
	dead := deadPID(t)
	s.arm(dead)
	if err := CheckOwner(s.Board); err != nil {
		t.Fatal(err)
	}
	s.heal(Report{Armed: dead})
	if h, err := s.ReadHeader(); err != nil || h.Armed || h.Lease != 0 {
		t.Errorf("afterwards the header is %+v, %v", h, err)
	}
	s.heal(Report{})
}

// TestRunningRequest: the agent died while a request ran that it had taken.
func TestRunningRequest(t *testing.T) {
	s := newService(t)
	dead := deadPID(t)
	s.arm(dead)
	_, response := s.accept("/slow?ms=300")
	slot := s.slot(board.StateRunning)
	s.heal(Report{Armed: dead, Released: 1})
	s.heal(Report{})
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	// Not abandoned, as it would be if nobody had let go of it.
	eventually(t, "its slot is free", func() bool { return s.slots()[slot.Index].State == board.StateFree })
}

// TestFrozenFlag: a held word of a thread without tracer, set as the agent was
// about to freeze it.
func TestFrozenFlag(t *testing.T) {
	s := newService(t)
	dead := deadPID(t)
	s.arm(dead)
	_, response := s.accept("/slow?ms=300")
	slot := s.slot(board.StateRunning)
	if err := s.SetHeld(slot.Index, true); err != nil {
		t.Fatal(err)
	}
	s.heal(Report{Armed: dead, Thawed: 1, Released: 1})
	if now, err := s.ReadSlot(slot.Index); err != nil || now.Held || now.Freed != slot.Gen {
		t.Errorf("afterwards the slot is %+v, %v", now, err)
	}
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

// TestAbandonedSlots: the requests of a dead agent are over, and the table is
// full of them; the next agent can use it all.
func TestAbandonedSlots(t *testing.T) {
	s := newService(t)
	dead := deadPID(t)
	s.arm(dead)
	n := s.NumSlots()
	for range n {
		_, response := s.accept("/healthz")
		if status := response(); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	for _, slot := range s.slots() {
		if slot.State != board.StateAbandoned {
			t.Fatalf("not abandoned: %+v", slot)
		}
	}
	s.heal(Report{Armed: dead, Released: n})
	s.arm(dead) // the same number again: it alone would not make them usable
	for range n {
		slot, response := s.accept("/healthz")
		if err := s.SetFreed(slot.Index, slot.Gen); err != nil {
			t.Fatal(err)
		}
		if status := response(); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
}

// TestTracedThreadIsLeftAlone: who traces it may be alive.
func TestTracedThreadIsLeftAlone(t *testing.T) {
	s := newService(t)
	dead := deadPID(t)
	s.arm(dead)
	_, response := s.accept("/slow?ms=300")
	slot := s.slot(board.StateRunning)
	release := s.trace(slot.TID)
	if err := s.SetHeld(slot.Index, true); err != nil {
		t.Fatal(err)
	}
	s.heal(Report{Armed: dead, Traced: []Traced{{slot.TID, os.Getpid()}}})
	if now, err := s.ReadSlot(slot.Index); err != nil || !now.Held || now.Freed == slot.Gen {
		t.Errorf("afterwards the slot is %+v, %v", now, err)
	}
	release()
	s.heal(Report{Thawed: 1, Released: 1})
	if status := response(); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

// trace seizes a thread until release is called.
func (s *service) trace(tid int) (release func()) {
	s.t.Helper()
	seized, stop, done := make(chan error), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := ptrace(unix.PTRACE_SEIZE, tid); err != nil {
			seized <- err
			return
		}
		close(seized)
		<-stop
		err := ptrace(unix.PTRACE_INTERRUPT, tid)
		_, werr := unix.Wait4(tid, nil, unix.WALL, nil)
		if err := errors.Join(err, werr, ptrace(unix.PTRACE_DETACH, tid)); err != nil {
			s.t.Error(err)
		}
	}()
	if err := <-seized; err != nil {
		s.t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		close(stop)
		<-done
	})
	s.t.Cleanup(release)
	return release
}

func ptrace(request, tid int) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// TestHalfWrittenRules: the agent died between the two generations.
func TestHalfWrittenRules(t *testing.T) {
	s := newService(t)
	s.arm(deadPID(t))
	if err := s.Disarm(); err != nil {
		t.Fatal(err)
	}
	gen := s.ruleGen()
	odd, err := s.mem.Uint32(gen)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.mem.PutUint32(gen, odd|1); err != nil {
		t.Fatal(err)
	}
	s.heal(Report{Rules: true})
	if h, err := s.ReadHeader(); err != nil || !h.RulesOK {
		t.Errorf("afterwards the header is %+v, %v", h, err)
	}
	s.heal(Report{})
}

// ruleGen finds the board's word of that name, not as the agent does.
func (s *service) ruleGen() uint64 {
	s.t.Helper()
	f, err := elf.Open(s.img.Path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	symbols, err1 := f.Symbols()
	data, err2 := f.DWARF()
	if err := errors.Join(err1, err2); err != nil {
		s.t.Fatal(err)
	}
	var addr uint64
	for _, sym := range symbols {
		if strings.HasSuffix(sym.Name, "/gate.theBoard") {
			addr = sym.Value + s.img.Bias
		}
	}
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil || e == nil {
			s.t.Fatalf("no such field: %v", err)
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		if e.Tag != dwarf.TagStructType || !strings.HasSuffix(name, "/gate.board") {
			continue
		}
		typ, err := data.Type(e.Offset)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, field := range typ.(*dwarf.StructType).Field {
			if field.Name == "ruleGen" {
				return addr + uint64(field.ByteOffset)
			}
		}
	}
}

func TestCheckOwner(t *testing.T) {
	s := newService(t)
	if err := CheckOwner(s.Board); err != nil {
		t.Errorf("never armed: %v", err)
	}
	s.arm(os.Getpid())
	if err := CheckOwner(s.Board); !errors.Is(err, board.ErrArmed) {
		t.Errorf("armed by a process that lives: %v", err)
	}

	// In another pid namespace: its number means nothing here.
	s.arm(deadPID(t))
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if err := s.Beat(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	if err := CheckOwner(s.Board); !errors.Is(err, board.ErrArmed) {
		t.Errorf("armed by an agent that beats: %v", err)
	}
	close(stop)
	<-stopped
	began := time.Now()
	if err := CheckOwner(s.Board); err != nil {
		t.Errorf("the agent has fallen silent: %v", err)
	}
	if took := time.Since(began); took > 2*silence {
		t.Errorf("that took %v to see", took)
	}
}

// TestZombieOwner: an agent that was killed and whose parent has not collected
// it still has its process id.
func TestZombieOwner(t *testing.T) {
	s := newService(t)
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.arm(cmd.Process.Pid)
	if err := CheckOwner(s.Board); !errors.Is(err, board.ErrArmed) {
		t.Errorf("it lives: %v", err)
	}
	in.Close()
	eventually(t, "the process ends", func() bool { alive, err := running(cmd.Process.Pid); return err == nil && !alive })
	if err := CheckOwner(s.Board); err != nil {
		t.Errorf("a zombie: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
