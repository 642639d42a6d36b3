//go:build linux && amd64

package main

import (
	"debug/elf"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// The faults in this file come from inside the agent: it runs out of memory,
// and its code fails.

// Limits of setrlimit(2), which package syscall does not name.
const (
	rlimitData = 2
	rlimitAS   = 9
)

// starve leaves the agent little memory and makes it need more.
func starve(t *trial) error {
	a, err := t.enter(steppingStates[t.number%len(steppingStates)])
	if err != nil {
		return err
	}
	// By turns the limit on addresses, which ends the agent at the next arena
	// of its heap, and the one on writable memory, which ends it anywhere.
	limit, field := rlimitAS, "VmSize"
	if t.number/len(steppingStates)%2 == 1 {
		limit, field = rlimitData, "VmData"
	}
	t.label += ", out of " + field
	now, err := statusBytes(a.PID, field)
	if err != nil {
		return err
	}
	most := uint64(now) + t.rng.Uint64N(8<<20)
	if err := prlimit(a.PID, limit, most); err != nil {
		return err
	}
	t.strike()
	conns := fill(a.Addr)
	defer closeAll(conns)
	code, err := a.Wait(endTimeout)
	if err != nil {
		return fmt.Errorf("%w: the agent lives with %s of %d bytes", errNotProvoked, field, most)
	}
	for _, why := range []string{"out of memory", "cannot allocate memory", "pthread_create failed"} {
		if strings.Contains(a.Stderr.String(), why) {
			t.counted("out of " + field)
			return nil
		}
	}
	return fmt.Errorf("the agent ended with %d, but not for want of memory", code)
}

func prlimit(pid, limit int, most uint64) error {
	value := syscall.Rlimit{Cur: most, Max: most}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), uintptr(limit), uintptr(unsafe.Pointer(&value)), 0, 0, 0)
	return os.NewSyscallError("prlimit", errnoErr(errno))
}

func errnoErr(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// fill has an agent buffer as much as it takes: messages just below the limit
// that are never finished, on as many connections as it serves.
func fill(addr string) []net.Conn {
	const conns, size = 14, 4_000_000
	message := append([]byte(fmt.Sprintf("Content-Length: %d\r\n\r\n", size)), make([]byte, size-1)...)
	var open []net.Conn
	for range conns {
		conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			break // it is dead, which is the point
		}
		open = append(open, conn)
		_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(message); err != nil {
			break
		}
	}
	return open
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// panicAgent makes the code of the agent fail: mostly a nil dereference at the
// beginning of one of its own functions, which becomes an ordinary Go panic on
// whatever goroutine calls it, and now and then the signals of a C library that
// aborts or crashes.
func panicAgent(t *trial) error {
	a, err := t.enter(steppingStates[t.number%len(steppingStates)])
	if err != nil {
		return err
	}
	t.strike()
	switch t.number % 5 {
	case 3:
		err = a.Signal(syscall.SIGABRT)
		t.label += ", SIGABRT"
	case 4:
		err = a.Signal(syscall.SIGSEGV)
		t.label += ", SIGSEGV"
	default:
		return t.breakCode(a)
	}
	if err != nil {
		return err
	}
	if code, err := a.Wait(endTimeout); err != nil || code == 0 {
		return fmt.Errorf("the agent ended with %d: %w", code, err)
	}
	t.counted("fatal signals")
	return nil
}

// breakCode breaks one function of the agent after the other until it panics.
func (t *trial) breakCode(a *harness.Agent) error {
	functions, err := ownFunctions(a.PID)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", a.PID), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	// XORL AX, AX; MOVQ AX, (AX).
	nilDereference := []byte{0x31, 0xc0, 0x48, 0x89, 0x00}
	for _, i := range t.rng.Perm(len(functions)) {
		f := functions[i]
		// The kernel lets a tracer, and root, write to text pages: proc_pid_mem(5).
		_, failed := mem.WriteAt(nilDereference, int64(f.Value)) // at the latest when it is dead
		wait := 50 * time.Millisecond
		if failed != nil {
			wait = endTimeout
		}
		code, err := a.Wait(wait)
		switch {
		case err != nil && failed != nil:
			return failed
		case err != nil:
			continue // nobody has called it yet
		}
		t.label += ", panic in " + f.Name
		switch text := a.Stderr.String(); {
		// A function that the runtime calls where it cannot panic ends in a
		// fatal error of the same signal.
		case code == 2 && strings.Contains(text, "SIGSEGV"):
			t.counted("panics")
		// One in the service of an IDE is that IDE's alone. But if it was what a
		// defer statement made of an Unlock (deferwrap) the lock is never
		// released, and the agent hangs.
		case code == -int(syscall.SIGKILL) && strings.Contains(text, "deferwrap") && strings.Contains(text, "gave no sign of life"):
			t.counted("panics of an Unlock, killed by the watchdog")
		default:
			return fmt.Errorf("the agent ended with %d, but not by a panic", code)
		}
		return nil
	}
	return fmt.Errorf("%w: the agent lives without a function", errNotProvoked)
}

// ownFunctions are those of the agent's own code that do its work on the
// service. It is linked at a fixed address.
func ownFunctions(pid int) ([]elf.Symbol, error) {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("the agent is not linked at a fixed address (%v)", f.Type)
	}
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	var own []elf.Symbol
	for _, s := range symbols {
		for _, pkg := range []string{"live", "board", "session", "backend", "vmem"} {
			if strings.HasPrefix(s.Name, "github.com/remotedbg/remotedbg/internal/"+pkg+".(*") && s.Size > 16 {
				own = append(own, s)
			}
		}
	}
	return own, nil
}
