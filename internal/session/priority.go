//go:build linux && amd64

package session

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// priority is the nice value of an agent that has armed a gate. What it does is
// little and short, but a thread of the service may be in a ptrace-stop until
// it is done, and on a busy machine it would get its turn late: late enough for
// the watchdog to kill it.
const priority = -10

// raisePriority gives it to every thread of this process, and so to those that
// they will start. It is done behind the loading of the symbols, which takes
// long and is in no hurry. Without CAP_SYS_NICE nothing changes: see
// setpriority(2), which on Linux is about threads.
func raisePriority() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, priority)
		}
	}
}
