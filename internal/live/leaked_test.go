//go:build linux && amd64

package live_test

import (
	"debug/elf"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/remotedbg/remotedbg/internal/live"
)

// armVariable has the test binary be a process that sets uprobes and removes them,
// without an end: its value is whose, and the offsets in the executable.
const armVariable = "REMOTEDBG_LIVE_TEST_ARM"

// armForever is that process. It writes a line when it has begun.
func armForever(what string) error {
	fields := strings.Fields(what)
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return err
	}
	var offsets []uint64
	for _, text := range fields[1:] {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		offsets = append(offsets, n)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	exe, err := link.OpenExecutable(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return err
	}
	fmt.Println("arming")
	for {
		l, err := exe.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: offsets, PID: uint32(pid)})
		if err != nil {
			return err
		}
		go l.Close() // as the agent does
	}
}

// TestHealProbes kills a process that sets and removes uprobes all the time, until
// some of them are left in the service's text. They can be removed, the service
// runs on all the while, and what another one has set is left alone.
func TestHealProbes(t *testing.T) {
	s := newShop(t)
	lines := s.allLines()
	var offsets []string
	for _, a := range lines[:min(len(lines), 200)] {
		offsets = append(offsets, strconv.FormatUint(s.fileOffset(t, a), 10))
	}
	if n, err := live.HealProbes(s.pid); n != 0 || err != nil {
		t.Fatalf("healed %d places of a service that nobody has touched, %v", n, err)
	}
	leaked := 0
	for range 20 {
		s.killArming(t, offsets)
		if s.clean(t) {
			continue
		}
		leaked++
		s.serveOthers(t, 50) // over those that are left
		n, err := live.HealProbes(s.pid)
		if err != nil || n == 0 {
			t.Fatalf("%d places healed, %v", n, err)
		}
		s.awaitClean(t)
		s.serveOthers(t, 50)
		if n, err := live.HealProbes(s.pid); n != 0 || err != nil {
			t.Errorf("again %d places healed, %v", n, err)
		}
	}
	// A kernel that leaves none behind needs no healing.
	t.Logf("%d of 20 processes that were killed left uprobes", leaked)

	remove := s.setUprobes(t, lines[:50])
	if n, err := live.HealProbes(s.pid); n != 0 || err != nil || s.clean(t) {
		t.Errorf("%d places of another tool healed, %v; removed: %v", n, err, s.clean(t))
	}
	remove()
	s.awaitClean(t)

	r := s.trap(t, "/slow?ms=1000", live.Plan{Probes: lines[:50]})
	eventually(t, "the probes are set", func() bool { return !s.clean(t) })
	if n, err := live.HealProbes(s.pid); n != 0 || err == nil || !strings.Contains(err.Error(), "traces it") {
		t.Errorf("%d places healed while a request has probes, %v", n, err)
	}
	if s.clean(t) {
		t.Error("the probes of a request were removed")
	}
	r.gone(t)
	r.reply.ok(t)
	s.awaitClean(t)
}

// setUprobes does what any tool for tracing may do.
func (s *service) setUprobes(t *testing.T, addrs []uint64) (remove func()) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := link.OpenExecutable(s.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []uint64
	for _, a := range addrs {
		offsets = append(offsets, s.fileOffset(t, a))
	}
	l, err := exe.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: offsets, PID: uint32(s.pid)})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(l.Close(), prog.Close()); err != nil {
			t.Error(err)
		}
	}
}

// killArming starts the process and kills it at a random moment.
func (s *service) killArming(t *testing.T, offsets []string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), armVariable+"="+strconv.Itoa(s.pid)+" "+strings.Join(offsets, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var line [7]byte
	if _, err := out.Read(line[:]); err != nil {
		t.Fatal(err)
	}
	<-time.After(rand.N(50 * time.Millisecond)) // the random moment, not a wait for anything
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was killed
}

// fileOffset is where the code at addr lies in the executable.
func (s *service) fileOffset(t *testing.T, addr uint64) uint64 {
	t.Helper()
	f, err := elf.Open(s.cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i := slices.IndexFunc(f.Progs, func(p *elf.Prog) bool {
		return p.Type == elf.PT_LOAD && p.Vaddr <= addr && addr < p.Vaddr+p.Filesz
	})
	if i < 0 {
		t.Fatalf("nothing is loaded at %#x", addr)
	}
	return addr - f.Progs[i].Vaddr + f.Progs[i].Off
}
