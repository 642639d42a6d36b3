package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// process is the process to debug.
type process struct {
	pid  int
	name string // base name of its executable, else its comm
	fd   int    // pidfd: names this process even after its id is used again
}

func (p *process) String() string { return fmt.Sprintf("%s (pid %d)", p.name, p.pid) }
func (p *process) close()         { _ = unix.Close(p.fd) }

// exited reports whether all threads of p have ended. A pidfd becomes readable
// then, also before the parent has reaped the process (pidfd_open(2)).
func (p *process) exited() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

// findProcess finds the process that o names.
func findProcess(o attachOptions) (*process, error) {
	pid := o.pid
	if o.name != "" {
		var err error
		if pid, err = pidOf("/proc", o.name, os.Getpid()); err != nil {
			return nil, err
		}
	}
	return openProcess(pid)
}

func openProcess(pid int) (*process, error) {
	if leader := statusField("/proc", pid, "Tgid"); leader != "" && leader != strconv.Itoa(pid) {
		return nil, failure{
			err:  fmt.Errorf("%d is a thread of process %s", pid, leader),
			hint: "--pid " + leader,
		}
	}
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, noSuchProcess(pid)
	case errors.Is(err, unix.ENOSYS):
		return nil, failure{
			err:  errors.New("this kernel has no pidfd_open"),
			hint: "remotedbg needs Linux 5.13 or newer",
		}
	case err != nil:
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	p := &process{pid: pid, fd: fd}
	if p.name, _ = names("/proc", pid); p.name == "" {
		p.name = statusField("/proc", pid, "Name") // a zombie has no executable
	}
	if p.exited() {
		p.close()
		return nil, failure{
			err:  fmt.Errorf("%s has exited and waits for its parent to collect it", p),
			hint: "start the service again",
		}
	}
	return p, nil
}

func noSuchProcess(pid int) error {
	return failure{
		err:  fmt.Errorf("no such process: %d", pid),
		hint: "look for it with ps -e, or use --name; in a container the ids are the container's own",
	}
}

// pidOf finds the one process called name below the proc file system at root,
// leaving out the process self.
func pidOf(root, name string, self int) (int, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == self {
			continue
		}
		if exe, comm := names(root, pid); exe == name || comm == name {
			found = append(found, pid)
		}
	}
	switch len(found) {
	case 0:
		return 0, failure{
			err:  fmt.Errorf("no process is called %q", name),
			hint: "the name is compared with the comm (ps -e -o pid,comm) and the executable's base name\nuse --pid if the service has another name",
		}
	case 1:
		return found[0], nil
	}
	hints := []string{"say which one with --pid:"}
	for _, pid := range found {
		hints = append(hints, fmt.Sprintf("  --pid %d: %s", pid, commandLine(root, pid)))
	}
	return 0, failure{
		err:  fmt.Errorf("%d processes are called %q", len(found), name),
		hint: strings.Join(hints, "\n"),
	}
}

// names returns the base name of a process's executable and its comm. The
// first falls back to the second where the link may not be read (another
// user's process); both are empty for a process that is gone or a zombie.
func names(root string, pid int) (exe, comm string) {
	dir := filepath.Join(root, strconv.Itoa(pid))
	link, err := os.Readlink(filepath.Join(dir, "exe"))
	if errors.Is(err, fs.ErrNotExist) { // also kernel threads
		return "", ""
	}
	if text, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil {
		comm = strings.TrimSuffix(string(text), "\n")
	}
	if err != nil {
		return comm, comm
	}
	// proc(5): the kernel appends this when the file was replaced, as a deploy does.
	return filepath.Base(strings.TrimSuffix(link, " (deleted)")), comm
}

// commandLine is how a process was started, cut for a terminal.
func commandLine(root string, pid int) string {
	const most = 100
	text, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "cmdline"))
	if err != nil || len(text) == 0 {
		exe, _ := names(root, pid)
		return exe
	}
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // the separating zero bytes, and what would move the cursor
			return ' '
		}
		return r
	}, strings.TrimRight(string(text), "\x00"))
	if len(line) > most {
		line = line[:most] + "..."
	}
	return line
}

// statusField reads one field of /proc/PID/status, empty if there is none.
func statusField(root string, pid int, field string) string {
	text, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "status"))
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
