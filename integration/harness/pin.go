//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"
)

// Pin keeps all threads of a process, and those they start, on some CPUs.
func Pin(pid int, cpus ...int) error {
	var mask [16]uint64 // 1024 CPUs, the kernel's usual maximum
	for _, cpu := range cpus {
		mask[cpu/64] |= 1 << (cpu % 64)
	}
	// A thread that is started meanwhile by one not yet pinned is caught by the
	// second round.
	for range 2 {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil || len(tasks) == 0 {
			return fmt.Errorf("harness: pin: process %d has no threads", pid)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				return fmt.Errorf("harness: pin: %w", err)
			}
			_, _, errno := syscall.Syscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
			if errno != 0 && errno != syscall.ESRCH {
				return os.NewSyscallError("sched_setaffinity", errno)
			}
		}
	}
	return nil
}
