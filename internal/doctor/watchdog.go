//go:build linux && amd64

package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// childPatience bounds the child of checkSession, which ends at once unless the
// machine is out of memory or processes.
const childPatience = 10 * time.Second

// checkSession starts a child in a session of its own, as the agent does with
// its watchdog.
func checkSession(s *subject) Result {
	if len(s.Child) == 0 {
		return warn("not checked: there is no command to try it with", "use remotedbg doctor, which has one")
	}
	ctx, cancel := context.WithTimeout(context.Background(), childPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Child[0], s.Child[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fail(fmt.Sprintf("a process in a session of its own could not be run: %v", err),
			"look at the limit of processes (ulimit -u, pids.max of the cgroup) and that remotedbg's file may be executed where it lies (noexec)")
	}
	return pass("a process in a session of its own was run: the watchdog can be")
}

// The agent raises its own, so that the OOM killer takes it and not the service.
const oomFile = "oom_score_adj"

// checkOOMScore writes our own value as it is. The file is root's, and so not
// writable for us, if we are not dumpable (proc(5)).
func checkOOMScore(s *subject) Result {
	path := filepath.Join(s.proc, "self", oomFile)
	n, err := readNumber(path)
	if err != nil {
		return unknown(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(n))
		if closed := f.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return warn(fmt.Sprintf("our %s cannot be written: %v", oomFile, err),
			"short of memory, the kernel may kill the service and not the agent\nrun as root instead of giving remotedbg's file capabilities (setcap), or mount /proc writable")
	}
	return pass("our %s (%d) can be written", oomFile, n)
}

// oomMost is OOM_SCORE_ADJ_MAX, include/uapi/linux/oom.h.
const oomMost = 1000

func checkOOMOrder(s *subject) Result {
	n, err := readNumber(s.targetFile(oomFile))
	if err != nil {
		return unknown(err)
	}
	return judgeOOMOrder(n)
}

func judgeOOMOrder(service int) Result {
	if service >= oomMost {
		return warn(fmt.Sprintf("the service's %s is %d, the highest there is: short of memory, the kernel may kill it before the agent", oomFile, service),
			"give the service's pod memory requests (Kubernetes sets the highest for BestEffort), or leave the agent enough memory")
	}
	return pass("the service's %s is %d, so the agent can rank itself before it", oomFile, service)
}
