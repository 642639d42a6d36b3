package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sleeper starts a process whose executable is called name, which ends when the
// test does.
func sleeper(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(cat)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe() // cat runs until it is closed
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // a second Wait of a test that has waited fails
	})
	// Until it echoes, the process may still be this test's fork, with our name.
	if _, err := io.WriteString(in, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestFindProcessByName(t *testing.T) {
	const long = "remotedbg-sleeper-with-a-long-name" // comm keeps 15 bytes of it
	first := sleeper(t, long)
	for _, name := range []string{long, long[:15]} {
		p, err := findProcess(attachOptions{name: name})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.pid != first.Process.Pid || p.exited() {
			t.Errorf("%s: found %+v, want the running pid %d", name, p, first.Process.Pid)
		}
		p.close()
	}

	second := sleeper(t, long)
	_, err := findProcess(attachOptions{name: long})
	var h hinter
	if !errors.As(err, &h) || !strings.Contains(err.Error(), "2 processes") {
		t.Fatalf("with two processes: %v", err)
	}
	for _, cmd := range []*exec.Cmd{first, second} {
		if line := fmt.Sprintf("--pid %d: %s", cmd.Process.Pid, cmd.Path); !strings.Contains(h.Hint(), line[:min(len(line), 80)]) {
			t.Errorf("the hint does not list %q:\n%s", line, h.Hint())
		}
	}
}

// A deploy replaces the file of a service that runs.
func TestFindProcessDeletedExecutable(t *testing.T) {
	cmd := sleeper(t, "remotedbg-deleted")
	if err := os.Remove(cmd.Path); err != nil {
		t.Fatal(err)
	}
	p, err := findProcess(attachOptions{name: "remotedbg-deleted"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.name != "remotedbg-deleted" {
		t.Errorf("name %q", p.name)
	}
}

func TestFindProcessRefuses(t *testing.T) {
	t.Run("itself by name", func(t *testing.T) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := pidOf("/proc", filepath.Base(self), os.Getpid()); err == nil && pid == os.Getpid() {
			t.Error("found itself")
		}
	})
	t.Run("thread", func(t *testing.T) {
		// Any thread of this test but its first; the runtime always has some.
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil || len(tasks) < 2 {
			t.Fatalf("threads: %v, %v", tasks, err)
		}
		tid, err := strconv.Atoi(tasks[len(tasks)-1].Name())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, tid, "is a thread of process "+strconv.Itoa(os.Getpid()), "--pid "+strconv.Itoa(os.Getpid()))
	})
	t.Run("zombie", func(t *testing.T) {
		cmd := exec.Command("true")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, cmd.Process.Pid, "has exited", "start the service again")
	})
	t.Run("gone", func(t *testing.T) {
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		refused(t, cmd.Process.Pid, "no such process", "ps -e")
	})
}

func refused(t *testing.T, pid int, text, hint string) {
	t.Helper()
	p, err := findProcess(attachOptions{pid: pid})
	if err == nil {
		p.close()
		t.Fatalf("found %v", p)
	}
	var h hinter
	if !errors.As(err, &h) || !strings.Contains(err.Error(), text) || !strings.Contains(h.Hint(), hint) {
		t.Errorf("got %v, want %q and the hint %q", err, text, hint)
	}
}

func TestProcessExited(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := findProcess(attachOptions{pid: cmd.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.exited() {
		t.Error("a running process counts as exited")
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !p.exited() {
		t.Error("an exited process does not count as exited")
	}
}
