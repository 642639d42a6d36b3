package watchdog

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSilentAgent: an agent that gives no sign of life is killed, in time, and
// what it held in its hands goes free.
func TestSilentAgent(t *testing.T) {
	for _, way := range []struct {
		name    string
		silence func(*agent) error
	}{
		{"stopped", func(a *agent) error { return unix.Kill(a.pid, unix.SIGSTOP) }},
		{"no beats", func(a *agent) error { a.want("quiet", "quiet"); return nil }},
	} {
		for _, holding := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, holding %v", way.name, holding), func(t *testing.T) {
				t.Parallel()
				a := startAgent(t, nil)
				a.beat(2)
				if holding {
					a.want("hold", "<nil>")
					if threads, err := left(a.service, a.pid); err != nil || len(threads) != 1 {
						t.Fatalf("left finds %v, %v, want the thread that is held", threads, err)
					}
				}
				if err := way.silence(a); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				a.killed()
				// It may have beaten up to 100 ms before. The upper bound is for a
				// machine that is busy with other tests.
				if took := time.Since(began); took < silence-tick-tick/2 || took > 3*silence {
					t.Errorf("killed after %v, want about %v", took, silence)
				}
				a.ended("no sign of life for 500ms: killed", "no thread of process "+strconv.Itoa(a.service)+" is stopped or traced")
			})
		}
	}
}

// TestNotBeforeTheFirstBeat: reading symbols takes long, and nothing is held
// meanwhile.
func TestNotBeforeTheFirstBeat(t *testing.T) {
	w := child{}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	done := make(chan ending)
	go func() { done <- w.listen(pair[1]) }()
	select {
	case end := <-done:
		t.Fatalf("silence before the first beat ended with %d", end)
	case <-time.After(2 * silence):
	}
	if _, err := unix.Write(pair[0], []byte{byteBeat}); err != nil {
		t.Fatal(err)
	}
	if end := <-done; end != endingSilent {
		t.Errorf("silence after the first beat ended with %d, want %d", end, endingSilent)
	}
}

