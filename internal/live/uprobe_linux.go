//go:build linux && amd64

package live

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// MaxProbes is how many places in the program a thread can be stopped at by
// uprobes.
const MaxProbes = 512

// ErrProbes means that the kernel refused uprobes.
var ErrProbes = errors.New("uprobes refused")

// uprobe is a program in the kernel that runs at uprobes of one process. For its
// own thread it notes the registers as they were before the instruction, and
// sends SIGURG: with a tracer that is a stop, without one nothing at all (the Go
// runtime ignores spurious ones; see post). For other threads it counts.
//
// Why a program and not perf events with sigtrap, one a uprobe: closing such an
// event waits for the kernel's grace periods, 80 ms each, one after the other:
// 60 of them were in the service's text for 5 s after the request had been
// frozen. A uprobe-multi link goes as a whole (kernel/trace/bpf_trace.c,
// bpf_uprobe_unregister): the text was as before within 6 ms.
type uprobe struct {
	prog   *ebpf.Program
	record *ebpf.Map // one probeRecord
	counts *ebpf.Map // maxCookies times uint64: hits of other threads, by cookie
	always *ebpf.Map // uint64, not 0: its own thread is stopped at nil errors, too
	exe    *executable
	pid    int
}

// probeRecord is what the program notes: how many hits there were, and the
// registers before the last one in the order of struct pt_regs
// (arch/x86/include/asm/ptrace.h): as in user_regs_struct up to ss.
type probeRecord struct {
	Seq  uint64
	Regs [ptRegs]uint64
}

const ptRegs = 21

// A cookie is the number of a probe and, from checkShift on, what is to be looked
// at before its thread is stopped: 0 for nothing, 1 and more for the register of
// struct pt_regs with that number less one, or checkStack and an offset from the
// stack pointer. If that is 0 the thread goes on.
const (
	maxCookies = MaxProbes + MaxReturns
	checkShift = 32
	checkStack = 64
)

// abiPtRegs are the registers of Go's internal ABI, as numbers in struct pt_regs.
var abiPtRegs = [...]uint64{10, 5, 11, 14, 13, 9, 8, 7, 6}

// cookie is that of probe number n at a return.
func (s ReturnSite) cookie(n int) uint64 {
	check := checkStack + s.Stack
	if s.Reg >= 0 {
		check = abiPtRegs[s.Reg] + 1
	}
	return check<<checkShift | uint64(n)
}

// newUprobe loads the program for the thread tid of process pid, both in our
// pid namespace.
func newUprobe(pid, tid int) (u *uprobe, err error) {
	inner, err := innerTID(pid, tid)
	if err != nil {
		return nil, err
	}
	var ns unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &ns); err != nil {
		return nil, fmt.Errorf("pid namespace: %w", err)
	}
	u = &uprobe{pid: pid}
	loading := u // a return of nil makes u that
	defer func() {
		if err != nil {
			loading.close()
			err = fmt.Errorf("%w: %w", ErrProbes, err)
		}
	}()
	if u.record, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8 * (1 + ptRegs), MaxEntries: 1}); err != nil {
		return nil, err
	}
	if u.counts, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8 * maxCookies, MaxEntries: 1}); err != nil {
		return nil, err
	}
	if u.always, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, err
	}
	u.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti,
		License:      "GPL", // bpf_send_signal_thread asks for it
		Instructions: u.program(ns.Dev, ns.Ino, inner),
	})
	if err != nil {
		return nil, err
	}
	u.exe, err = openExecutable(pid)
	return u, err
}

// program is what runs at a uprobe. R6 is the context, struct pt_regs.
func (u *uprobe) program(dev, ino uint64, tid int32) asm.Instructions {
	const pair = -8 // where struct bpf_pidns_info lies below the frame pointer: pid (the thread's), tgid
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadImm(asm.R1, int64(dev), asm.DWord),
		asm.LoadImm(asm.R2, int64(ino), asm.DWord),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, pair),
		asm.Mov.Imm(asm.R4, -pair),
		asm.FnGetNsCurrentPidTgid.Call(),
		asm.JNE.Imm(asm.R0, 0, "foreign"),
		asm.LoadMem(asm.R1, asm.RFP, pair, asm.Word),
		asm.JNE.Imm(asm.R1, tid, "foreign"),
		asm.LoadMapValue(asm.R7, u.record.FD(), 0),
	}
	for i := range int16(ptRegs) {
		ins = append(ins,
			asm.LoadMem(asm.R1, asm.R6, 8*i, asm.DWord),
			asm.StoreMem(asm.R7, 8*(i+1), asm.R1, asm.DWord),
		)
	}
	ins = append(ins, u.check()...)
	return append(ins,
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord).WithSymbol("stop"),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, int32(unix.SIGURG)),
		asm.FnSendSignalThread.Call(),
		asm.Ja.Label("out"),

		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("foreign"),
		asm.FnGetAttachCookie.Call(),
		asm.Mov.Reg32(asm.R0, asm.R0), // the number alone
		asm.JGE.Imm(asm.R0, maxCookies, "out"),
		asm.LSh.Imm(asm.R0, 3),
		asm.LoadMapValue(asm.R1, u.counts.FD(), 0),
		asm.Add.Reg(asm.R1, asm.R0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),

		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
}

