//go:build linux && amd64

package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

const nobody = 65534

// buildFacts are checks whose results are about the build alone.
var buildFacts = []string{"go-version", "optimised", "trimpath", "buildmode", "cgo", "race", "vcs"}

func TestShop(t *testing.T) {
	all := diagnose(t, startShop(t, buildShop(t)))
	for name, r := range all {
		// What else runs on the machine is not ours to choose.
		if r.Status != OK && name != "cgroup" && name != "oom-order" {
			t.Errorf("%+v", r)
		}
	}
	expect(t, all["hw-slots"], "ok: 4 of 4")
	expect(t, all["go-version"], "ok: "+runtime.Version())
	expect(t, all["optimised"], "ok: the ordinary way")
	expect(t, all["slots"], "ok: all 32")
}

// TestNothingIsTouched runs the checks behind a filter that kills whoever
// traces, writes to, or signals another process, or sets a breakpoint in it.
func TestNothingIsTouched(t *testing.T) {
	pid := startShop(t, buildShop(t))
	all := runRole(t, roleWatched, pid, nil)
	all.only(t, Fail)
	expect(t, all["board"], "ok: readable")
	expect(t, all["seccomp-agent"], "ok: a seccomp filter applies")

	// The filter does its work: an attempt to signal dies.
	cmd := exec.Command(helper(), "x")
	cmd.Env = append(os.Environ(), roleVariable+"="+roleSignal)
	if err := cmd.Run(); err == nil || !strings.Contains(err.Error(), "bad system call") {
		t.Errorf("a process behind the filter that sends a signal: %v", err)
	}
}

func TestBuilds(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		fails []string
		want  map[string]string
	}{
		{"stripped", []string{"-ldflags=-s -w"}, []string{"symbols", "dwarf"}, map[string]string{
			"gate": "warn: lists the gate", "board": "warn: not checked", "go-version": "ok: ", "optimised": "warn: not checked"}},
		{"without DWARF", []string{"-ldflags=-w"}, []string{"dwarf"}, map[string]string{"symbols": "ok: ", "gate": "warn: stripped"}},
		{"not optimised, trimmed, PIE", []string{"-gcflags=all=-N -l", "-trimpath", "-buildmode=pie"}, nil, map[string]string{
			"optimised": "ok: -gcflags=all=-N -l", "trimpath": "warn: substitutePath", "buildmode": "ok: pie", "board": "ok: readable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := diagnose(t, startShop(t, buildShop(t, c.flags...)))
			all.only(t, Fail, c.fails...)
			for name, want := range c.want {
				expect(t, all[name], want)
			}
		})
	}
}

func TestNoGate(t *testing.T) {
	all := diagnose(t, start(t, exec.Command(build(t, ".", "./testdata/nogate")), false))
	all.only(t, Fail, "gate")
	expect(t, all["gate"], "fail: middleware.Handler")
	expect(t, all["board"], "warn: not checked")
	expect(t, all["go-version"], "ok: ")
	expect(t, all["cgo"], "ok: not linked in")
}

func TestNoGo(t *testing.T) {
	all := diagnose(t, start(t, exec.Command("/bin/sleep", "1000"), false))
	all.only(t, Fail, "executable", "symbols", "dwarf", "gate")
	expect(t, all["executable"], "fail: no Go program")
	for _, name := range buildFacts {
		expect(t, all[name], "warn: not checked")
	}
}

// TestReplaced: a deploy replaces the file of a service that runs.
func TestReplaced(t *testing.T) {
	text, err := os.ReadFile(buildShop(t))
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(t.TempDir(), "shop")
	if err := os.WriteFile(exe, text, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := startShop(t, exe)
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	all := diagnose(t, pid)
	all.only(t, Fail)
	expect(t, all["executable"], "warn: was replaced")
	expect(t, all["board"], "ok: ")
}

// TestTraced: another debugger has one of the service's threads.
func TestTraced(t *testing.T) {
	pid := startShop(t, buildShop(t))
	traced, done := make(chan error), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // a tracee is its thread's
		defer runtime.UnlockOSThread()
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, 0, 0, 0)
		if errno != 0 {
			traced <- errno
			return
		}
		traced <- nil
		<-done
		if err := detach(pid); err != nil {
			t.Error(err)
		}
	}()
	if err := <-traced; err != nil {
		t.Fatal(err)
	}
	all := diagnose(t, pid)
	all.only(t, Fail, "tracer")
	expect(t, all["tracer"], "fail: (pid "+strconv.Itoa(os.Getpid())+") traces 1 of its")
	close(done)
	<-ended
	diagnose(t, pid).only(t, Fail)
}

