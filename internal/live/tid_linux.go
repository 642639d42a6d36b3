//go:build linux

package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// HostTID translates a thread id of process pid from the process's own pid
// namespace to ours, see NSpid in proc(5). For a process in our namespace, the
// usual case, one look at /proc decides.
func HostTID(pid, tid int) (int, error) {
	ids, err := nsTIDs(pid, pid)
	if err != nil {
		return 0, err
	}
	if len(ids) <= 1 {
		return tid, nil
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		host, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		if ids, err := nsTIDs(pid, host); err == nil && ids[len(ids)-1] == tid {
			return host, nil
		}
	}
	return 0, fmt.Errorf("thread %d of process %d: %w", tid, pid, unix.ESRCH)
}

// nsTIDs reads the ids of a thread in the nested pid namespaces, ours first.
func nsTIDs(pid, tid int) ([]int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		var ids []int
		for _, f := range strings.Fields(rest) {
			id, err := strconv.Atoi(f)
			if err != nil {
				return nil, err
			}
			ids = append(ids, id)
		}
		if len(ids) > 0 {
			return ids, nil
		}
	}
	return nil, errors.New("no NSpid in /proc: a kernel before 4.1?")
}