// check goes on to "stop" unless what the cookie names is 0. R6 is the context, R7
// the record, which has the registers already.
func (u *uprobe) check() asm.Instructions {
	const word = -16 // where a word of the stack is read to, below the frame pointer
	const rsp = 19
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, u.always.FD(), 0),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "stop"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnGetAttachCookie.Call(),
		asm.RSh.Imm(asm.R0, checkShift),
		asm.JEq.Imm(asm.R0, 0, "stop"),
		asm.JGE.Imm(asm.R0, checkStack, "stack"),
		asm.JGT.Imm(asm.R0, ptRegs, "out"),
		asm.LSh.Imm(asm.R0, 3), // behind Seq: number n, counted from 1, is at 8n
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Add.Reg(asm.R1, asm.R0),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "out"),
		asm.Ja.Label("stop"),

		asm.Mov.Reg(asm.R3, asm.R0).WithSymbol("stack"),
		asm.Sub.Imm(asm.R3, checkStack),
		asm.LoadMem(asm.R1, asm.R7, 8*(1+rsp), asm.DWord),
		asm.Add.Reg(asm.R3, asm.R1),
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Imm(asm.R1, word),
		asm.Mov.Imm(asm.R2, 8),
		asm.FnProbeReadUser.Call(),
		asm.JNE.Imm(asm.R0, 0, "out"), // not mapped just now
		asm.LoadMem(asm.R1, asm.RFP, word, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "out"),
	}
}

// arm puts uprobes at offsets of the executable file, with the cookie of each.
// Closing the link removes them.
func (u *uprobe) arm(offsets, cookies []uint64) (link.Link, error) {
	return u.exe.probe(u.prog, u.pid, offsets, cookies)
}

// last reads the record.
func (u *uprobe) last() (r probeRecord, err error) {
	var raw [1 + ptRegs]uint64
	if err := u.record.Lookup(uint32(0), &raw); err != nil {
		return r, err
	}
	r.Seq, r.Regs = raw[0], [ptRegs]uint64(raw[1:])
	return r, nil
}

// foreign reads how often other threads have hit the probes, by number.
func (u *uprobe) foreign() (n [maxCookies]uint64, err error) {
	return n, u.counts.Lookup(uint32(0), &n)
}

// stopAlways says whether its thread is to be stopped whatever it returns.
func (u *uprobe) stopAlways(on bool) error {
	var word uint64
	if on {
		word = 1
	}
	return u.always.Put(uint32(0), word)
}

func (u *uprobe) close() {
	_ = u.prog.Close() // these lose nothing; nil is allowed
	_ = u.record.Close()
	_ = u.counts.Close()
	_ = u.always.Close()
	u.exe.close()
}

// innerTID is what a thread is called in the pid namespace of its process:
// proc_pid_status(5), NSpid.
func innerTID(pid, tid int) (int32, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(rest)
			n, err := strconv.ParseInt(fields[len(fields)-1], 10, 32)
			return int32(n), err
		}
	}
	return 0, errors.New("no NSpid in the thread's status")
}

// CheckProbes says whether this process may set uprobes, by setting one in its
// own program, in a function that nothing calls.
func CheckProbes() error {
	pid := unix.Getpid()
	u, err := newUprobe(pid, pid)
	if err != nil {
		return err
	}
	defer u.close()
	offsets, err := fileOffsets(pid, []uint64{uint64(reflect.ValueOf(neverCalled).Pointer())})
	if err != nil {
		return err
	}
	l, err := u.arm(offsets, []uint64{0})
	if err != nil {
		return err
	}
	closeLink(l)
	return nil
}

//go:noinline
func neverCalled() { panic("never called") }
