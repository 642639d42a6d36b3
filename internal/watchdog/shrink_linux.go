package watchdog

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// shrink gives back the memory that only the start took: the initialisation of
// every package of the agent, most of which a watchdog has no use for, and the
// pages of program text run meanwhile. Those come back from the page cache,
// which has them for the agent, when they are needed.
func shrink() {
	debug.FreeOSMemory()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		var start, end, offset, inode uint64
		var perms, dev string
		// proc_pid_maps(5): address perms offset dev inode path. Only program
		// text: what is read-only now may have been written before, by the
		// dynamic linker (RELRO), and would be lost.
		n, _ := fmt.Sscanf(line, "%x-%x %s %x %s %d", &start, &end, &perms, &offset, &dev, &inode)
		if n == 6 && inode != 0 && strings.HasPrefix(perms, "r-x") {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(start), uintptr(end-start), unix.MADV_DONTNEED)
		}
	}
}
