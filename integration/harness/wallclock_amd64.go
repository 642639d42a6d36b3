//go:build linux

package harness

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// WallClock is the wall clock of one Go process, which can be set without
// touching the machine's: to the process it is as if somebody had called
// clock_settime(2). CLOCK_MONOTONIC goes on undisturbed, as it does then.
//
// The Go runtime reads both clocks through the variable vdsoClockgettimeSym,
// which holds the address of the vDSO's function (runtime/sys_linux_amd64.s,
// nanotime1; time_linux_amd64.s, time.now). It is pointed to a few bytes of code
// of our own, which make the system call and correct CLOCK_REALTIME. They are put
// behind the end of the vDSO's ELF image, into the zeroes that fill its last
// page. That page is executable, and writing to it through /proc/PID/mem gives
// the process a copy of its own, as with a breakpoint (mm/gup.c, FOLL_FORCE). What
// reads a clock by a system call of its own, past the runtime, does not see the
// change.
type WallClock struct {
	pid      int
	variable uint64 // address of vdsoClockgettimeSym
	code     uint64 // address of clockCode
}

// clockCode is called as int clock_gettime(clockid_t, struct timespec *), by
// the C calling convention: the clock in DI, the result's address in SI, all
// that it may change are AX, CX, DX, SI, DI and R8 to R11. It needs no stack.
var clockCode = []byte{
	0xb8, 228, 0, 0, 0, // 00  MOVL $228, AX        clock_gettime
	0x0f, 0x05, //         05  SYSCALL              clobbers CX and R11, keeps DI and SI
	0x85, 0xc0, //         07  TESTL AX, AX
	0x75, 0x0e, //         09  JNE 19               an error
	0x85, 0xff, //         0b  TESTL DI, DI
	0x75, 0x0a, //         0d  JNE 19               not CLOCK_REALTIME, which is 0
	0x48, 0x8b, 0x0d, 0x0a, 0, 0, 0, // 0f  MOVQ 0x0a(IP), CX   the word at 20
	0x48, 0x01, 0x0e, //   16  ADDQ CX, (SI)        tv_sec
	0xc3,                               // 19  RET
	0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, // 1a  never reached
	// 20  the seconds to add
}

const clockWord = 0x20

// TakeWallClock makes the wall clock of a process one that can be set. It goes
// on as it was. Taking it again is harmless.
func TakeWallClock(pid int) (*WallClock, error) {
	c := &WallClock{pid: pid}
	var err error
	if c.variable, err = Symbol(pid, "runtime.vdsoClockgettimeSym"); err != nil {
		return nil, err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	start, end, err := mapping(pid, "[vdso]")
	if err != nil {
		return nil, err
	}
	vdso := make([]byte, end-start)
	if _, err := mem.ReadAt(vdso, int64(start)); err != nil {
		return nil, fmt.Errorf("harness: read the vDSO of process %d: %w", pid, err)
	}
	if at := bytes.Index(vdso, clockCode); at >= 0 {
		c.code = start + uint64(at)
	} else {
		used := (len(bytes.TrimRight(vdso, "\x00")) + 63) &^ 63 // a cache line of its own
		if used+clockWord+8 > len(vdso) {
			return nil, fmt.Errorf("harness: the vDSO has only %d bytes to spare", len(vdso)-used)
		}
		c.code = start + uint64(used)
		if _, err := mem.WriteAt(clockCode, int64(c.code)); err != nil {
			return nil, fmt.Errorf("harness: write to the vDSO of process %d: %w", pid, err)
		}
	}
	// Other threads read the variable meanwhile. The kernel copies an aligned
	// word as one, which agent and gate rely on, too.
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], c.code)
	return c, vmWrite(pid, c.variable, word[:])
}

// Set sets the clock to the machine's time and ahead, in whole seconds. Zero is
// as it was.
func (c *WallClock) Set(ahead time.Duration) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], uint64(ahead/time.Second))
	if _, err := mem.WriteAt(word[:], int64(c.code+clockWord)); err != nil {
		return fmt.Errorf("harness: set the clock of process %d: %w", c.pid, err)
	}
	return nil
}

// Ahead reads back what the clock is set to. It is an error if the process does
// not use it.
func (c *WallClock) Ahead() (time.Duration, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", c.pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	used, code := make([]byte, 8), make([]byte, clockWord+8)
	if _, err := mem.ReadAt(used, int64(c.variable)); err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	if _, err := mem.ReadAt(code, int64(c.code)); err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	if binary.LittleEndian.Uint64(used) != c.code || !bytes.HasPrefix(code, clockCode) {
		return 0, fmt.Errorf("harness: process %d reads another clock than the one that was set", c.pid)
	}
	return time.Duration(binary.LittleEndian.Uint64(code[clockWord:])) * time.Second, nil
}

// mapping finds where something is mapped into a process, by its name in
// proc_pid_maps(5).
func mapping(pid int, name string) (start, end uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("harness: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasSuffix(strings.TrimSpace(line), name) {
			_, err := fmt.Sscanf(line, "%x-%x", &start, &end)
			return start, end, err
		}
	}
	return 0, 0, fmt.Errorf("harness: process %d has no %s", pid, name)
}

// vmWrite is process_vm_writev(2), which package syscall does not have.
func vmWrite(pid int, addr uint64, data []byte) error {
	const sysProcessVMWritev = 311
	local := syscall.Iovec{Base: &data[0], Len: uint64(len(data))}
	remote := struct{ base, len uint64 }{addr, uint64(len(data))}
	n, _, errno := syscall.Syscall6(sysProcessVMWritev, uintptr(pid),
		uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 || int(n) != len(data) {
		return fmt.Errorf("harness: write to process %d: %d bytes, %w", pid, n, os.NewSyscallError("process_vm_writev", errno))
	}
	return nil
}
