package gate

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// The trials run in a process of their own, since some of them must crash.
const trialEnv = "GATE_PAD_TRIAL"

// trial runs one of the cases of TestMain's switch in a child and returns its
// output and whether it survived.
func trial(t *testing.T, name string) (output string, survived bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPadTrial$", "-test.v")
	cmd.Env = append(os.Environ(), trialEnv+"="+name)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil && strings.Contains(string(out), "trial over")
}

// TestPadTrial is what a child runs; in the parent it is the list of cases.
func TestPadTrial(t *testing.T) {
	name := os.Getenv(trialEnv)
	if name == "" {
		t.Run("cases", padCases)
		return
	}
	runtime.LockOSThread()
	s := &theBoard.slots[2]
	if strings.Contains(name, "slot") {
		atomic.StoreInt32(&s.tid, int32(syscall.Gettid()))
		atomic.StoreUint32(&s.state, slotRunning)
	}
	if strings.Contains(name, "pad") && !usePad() {
		t.Fatal("the pad cannot be installed")
	}
	switch {
	case strings.HasPrefix(name, "int3"):
		runtime.Breakpoint()
	case strings.HasPrefix(name, "perf"):
		breakAt(t, funcPC(trialTarget), strings.Contains(name, "mark"))
		if got := trialTarget(20); got != 41 {
			t.Fatalf("the function went wrong: %d", got)
		}
	case strings.HasPrefix(name, "self"):
		info := struct {
			signo, errno, code, _ int32
			pid                   int32
			_                     [27]int32
		}{signo: int32(syscall.SIGTRAP), pid: int32(syscall.Getpid())}
		_, _, errno := syscall.Syscall6(297 /* rt_tgsigqueueinfo */, uintptr(syscall.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGTRAP), uintptr(unsafe.Pointer(&info)), 0, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		for range 1000 {
			syscall.Getppid()
		}
	case strings.HasPrefix(name, "sent"):
		if err := syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGTRAP); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			syscall.Getppid() // the signal comes at the end of a system call at the latest
		}
	}
	t.Log("trial over")
}

func padCases(t *testing.T) {
	for _, c := range []struct {
		name     string
		survives bool
	}{
		{"perf, pad, slot", true},  // a breakpoint of an agent that died
		{"perf, pad", false},       // somebody else's, on a thread that is none of ours
		{"perf, mark, pad", true},  // an agent's that was stopped and has died, on a thread that is none of ours any more
		{"perf, mark", false},      // the same without the pad
		{"perf, slot", false},      // without the pad: what it is for
		{"int3, pad, slot", false}, // runtime.Breakpoint in a handler: a real trap
		{"int3", false},            // the same without us
		{"sent, pad, slot", false}, // kill -TRAP
		{"self, pad, slot", true},  // a single-step over a uprobe, of an agent that died
		{"self, pad", false},       // the same on a thread that is none of ours
	} {
		out, survived := trial(t, c.name)
		if survived != c.survives {
			t.Errorf("%s: survived is %v\n%s", c.name, survived, out)
		}
		if !c.survives && !strings.Contains(out, "SIGTRAP: trace trap") {
			t.Errorf("%s: not the runtime's own end\n%s", c.name, out)
		}
	}
	with, _ := trial(t, "int3, pad, slot")
	without, _ := trial(t, "int3")
	if a, b := firstLines(with), firstLines(without); a != b {
		t.Errorf("a real trap ends differently with the pad:\n%s\nwithout:\n%s", a, b)
	}
}

// firstLines is the head of a crash up to the first goroutine, without the
// addresses.
func firstLines(out string) string {
	_, crash, _ := strings.Cut(out, "SIGTRAP")
	head, _, _ := strings.Cut(crash, "PC=")
	return head
}

//go:noinline
func trialTarget(n int) int { return 2*n + 1 }

func funcPC(f func(int) int) uint64 { return uint64(**(**uintptr)(unsafe.Pointer(&f))) }

// breakAt sets a hardware breakpoint with sigtrap for the calling thread, as the
// agent does, see perf_event_open(2).
func breakAt(t *testing.T, addr uint64, mark bool) {
	t.Helper()
	attr := struct {
		typ, size                              uint32
		config, period, sampleType, readFormat uint64
		flags                                  uint64
		wakeup, bpType                         uint32
		addr, length                           uint64
		rest                                   [7]uint64
	}{
		typ: 5 /* PERF_TYPE_BREAKPOINT */, period: 1, bpType: 4 /* HW_BREAKPOINT_X */, addr: addr, length: 8,
		flags: 1<<5 | 1<<6 | 1<<36 | 1<<37, // exclude_kernel, exclude_hv, remove_on_exec, sigtrap
	}
	if mark {
		attr.rest[len(attr.rest)-1] = perfMark // sig_data
	}
	attr.size = uint32(unsafe.Sizeof(attr))
	_, _, errno := syscall.Syscall6(syscall.SYS_PERF_EVENT_OPEN, uintptr(unsafe.Pointer(&attr)), 0, ^uintptr(0), ^uintptr(0), 0, 0)
	if errno != 0 {
		t.Fatalf("perf_event_open: %v", errno)
	}
}

// TestPadComesAndGoes: installed for the first offer, the runtime's own action
// back when the agent has gone and nobody needs the pad.
func TestPadComesAndGoes(t *testing.T) {
	var before, now sigaction
	if !rtSigaction(nil, &before) {
		t.Fatal("rt_sigaction")
	}
	if before.handler == padEntry() {
		removePad()
		if !rtSigaction(nil, &before) || before.handler == padEntry() {
			t.Fatal("the pad of an earlier test is still there")
		}
	}
	armedBefore := atomic.SwapUint32(&theBoard.armed, 1)
	defer atomic.StoreUint32(&theBoard.armed, armedBefore)
	if !usePad() {
		t.Fatal("the pad cannot be installed")
	}
	if rtSigaction(nil, &now); now.handler != padEntry() || now.flags != before.flags || now.restorer != before.restorer {
		t.Errorf("armed: the action is %+v, was %+v", now, before)
	}
	unusePad()
	currentRules()
	if rtSigaction(nil, &now); now.handler != padEntry() {
		t.Error("the pad was taken away while armed")
	}
	atomic.StoreUint32(&theBoard.armed, armedEnding)
	if !armed() {
		t.Error("the end would go unnoticed")
	}
	if currentRules() != &noRules {
		t.Error("there are rules after the end")
	}
	if rtSigaction(nil, &now); now != before {
		t.Errorf("disarmed: the action is %+v, was %+v", now, before)
	}
	if armed() {
		t.Error("the end is noticed again and again")
	}
}
