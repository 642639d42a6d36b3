//go:build linux && amd64

package doctor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is its own helper, in these roles.
const (
	roleVariable = "REMOTEDBG_DOCTOR_TEST_ROLE"

	roleDoctor  = "doctor"  // PID: prints the results
	roleBlocked = "blocked" // PID: the same behind a filter that forbids what it needs
	roleNoBPF   = "nobpf"   // PID: the same behind a filter that forbids bpf
	roleLacking = "lacking" // PID CAPABILITY...: the same without these, for good
	roleWatched = "watched" // PID: the same behind a filter that kills who touches another process
	roleSignal  = "signal"  // signals its parent behind that filter
	roleExec    = "exec"    // COMMAND...: becomes it, behind a filter that allows all
)

// shared is a folder that any user may look into: what the tests build, and a
// copy of the test binary.
var shared string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(playRole(role, os.Args[1:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if shared, err = os.MkdirTemp("", "remotedbg-doctor-"); err == nil {
		err = os.Chmod(shared, 0o755)
	}
	if err == nil {
		err = copySelf()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(shared)
	return m.Run()
}

func copySelf() error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	to, err := os.OpenFile(helper(), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, self); err != nil {
		return err
	}
	return to.Close()
}

func helper() string { return filepath.Join(shared, "helper") }

func playRole(role string, args []string) int {
	err := func() error {
		switch role {
		case roleDoctor:
		case roleBlocked:
			if err := filter(refusing(unix.SYS_PERF_EVENT_OPEN, unix.SYS_PTRACE)); err != nil {
				return err
			}
		case roleNoBPF:
			if err := filter(refusing(unix.SYS_BPF)); err != nil {
				return err
			}
		case roleLacking:
			return becomeWithout(args[0], args[1:])
		case roleWatched:
			if err := filter(watching()); err != nil {
				return err
			}
		case roleSignal:
			if err := filter(watching()); err != nil {
				return err
			}
			return syscall.Kill(os.Getppid(), 0)
		case roleExec:
			if err := filter(allowing()); err != nil {
				return err
			}
			return syscall.Exec(args[0], args, slices.DeleteFunc(os.Environ(), func(v string) bool {
				return strings.HasPrefix(v, roleVariable)
			}))
		default:
			return fmt.Errorf("no role %q", role)
		}
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return WriteJSON(os.Stdout, slices.Collect(Run(Config{PID: pid, Child: []string{"/bin/true"}})))
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// becomeWithout runs this program again as a doctor that lacks capabilities: root
// gets by execve what its bounding set has (capabilities(7)), which is the calling
// thread's.
func becomeWithout(pid string, bits []string) error {
	runtime.LockOSThread()
	for _, text := range bits {
		bit, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return err
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(bit), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", bit, err)
		}
	}
	if err := os.Setenv(roleVariable, roleDoctor); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", []string{"doctor", pid}, os.Environ())
}

// build builds a program once for each set of flags. dir is relative to this
// package.
func build(t *testing.T, dir, pkg string, flags ...string) string {
	t.Helper()
	name := strings.NewReplacer("/", "", ".", "", "=", "", " ", "").Replace(pkg + strings.Join(flags, ""))
	exe := filepath.Join(shared, name)
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	// -buildvcs=false: the checkout may belong to another user.
	args := append([]string{"build", "-buildvcs=false"}, flags...)
	cmd := exec.Command("go", append(args, "-o", exe, pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", cmd.Args, err, out)
	}
	return exe
}

// buildShop builds the example service as its users build theirs.
func buildShop(t *testing.T, flags ...string) string {
	t.Helper()
	return build(t, filepath.Join("..", "..", "integration", "targets"), "./shop", flags...)
}

// start runs cmd until the test ends. It returns when the program has written
// a line (line true) or has become itself and answers on its standard input.
func start(t *testing.T, cmd *exec.Cmd, line bool) int {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
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
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	})
	if !line {
		return cmd.Process.Pid // exec.Cmd.Start returns after execve
	}
	if text, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%v wrote %q: %v", cmd.Args, text, err)
	}
	return cmd.Process.Pid
}

func startShop(t *testing.T, exe string) int {
	t.Helper()
	return start(t, shopCommand(exe), true)
}

func shopCommand(exe string) *exec.Cmd { return exec.Command(exe, "-addr", "0.0.0.0:0") }

// report is the results by name.
type report map[string]Result

// collect checks what the report promises as a whole.
func collect(t *testing.T, results []Result) report {
	t.Helper()
	all := make(report)
	for _, r := range results {
		wellFormed(t, r)
		all[r.Check] = r
	}
	if len(results) != len(checks) || len(all) != len(checks) {
		t.Errorf("%d results of %d names, want %d", len(results), len(all), len(checks))
	}
	return all
}

func diagnose(t *testing.T, pid int) report {
	t.Helper()
	return collect(t, slices.Collect(Run(Config{PID: pid, Child: []string{"/bin/true"}})))
}

// runRole runs a doctor in a process of its own.
func runRole(t *testing.T, role string, pid int, attr *syscall.SysProcAttr, args ...string) report {
	t.Helper()
	cmd := exec.Command(helper(), append([]string{strconv.Itoa(pid)}, args...)...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = attr
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", role, err, out, stderr.String())
	}
	var results []Result
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	return collect(t, results)
}

// only checks that exactly the named checks have the status.
func (all report) only(t *testing.T, status Status, names ...string) {
	t.Helper()
	for name, r := range all {
		if (r.Status == status) != slices.Contains(names, name) {
			t.Errorf("%+v, want %s for %v alone", r, status, names)
		}
	}
}