// detach ends the tracing of a thread, which has to be stopped for it.
func detach(tid int) error {
	if err := unix.PtraceInterrupt(tid); err != nil {
		return err
	}
	if _, err := unix.Wait4(tid, nil, unix.WALL, nil); err != nil {
		return err
	}
	return unix.PtraceDetach(tid)
}

func TestArmed(t *testing.T) {
	pid := startShop(t, buildShop(t))
	img, err := board.Locate(pid)
	if err != nil {
		t.Fatal(err)
	}
	b, err := board.Open(vmem.Process{PID: pid}, img)
	if err != nil {
		t.Fatal(err)
	}
	rule := board.Rule{Prefix: netip.MustParsePrefix("127.0.0.2/32")}
	if err := b.Arm(os.Getpid(), []board.Rule{rule}, board.Now()+time.Minute); err != nil {
		t.Fatal(err)
	}
	all := diagnose(t, pid)
	all.only(t, Fail, "armed")
	expect(t, all["armed"], "fail: (pid "+strconv.Itoa(os.Getpid())+")")
	if err := b.Disarm(); err != nil {
		t.Fatal(err)
	}
	diagnose(t, pid).only(t, Fail)
}

func asNobody() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

func TestUnprivileged(t *testing.T) {
	t.Run("another's service", func(t *testing.T) {
		all := runRole(t, roleDoctor, startShop(t, buildShop(t)), asNobody())
		for _, name := range []string{"executable", "memory-access", "user", "cap-sys-ptrace", "service-capabilities", "signals", "board"} {
			if r := all[name]; r.Status != Fail {
				t.Errorf("%+v, want fail", r)
			}
		}
		for _, name := range []string{"kernel", "process", "tracer", "system-calls", "watchdog-session", "oom-score"} {
			if r := all[name]; r.Status != OK {
				t.Errorf("%+v, want ok", r)
			}
		}
		expect(t, all["go-version"], "warn: not checked")
	})
	t.Run("own service", func(t *testing.T) {
		cmd := shopCommand(buildShop(t))
		cmd.SysProcAttr = asNobody()
		all := runRole(t, roleDoctor, start(t, cmd, true), asNobody())
		expect(t, all["user"], "ok: user 65534")
		expect(t, all["signals"], "ok: same user")
		expect(t, all["dumpable"], "ok: is dumpable")
		// Whether the rest suffices is for this machine's settings to say.
		for _, name := range []string{"memory-access", "board", "cap-sys-ptrace"} {
			if got, want := all[name].Status, map[bool]Status{true: OK, false: Fail}[all["yama"].Status == OK]; got != want {
				t.Errorf("%+v, want %s with %+v", all[name], want, all["yama"])
			}
		}
		for _, name := range []string{"hw-breakpoint", "cap-perfmon"} {
			if got, want := all[name].Status, all["perf-paranoid"].Status; got != want {
				t.Errorf("%+v, want %s with %+v", all[name], want, all["perf-paranoid"])
			}
		}
	})
	t.Run("root looks at it", func(t *testing.T) {
		cmd := shopCommand(buildShop(t))
		cmd.SysProcAttr = asNobody()
		all := diagnose(t, start(t, cmd, true))
		all.only(t, Fail)
		expect(t, all["user"], "ok: makes up")
		expect(t, all["signals"], "ok: CAP_KILL")
	})
}

// TestBlocked: a container's seccomp profile forbids perf events and ptrace.
func TestBlocked(t *testing.T) {
	all := runRole(t, roleBlocked, startShop(t, buildShop(t)), nil)
	all.only(t, Fail, "system-calls", "hw-breakpoint")
	expect(t, all["system-calls"], "fail: ptrace (operation not permitted), perf_event_open (operation not permitted)")
	expect(t, all["hw-breakpoint"], "fail: seccomp profile")
	expect(t, all["hw-slots"], "warn: not checked")
	expect(t, all["seccomp-agent"], "ok: a seccomp filter applies to us")
}

func TestServiceBehindAFilter(t *testing.T) {
	cmd := exec.Command(helper(), shopCommand(buildShop(t)).Args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleExec)
	all := diagnose(t, start(t, cmd, true))
	all.only(t, Fail)
	expect(t, all["seccomp-service"], "warn: futex")
	expect(t, all["no-new-privs"], "ok: the service's 1")
}

