package main

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runDemo runs the built command's demo in this checkout and calls line for
// each line of its stdout. It returns the output and the exit code.
func runDemo(t *testing.T, line func(demo *exec.Cmd, text string)) (string, int) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "remotedbg")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "demo")
	var agent strings.Builder
	cmd.Stderr = &agent
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()

	var out strings.Builder
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
		line(cmd, lines.Text())
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", &out, &agent)
		}
	})
	return out.String(), cmd.ProcessState.ExitCode()
}

// serviceGone checks that the service that the demo has started has ended.
func serviceGone(t *testing.T, out string) {
	t.Helper()
	m := regexp.MustCompile(`service: .* \(pid (\d+)\)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatal("the demo did not say which process its service is")
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the service of the demo is still there: %v", err)
	}
}

func TestDemo(t *testing.T) {
	out, code := runDemo(t, func(*exec.Cmd, string) {})
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	serviceGone(t, out)
	for _, want := range []string{
		`(?m)^frozen: GET /orders/7 from 127\.0\.0\.2$`,
		`(?m)^    main\.\(\*api\)\.order +handlers\.go:\d+$`,
		`(?m)^  => +\d+ .*//bp:order-loaded$`,
		`(?m)^    id += 7$`,
		`(?m)^    order += .*ID: 7, .*Placed: 2024-`,
		`(?m)^  next\n  => +\d+ `,
		`(?m)^released after \d+\.\d s: 200 OK$`,
		`(?m)^ +requests served +[1-9]\d+ +[1-9]\d+$`,
		`(?m)^ +errors +0 +0$`,
		`(?m)^ +p99 +\d+\.\d\d ms +\d+\.\d\d ms$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output has nothing like %s", want)
		}
	}
}

// ctrl-C while the request is frozen ends the agent, the service and the demo.
func TestDemoInterrupted(t *testing.T) {
	out, code := runDemo(t, func(demo *exec.Cmd, text string) {
		if strings.HasPrefix(text, "frozen: ") {
			if err := demo.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	})
	if code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if strings.Contains(out, "released after") {
		t.Error("the demo went on after the signal")
	}
	serviceGone(t, out)
}
