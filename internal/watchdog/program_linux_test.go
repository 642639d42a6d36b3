package watchdog

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for another process.
const patience = 20 * time.Second

// TestMain is also the watchdogs and the agents of the tests.
func TestMain(m *testing.M) {
	if code, ours := Main(os.Args, nil); ours {
		unix.Exit(code) // os.Exit takes a second under the race detector
	}
	if len(os.Args) == 3 && os.Args[1] == "agent" {
		os.Exit(agentMain(os.Args[2]))
	}
	os.Exit(m.Run())
}

// agentMain is an agent that does what it is told, a line each on stdin, and
// answers each on stdout.
func agentMain(servicePID string) int {
	service, err := strconv.Atoi(servicePID)
	if err != nil {
		panic(err)
	}
	g, err := Start(service)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var beats atomic.Int64
	var quiet atomic.Bool
	go func() {
		for range time.Tick(100 * time.Millisecond) {
			if !quiet.Load() {
				g.Beat()
				beats.Add(1)
			}
		}
	}()
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "quiet":
			quiet.Store(true)
			fmt.Println("quiet")
		case "beats":
			fmt.Println(beats.Load())
		case "hold":
			held := make(chan error)
			go func() { // a thread of its own, as agents have for each tracee
				runtime.LockOSThread()
				held <- hold(service)
				select {}
			}()
			fmt.Println(<-held)
		case "bye":
			fmt.Println(g.Close())
		case "await":
			<-g.Done()
			fmt.Println("done")
		}
	}
	return 0
}

// hold seizes the service's thread and leaves it in a ptrace-stop.
func hold(tid int) error {
	for _, request := range []uintptr{unix.PTRACE_SEIZE, unix.PTRACE_INTERRUPT} {
		if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, request, uintptr(tid), 0, 0, 0, 0); errno != 0 {
			return errno
		}
	}
	_, err := unix.Wait4(tid, nil, unix.WALL, nil)
	return err
}

// service is a process to be debugged: a cat that waits for input.
func startService(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	return cmd.Process.Pid
}

// agent is a running agent and its watchdog.
type agent struct {
	t            *testing.T
	service, pid int
	watchdog     int
	watchdogFD   int // pidfd
	stderr       string

	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

// startAgent starts an agent; change may alter how.
func startAgent(t *testing.T, change func(*exec.Cmd)) *agent {
	t.Helper()
	a := &agent{t: t, service: startService(t), stderr: filepath.Join(t.TempDir(), "stderr")}
	stderr, err := os.Create(a.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	t.Cleanup(func() { w.Close() })
	a.in = w
	a.cmd = exec.Command(os.Args[0], "agent", strconv.Itoa(a.service))
	a.cmd.Stdin, a.cmd.Stderr = r, stderr
	if change != nil {
		change(a.cmd)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.pid = a.cmd.Process.Pid
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	})
	a.out = bufio.NewReader(out)
	if line := a.line(); line != "ready" {
		t.Fatalf("the agent wrote %q", line)
	}
	a.watchdog = findWatchdog(t, a.pid)
	fd, err := unix.PidfdOpen(a.watchdog, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.watchdogFD = fd
	t.Cleanup(func() {
		if pollIn(fd, 0) != nil {
			t.Error("the watchdog outlives the test")
			_ = unix.Kill(a.watchdog, unix.SIGKILL)
		}
		_ = unix.Close(fd)
		if t.Failed() {
			t.Logf("stderr:\n%s", a.said())
		}
	})
	return a
}

// findWatchdog looks for the watchdog of an agent by its command line.
func findWatchdog(t *testing.T, agent int) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // it may have ended
		args := strings.Split(string(text), "\x00")
		if len(args) > 3 && args[1] == childArg && args[2] == strconv.Itoa(agent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("agent %d has no watchdog", agent)
	return 0
}

func (a *agent) line() string {
	a.t.Helper()
	text, err := a.out.ReadString('\n')
	if err != nil {
		a.t.Fatalf("the agent wrote %q, then %v\n%s", text, err, a.said())
	}
	return strings.TrimSpace(text)
}

// do tells the agent what to do and returns its answer.
func (a *agent) do(what string) string {
	a.t.Helper()
	if _, err := a.in.WriteString(what + "\n"); err != nil {
		a.t.Fatal(err)
	}
	return a.line()
}

// want is do with the answer that is wanted.
func (a *agent) want(what, answer string) {
	a.t.Helper()
	if got := a.do(what); got != answer {
		a.t.Fatalf("%s: the agent answered %q, want %q", what, got, answer)
	}
}

// beat waits until the agent has beaten n more times.
func (a *agent) beat(n int) {
	a.t.Helper()
	count := func() int {
		v, err := strconv.Atoi(a.do("beats"))
		if err != nil {
			a.t.Fatal(err)
		}
		return v
	}
	first := count()
	eventually(a.t, "the agent beats", func() bool { return count() >= first+n })
}

// killed waits for the agent's death by SIGKILL.
func (a *agent) killed() {
	a.t.Helper()
	_ = a.cmd.Wait()
	if ws := a.cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		a.t.Fatalf("the agent ended with %v, want SIGKILL", a.cmd.ProcessState)
	}
}

// ended waits for the end of the watchdog, and for nothing being left of both.
func (a *agent) ended(says ...string) {
	a.t.Helper()
	if err := pollIn(a.watchdogFD, patience); err != nil {
		a.t.Fatalf("the watchdog does not end: %v", err)
	}
	for _, part := range says {
		if !strings.Contains(a.said(), part) {
			a.t.Errorf("the watchdog did not say %q:\n%s", part, a.said())
		}
	}
	if threads, err := left(a.service, a.pid); err != nil || len(threads) > 0 {
		a.t.Errorf("left behind: %v, %v", threads, err)
	}
}

func (a *agent) said() string {
	text, err := os.ReadFile(a.stderr)
	if err != nil {
		a.t.Error(err)
	}
	return string(text)
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