// TestContainer: the namespaces of a service in a container, and of an agent
// that is in one while the service is not.
func TestContainer(t *testing.T) {
	inside := func() *syscall.SysProcAttr {
		root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		return &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER,
			UidMappings: root, GidMappings: root,
		}
	}
	t.Run("service", func(t *testing.T) {
		cmd := shopCommand(buildShop(t))
		cmd.SysProcAttr = inside()
		all := diagnose(t, start(t, cmd, true))
		all.only(t, Fail)
		expect(t, all["pid-namespace"], "ok: calls itself process 1;")
		expect(t, all["user-namespace"], "ok: below ours")
		expect(t, all["mount-namespace"], "ok: its own file system")
		expect(t, all["net-namespace"], "ok: a network of its own")
	})
	t.Run("agent", func(t *testing.T) {
		attr := inside()
		attr.Cloneflags = syscall.CLONE_NEWUSER
		all := runRole(t, roleDoctor, startShop(t, buildShop(t)), attr)
		for _, name := range []string{"memory-access", "board"} {
			if all[name].Status != Fail {
				t.Errorf("%+v", all[name])
			}
		}
		// Its link may not even be read from there.
		expect(t, all["user-namespace"], "warn: not checked")
	})
	t.Run("agent without its proc", func(t *testing.T) {
		attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		all := runRole(t, roleDoctor, startShop(t, buildShop(t)), attr)
		expect(t, all["pid-namespace"], "fail: mount -t proc")
	})
}

func TestUserNamespaceThatIsNotBelow(t *testing.T) {
	cmd := exec.Command(build(t, ".", "./testdata/nogate"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	inner := filepath.Join("/proc", strconv.Itoa(start(t, cmd, false)), "ns/user")
	if below, err := userNamespaceBelow("/proc/self/ns/user", inner); err != nil || !below {
		t.Errorf("inner below ours: %t, %v", below, err)
	}
	if below, err := userNamespaceBelow(inner, "/proc/self/ns/user"); err != nil || below {
		t.Errorf("ours below inner: %t, %v", below, err)
	}
}

func TestStopped(t *testing.T) {
	pid := startShop(t, buildShop(t))
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return diagnose(t, pid)["process"].Status == Warn })
	all := diagnose(t, pid)
	all.only(t, Fail)
	expect(t, all["process"], "warn: kill -CONT")
}

func TestNoProcess(t *testing.T) {
	all := collect(t, slices.Collect(Run(Config{Missing: errors.New("no such process: 7"), MissingAdvice: "look for it", Child: []string{"/bin/true"}})))
	all.only(t, Fail, "process")
	expect(t, all["process"], "fail: no such process: 7")
	expect(t, all["board"], "warn: not checked: there is no process")
	expect(t, all["hw-slots"], "ok: ")
}

// TestJSON: these names are what scripts read.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, nil); err != nil || strings.TrimSpace(b.String()) != "[]" {
		t.Errorf("no results: %q, %v", b.String(), err)
	}
	b.Reset()
	results := []Result{{"a", OK, "d <1>", ""}, {"b", Fail, "e", "do\nthis"}}
	if err := WriteJSON(&b, results); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	want := []map[string]string{
		{"check": "a", "status": "ok", "detail": "d <1>", "advice": ""},
		{"check": "b", "status": "fail", "detail": "e", "advice": "do\nthis"},
	}
	if len(got) != 2 || !maps.Equal(got[0], want[0]) || !maps.Equal(got[1], want[1]) {
		t.Errorf("got %v, want %v", got, want)
	}
	if Count(results, Fail) != 1 || Count(results, Warn) != 0 {
		t.Error("wrong count")
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := WriteText(&b, Result{"kernel", Warn, "one\ntwo", "do this\nor that"}); err != nil {
		t.Fatal(err)
	}
	const want = "warn  kernel                one; two\n      hint: do this\n      hint: or that\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	for _, c := range checks {
		if len(c.name) > nameWidth {
			t.Errorf("%s is longer than %d", c.name, nameWidth)
		}
	}
}

// TestDocumented: every check has a row in the manual, and the manual no other.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows = append(rows, name)
		}
	}
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	if !slices.Equal(rows, names) {
		t.Errorf("documented:\n%v\nchecked:\n%v", rows, names)
	}
}

// TestNothingIsLeft: no descriptors, however often.
func TestNothingIsLeft(t *testing.T) {
	pid := startShop(t, buildShop(t))
	diagnose(t, pid)
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		diagnose(t, pid)
	}
	eventually(t, func() bool { // the kernel takes its time to close a uprobe
		after, err := os.ReadDir("/proc/self/fd")
		return err == nil && len(after) <= len(before)
	})
}

// eventually waits until f is true.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s")
		}
		runtime.Gosched()
	}
}