func TestAgentDies(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	a.want("hold", "<nil>")
	if err := unix.Kill(a.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.ended("has died", "no thread of process")
}

func TestAgentEndsInOrder(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	a.want("bye", "<nil>")
	if err := pollIn(a.watchdogFD, 0); err != nil {
		t.Error("Close returned before the watchdog had ended")
	}
	a.want("bye", "<nil>") // again
	a.ended("has ended its work", "no thread of process")
}

// TestByeWithAThread: an agent that says goodbye and does not let go is killed.
func TestByeWithAThread(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	a.want("hold", "<nil>")
	if got := a.do("bye"); !strings.Contains(got, "still at work") {
		t.Errorf("Close returned %q", got)
	}
	a.killed()
	a.ended("did not let go", "no thread of process")
}

func TestServiceEnds(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	service, err := openProcess(a.service)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	if err := unix.Kill(a.service, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := pollIn(int(service.Fd()), patience); err != nil {
		t.Fatal(err)
	}
	a.want("bye", "<nil>")
	if !strings.Contains(a.said(), "so has process") {
		t.Errorf("it said %q", a.said())
	}
}

func TestWatchdogDies(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	if err := unix.Kill(a.watchdog, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.want("await", "done")
	a.beat(2) // beating on is harmless
	a.in.Close()
	if err := a.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestWatchdogHangs: a watchdog that is stopped, or hangs, is killed, so that the
// agent learns that it has none.
func TestWatchdogHangs(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(2)
	if err := unix.Kill(a.watchdog, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.want("await", "done")
	a.in.Close()
	if err := a.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestSuspended: whoever was not running cannot judge. A watchdog that was
// stopped, alone or together with its agent, finds the agent alive.
func TestSuspended(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	signal := func(pid int, sig unix.Signal) {
		t.Helper()
		if err := unix.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(a.watchdog, unix.SIGSTOP)
	a.beat(10) // a second
	signal(a.pid, unix.SIGSTOP)
	<-time.After(2 * silence) // what is tested is that this time does not count
	signal(a.watchdog, unix.SIGCONT)
	signal(a.pid, unix.SIGCONT)
	a.beat(10)
	a.want("bye", "<nil>")
	a.ended()
}

// TestSignals: only SIGKILL ends a watchdog, and it is not where a terminal's
// signals go.
func TestSignals(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.beat(1)
	if sid, err := unix.Getsid(a.watchdog); err != nil || sid != a.watchdog {
		t.Errorf("its session is %d, %v; want its own", sid, err)
	}
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE, unix.SIGTSTP, unix.SIGUSR1} {
		if err := unix.Kill(a.watchdog, sig); err != nil {
			t.Fatal(err)
		}
	}
	a.beat(5)
	a.want("bye", "<nil>")
	a.ended("has ended its work")
}

// TestWhatItInherits: no descriptor but its own, however the agent came by it,
// no environment, and the better chances when memory runs out.
func TestWhatItInherits(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a := startAgent(t, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{r, r, r, r} })
	defer r.Close()
	a.beat(1)

	dir := fmt.Sprintf("/proc/%d/", a.watchdog)
	fds, err := os.ReadDir(dir + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range fds {
		to, err := os.Readlink(dir + "fd/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case to == "/dev/null", to == a.stderr: // 0 to 2
		case strings.HasPrefix(to, "socket:") && entry.Name() == "3":
		case to == "anon_inode:[pidfd]" && (entry.Name() == "4" || entry.Name() == "5"):
		case to == "anon_inode:[eventpoll]", to == "anon_inode:[eventfd]", strings.HasPrefix(to, "/sys/fs/cgroup/"): // the Go runtime's
		default:
			t.Errorf("descriptor %s is %s", entry.Name(), to)
		}
	}
	if env, err := os.ReadFile(dir + "environ"); err != nil || strings.Contains(string(env), "PATH=") {
		t.Errorf("its environment is %q, %v", env, err)
	}
	if cwd, err := os.Readlink(dir + "cwd"); err != nil || cwd != "/" {
		t.Errorf("its working directory is %s, %v", cwd, err)
	}
	if agent, watchdog := oomScoreAdj(t, a.pid), oomScoreAdj(t, a.watchdog); agent != 1000 || watchdog >= agent {
		t.Errorf("oom_score_adj is %d for the agent and %d for the watchdog", agent, watchdog)
	}
	a.want("bye", "<nil>")
	a.ended()
}

func oomScoreAdj(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNobodyListens: a stderr that is closed, that nobody reads, or that is
// full keeps no watchdog from its work, or alive.
func TestNobodyListens(t *testing.T) {
	fifo := func(t *testing.T) (r, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		return r, w
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, cmd *exec.Cmd)
	}{
		{"closed", func(t *testing.T, cmd *exec.Cmd) {
			cmd.Args = append([]string{"sh", "-c", `exec "$0" "$@" 2>&-`, cmd.Path}, cmd.Args[1:]...)
			var err error
			if cmd.Path, err = exec.LookPath("sh"); err != nil {
				t.Fatal(err)
			}
		}},
		{"no reader", func(t *testing.T, cmd *exec.Cmd) {
			r, w := fifo(t)
			r.Close()
			cmd.Stderr = w
			t.Cleanup(func() { w.Close() })
		}},
		{"full", func(t *testing.T, cmd *exec.Cmd) {
			r, w := fifo(t)
			fd := int(w.Fd()) // once: Fd makes the pipe blocking
			if err := unix.SetNonblock(fd, true); err != nil {
				t.Fatal(err)
			}
			for err := error(nil); err == nil; {
				_, err = unix.Write(fd, make([]byte, 4096))
			}
			cmd.Stderr = w
			t.Cleanup(func() { r.Close(); w.Close() })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, func(cmd *exec.Cmd) { c.change(t, cmd) })
			a.beat(1)
			if err := unix.Kill(a.pid, unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			a.killed()
			a.ended()
		})
	}
}

func TestStartRefuses(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if g, err := Start(cmd.Process.Pid); err == nil {
		t.Errorf("a watchdog for a process that has ended: %v", g.Close())
	}
}

// TestMainIsNotForPeople: nobody becomes a watchdog by typing its argument.
func TestMainIsNotForPeople(t *testing.T) {
	for _, args := range [][]string{{"remotedbg"}, {"remotedbg", childArg}, {"remotedbg", "attach", "1", "2"}} {
		if code, ours := Main(args, nil); ours {
			t.Errorf("Main(%q) took it, code %d", args, code)
		}
	}
	cmd := exec.Command(os.Args[0], childArg, "1", "2")
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != codeUsage || !strings.Contains(string(out), "started by remotedbg attach only") {
		t.Errorf("exit code %d, %v, output %q", code, err, out)
	}
}

// TestLeftLeavesOthersAlone: a service that was stopped by its operator, or is
// traced by somebody else, is not the agent's doing.
func TestLeftLeavesOthersAlone(t *testing.T) {
	a := startAgent(t, nil)
	a.want("hold", "<nil>")
	if threads, err := left(a.service, a.pid+1); err != nil || len(threads) > 0 {
		t.Errorf("traced by somebody else: left finds %v, %v", threads, err)
	}
	stopped := startService(t)
	if err := unix.Kill(stopped, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service stops", func() bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(stopped), "status"))
		state, _ := parseStatus(string(text))
		return err == nil && state == "T"
	})
	if threads, err := left(stopped, a.pid); err != nil || len(threads) > 0 {
		t.Errorf("stopped by its operator: left finds %v, %v", threads, err)
	}
	if err := unix.Kill(a.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	a.ended()
}
