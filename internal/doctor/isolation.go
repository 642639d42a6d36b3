//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sameNamespace compares a namespace of the process with ours, by the links in
// /proc/PID/ns (namespaces(7)).
func (s *subject) sameNamespace(kind string) (bool, error) {
	ours, err := os.Readlink(filepath.Join(s.proc, "self/ns", kind))
	if err != nil {
		return false, err
	}
	theirs, err := os.Readlink(s.targetFile("ns/" + kind))
	return ours == theirs, err
}

// checkPIDNamespace: the board names threads as the service does; the agent
// translates by NSpid of proc_pid_status(5).
func checkPIDNamespace(s *subject) Result {
	if self, err := os.Readlink(filepath.Join(s.proc, "self")); err == nil && self != strconv.Itoa(os.Getpid()) {
		return fail("/proc here shows another pid namespace than ours", "mount the proc file system of this pid namespace: mount -t proc proc /proc")
	}
	st, err := s.target()
	if err != nil {
		return unknown(err)
	}
	pids, err := st.numbers("NSpid")
	if err != nil {
		return unknown(err)
	}
	if len(pids) == 1 {
		return pass("the service's is ours")
	}
	return pass("the service has one of its own, as in a container: it calls itself process %d; the agent translates", pids[len(pids)-1])
}

// checkUserNamespace: a capability counts in the namespace it is held in and in
// those below it (user_namespaces(7)).
func checkUserNamespace(s *subject) Result {
	same, err := s.sameNamespace("user")
	if err != nil {
		return unknown(err)
	}
	if same {
		return pass("the service's is ours")
	}
	below, err := userNamespaceBelow(filepath.Join(s.proc, "self/ns/user"), s.targetFile("ns/user"))
	switch {
	case err != nil:
		return unknown(err)
	case below:
		return pass("the service has one of its own below ours: our capabilities count there")
	}
	return fail("the service's user namespace is not below ours: our capabilities do not count there",
		"run remotedbg outside of this container, as root of the host or inside the service's namespace (nsenter --user --target PID)")
}

// userNamespaceBelow says whether the namespace of the second file is a
// descendant of the first one's.
func userNamespaceBelow(ours, theirs string) (bool, error) {
	var top, at unix.Stat_t
	if err := unix.Stat(ours, &top); err != nil {
		return false, fmt.Errorf("stat %s: %w", ours, err)
	}
	fd, err := unix.Open(theirs, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", theirs, err)
	}
	defer func() { _ = unix.Close(fd) }() // whichever it is by then
	for {
		if err := unix.Fstat(fd, &at); err != nil {
			return false, fmt.Errorf("stat %s: %w", theirs, err)
		}
		if at.Dev == top.Dev && at.Ino == top.Ino {
			return true, nil
		}
		parent, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
		if errors.Is(err, unix.EPERM) {
			return false, nil // ioctl_ns(2): the parent is outside of ours
		}
		if err != nil {
			return false, fmt.Errorf("parent of %s: %w", theirs, err)
		}
		_ = unix.Close(fd)
		fd = parent
	}
}

func checkMountNamespace(s *subject) Result {
	same, err := s.sameNamespace("mnt")
	if err != nil {
		return unknown(err)
	}
	if same {
		return pass("the service's is ours")
	}
	return pass("the service has its own file system, as in a container: its symbols are read through /proc/%d/exe", s.pid)
}

func checkNetNamespace(s *subject) Result {
	same, err := s.sameNamespace("net")
	if err != nil {
		return unknown(err)
	}
	if same {
		return pass("the service's is ours")
	}
	return pass("the service has a network of its own, as in a container: the IDE connects to the agent's side, and --allow means addresses as the service sees them")
}

// checkTimeNamespace: lease and heartbeat are times of CLOCK_MONOTONIC, which a
// time namespace can offset (time_namespaces(7)).
func checkTimeNamespace(s *subject) Result {
	if _, err := os.Lstat(filepath.Join(s.proc, "self/ns/mnt")); err == nil {
		if _, err := os.Lstat(filepath.Join(s.proc, "self/ns/time")); errors.Is(err, os.ErrNotExist) {
			return pass("this kernel has no time namespaces")
		}
	}
	same, err := s.sameNamespace("time")
	if err != nil {
		return unknown(err)
	}
	if same {
		return pass("the service's is ours")
	}
	var offsets [2]string
	for i, file := range []string{filepath.Join(s.proc, "self/timens_offsets"), s.targetFile("timens_offsets")} {
		text, err := os.ReadFile(file)
		if err != nil {
			return unknown(err)
		}
		offsets[i] = monotonicOffset(string(text))
	}
	if offsets[0] == offsets[1] {
		return pass("the service has one of its own, whose monotonic clock is ours")
	}
	return fail(fmt.Sprintf("the service's monotonic clock is offset by %s, ours by %s: leases would end at the wrong time", offsets[1], offsets[0]),
		"run remotedbg in the service's time namespace: nsenter --time --target PID")
}

// monotonicOffset is the offset of the monotonic clock in a timens_offsets
// file: "seconds.nanoseconds" of that line.
func monotonicOffset(text string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "monotonic" {
			return f[1] + "." + fmt.Sprintf("%09s", f[2]) + " s"
		}
	}
	return "an unknown time"
}

// checkServiceProc: a frozen request whose agent has died looks in /proc, as
// the service sees it, whether it is still traced before it goes on by itself.
func checkServiceProc(s *subject) Result {
	const advice = "mount the proc file system at /proc of the service: without it a request that is frozen when the agent dies is not let go of by itself"
	var fs unix.Statfs_t
	path := s.targetFile("root/proc")
	err := unix.Statfs(path, &fs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return warn("the service has no /proc", advice)
	case err != nil:
		return unknown(fmt.Errorf("statfs %s: %w", path, err))
	case fs.Type != unix.PROC_SUPER_MAGIC:
		return warn("the service's /proc is no proc file system", advice)
	}
	return pass("the service sees a proc file system")
}
