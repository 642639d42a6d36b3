package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const killedBy9 = -int(unix.SIGKILL)

// TestStoppedAgent: an agent that is stopped is killed before anybody notices,
// and the request that it held goes on.
func TestStoppedAgent(t *testing.T) {
	for _, state := range []string{"idle", "frozen", "stepping"} {
		t.Run(state, func(t *testing.T) {
			g := startGuarded(t)
			if state != "idle" {
				g.freeze()
			}
			slowest := g.slowest()
			if state == "stepping" {
				g.step(2)
			}
			g.agent.signal(unix.SIGSTOP)
			began := time.Now()
			if code := g.agent.wait(); code != killedBy9 {
				t.Errorf("the agent ended with %d", code)
			}
			took := time.Since(began)
			if state != "idle" {
				g.answered()
			}
			// How long it may take is for the fault trials: this machine may
			// be busy.
			t.Logf("killed after %v, slowest other request %v", took, slowest())
			until(t, "the watchdog has said so", func() bool {
				return strings.Contains(g.agent.said(), "no sign of life for 500ms: killed; no thread of process")
			})
			g.intact()
		})
	}
}

// step makes n steps and begins another.
func (g *guarded) step(n int) {
	g.t.Helper()
	for range n {
		if err := g.ide.Next(g.thread); err != nil {
			g.t.Fatal(err)
		}
		if _, err := g.ide.WaitStopped(g.thread); err != nil {
			g.t.Fatal(err)
		}
	}
	if err := g.ide.StepIn(g.thread); err != nil {
		g.t.Fatal(err)
	}
}

// TestWatchdogKilled: without it the agent does not go on.
func TestWatchdogKilled(t *testing.T) {
	g := startGuarded(t)
	g.freeze()
	if err := unix.Kill(g.watchdog, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	g.answered()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the request was let go after %v", took)
	}
	if code := g.agent.wait(); code != exitFailed {
		t.Errorf("the agent ended with %d, want %d", code, exitFailed)
	}
	if said := g.agent.said(); !strings.Contains(said, "the watchdog has died") || !strings.Contains(said, "hint: ") {
		t.Error("the agent does not say why it ended")
	}
	g.intact()
}

// TestBothKilled: the service heals itself, and the next agent need not wait
// for the end of the lease.
func TestBothKilled(t *testing.T) {
	g := startGuarded(t)
	g.freeze()
	// The watchdog first, stopped, so that it sees nothing.
	for _, kill := range []struct {
		pid int
		sig unix.Signal
	}{{g.watchdog, unix.SIGSTOP}, {g.agent.pid, unix.SIGKILL}, {g.watchdog, unix.SIGKILL}} {
		if err := unix.Kill(kill.pid, kill.sig); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	g.agent.wait()
	g.attach()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the next agent was ready after %v: did it wait for the lease?", took)
	}
	if said := g.agent.said(); !strings.Contains(said, "left behind by an earlier agent: the gate was armed by an agent that is dead") {
		t.Error("the next agent does not say what it found")
	}
	g.answered()
	g.freeze()
	if err := g.ide.Continue(g.thread); err != nil {
		t.Fatal(err)
	}
	g.answered()
	g.agent.signal(unix.SIGTERM)
	if code := g.agent.wait(); code != exitOK {
		t.Errorf("the next agent ended with %d", code)
	}
	g.intact()
}

// TestOrderlyEnd: nothing interrupts the thaw, and no watchdog is left.
func TestOrderlyEnd(t *testing.T) {
	for _, first := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT} {
		t.Run(unix.SignalName(first), func(t *testing.T) {
			g := startGuarded(t)
			g.freeze()
			for _, sig := range []unix.Signal{first, unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGPIPE} {
				g.agent.signal(sig)
			}
			if code := g.agent.wait(); code != exitOK {
				t.Errorf("the agent ended with %d", code)
			}
			if left := watchdogsOf(t, g.agent.pid); len(left) > 0 {
				t.Errorf("watchdogs %v outlive it", left)
			}
			g.answered()
			g.intact()
		})
	}
}

// TestWatchdogIsSmall: it is the agent's executable, but not its memory.
func TestWatchdogIsSmall(t *testing.T) {
	g := startGuarded(t)
	for field, most := range map[string]int{"RssAnon": 4 << 10, "VmRSS": 16 << 10} { // kB
		text := statusField("/proc", g.watchdog, field)
		kb, err := strconv.Atoi(strings.TrimSuffix(text, " kB"))
		if err != nil || kb > most {
			t.Errorf("%s is %q, %v; want at most %d kB", field, text, err, most)
		}
		t.Logf("%s: %s", field, text)
	}
	g.agent.signal(unix.SIGTERM)
	g.agent.wait()
	g.intact()
}

// runRemotedbg runs the built command to its end.
func runRemotedbg(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	dir, err := builtPrograms()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "remotedbg"), args...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

func TestRecover(t *testing.T) {
	g := startGuarded(t)
	g.freeze()
	recoverIt := []string{"recover", "--pid", strconv.Itoa(g.shop.pid)}
	if code, out := runRemotedbg(t, recoverIt...); code != exitFailed || !strings.Contains(out, "another agent has armed this process") || !strings.Contains(out, "hint: ") {
		t.Errorf("while the agent lives: exit code %d, %s", code, out)
	}
	g.agent.signal(unix.SIGKILL) // first: one that loses its watchdog disarms
	if err := unix.Kill(g.watchdog, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.agent.wait()
	code, out := runRemotedbg(t, recoverIt...)
	for _, part := range []string{"shop (pid " + strconv.Itoa(g.shop.pid) + "): ", "was armed by an agent that is dead"} {
		if code != exitOK || !strings.Contains(out, part) {
			t.Errorf("exit code %d, no %q in:\n%s", code, part, out)
		}
	}
	g.answered()
	if code, out := runRemotedbg(t, recoverIt...); code != exitOK || !strings.Contains(out, "nothing to recover") {
		t.Errorf("the second time: exit code %d, %s", code, out)
	}
	g.intact()
	if code, out := runRemotedbg(t, "recover"); code != exitUsage || !strings.Contains(out, "--pid") {
		t.Errorf("without flags: exit code %d, %s", code, out)
	}
}
