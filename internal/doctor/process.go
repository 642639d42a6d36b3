//go:build linux && amd64

package doctor

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func checkProcess(s *subject) Result {
	if s.pid == 0 {
		if s.Missing == nil {
			return fail("no process is named", "name it with --pid or --name")
		}
		return fail(s.Missing.Error(), s.MissingAdvice)
	}
	st, err := s.target()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fail(fmt.Sprintf("/proc shows no process %d", s.pid),
			"it has exited, or /proc is mounted with hidepid: look with ps -e, or run as root")
	case err != nil:
		return unknown(err)
	}
	return judgeState(s.pid, st)
}

// judgeState looks at the state letter, see proc_pid_status(5).
func judgeState(pid int, st status) Result {
	what := fmt.Sprintf("%s (pid %d, %s threads)", st["Name"], pid, st["Threads"])
	switch letter, _, _ := strings.Cut(st["State"], " "); letter {
	case "Z", "X":
		return fail(what+" has exited", "start the service again")
	case "T":
		return warn(what+" is stopped and serves nothing", fmt.Sprintf("let it go on: kill -CONT %d", pid))
	}
	return pass("%s, %s", what, st["State"])
}

func checkExecutable(s *subject) Result {
	exe, err := s.exe()
	switch {
	case denied(err):
		return fail(fmt.Sprintf("its executable cannot be read: %v", err), asRoot)
	case errors.Is(err, os.ErrNotExist):
		return fail("it has no executable: a kernel thread, or it has exited", "name the process of the Go service itself")
	case errors.Is(err, errNotELF), err == nil && !exe.isGo:
		return fail("it is no Go program", "name the process of the Go service itself, not of a wrapper script or container runtime")
	case err != nil:
		return unknown(err)
	}
	link, err := os.Readlink(s.targetFile("exe"))
	if err != nil {
		return unknown(err)
	}
	// proc_pid_exe(5): the kernel appends this when the file was replaced.
	if path, deleted := strings.CutSuffix(link, " (deleted)"); deleted {
		return warn(fmt.Sprintf("a Go program; its file %s was replaced or removed since it started", path),
			"open the sources of the version that runs, not of the one that was installed since; or restart the service")
	}
	return pass("a Go program: %s", link)
}

// checkTracer looks for threads that already have a tracer: there can be one
// only (ptrace(2)), and other debuggers trace every thread there will be.
func checkTracer(s *subject) Result {
	tasks, err := os.ReadDir(s.targetFile("task"))
	if err != nil {
		return unknown(err)
	}
	tracers := make(map[int]int) // tracer's pid -> threads
	seen := 0
	for _, task := range tasks {
		st, err := s.readStatus(filepath.Join(strconv.Itoa(s.pid), "task", task.Name()))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return unknown(err)
		}
		tracer, err := st.number("TracerPid")
		if err != nil {
			return unknown(err)
		}
		seen++
		if tracer != 0 {
			tracers[s.leader(tracer)]++
		}
	}
	if len(tracers) == 0 {
		return pass("none of its %d threads is traced", seen)
	}
	var who []string
	for pid, threads := range tracers {
		who = append(who, fmt.Sprintf("%s traces %d of its %d threads", s.describe(pid), threads, seen))
	}
	slices.Sort(who)
	return fail(strings.Join(who, ", "), "end that tracer first: a debugger, strace, or another remotedbg")
}

// leader is the process of a thread: TracerPid is a thread's id, as
// task_state in fs/proc/array.c writes it.
func (s *subject) leader(tid int) int {
	if st, err := s.readStatus(strconv.Itoa(tid)); err == nil {
		if pid, err := st.number("Tgid"); err == nil {
			return pid
		}
	}
	return tid
}

// describe names another process by what /proc shows of it.
func (s *subject) describe(pid int) string {
	comm, err := readWord(filepath.Join(s.proc, strconv.Itoa(pid), "comm"))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (pid %d)", comm, pid)
}

// setting is a value that the Go toolchain recorded of the build.
func setting(info *buildinfo.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
