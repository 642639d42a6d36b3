//go:build linux && amd64

package doctor

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// fixturePID is the process in the fixtures.
const fixturePID = 7

// files are those of a proc file system, by path; "-> x" is a link to x.
type files map[string]string

const (
	ourStatus = "Name:\tremotedbg\nUid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nCapPrm:\t0\nCapEff:\t0\nNoNewPrivs:\t0\nSeccomp:\t0\n"
	itsStatus = "Name:\tshop\nState:\tS (sleeping)\nUid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nCapPrm:\t0\nCapEff:\t0\nTracerPid:\t0\nNSpid:\t7\nNoNewPrivs:\t0\nSeccomp:\t0\nThreads:\t2\n"
)

// fixture is a subject whose proc file system holds files; accessErr is what
// the kernel says of tracing the process.
func fixture(t *testing.T, accessErr error, extra files) *subject {
	t.Helper()
	s := newSubject(Config{PID: fixturePID})
	s.proc, s.sys = t.TempDir(), t.TempDir()
	s.access = func() error { return accessErr }
	all := files{"self/status": ourStatus, "7/status": itsStatus}
	maps.Copy(all, extra)
	for name, text := range all {
		path := filepath.Join(s.proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 3 && text[:3] == "-> " {
			err = os.Symlink(text[3:], path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const capable = "Uid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nCapPrm:\t4000280020\nCapEff:\t0000004000280020\nNoNewPrivs:\t1\nSeccomp:\t2\n"

func TestChecksOfFixtures(t *testing.T) {
	for _, c := range []struct {
		name   string
		run    func(*subject) Result
		access error
		files  files
		want   string
	}{
		{"tracer: none", checkTracer, nil, files{"7/task/7/status": "TracerPid:\t0\n", "7/task/8/status": "TracerPid:\t0\n"}, "ok: none of its 2"},
		{"tracer: one thread", checkTracer, nil, files{"7/task/7/status": "TracerPid:\t0\n", "7/task/8/status": "TracerPid:\t9\n", "9/comm": "gdb\n"}, "fail: gdb (pid 9) traces 1 of its 2"},
		{"tracer: two threads of one process", checkTracer, nil, files{"7/task/7/status": "TracerPid:\t11\n", "7/task/8/status": "TracerPid:\t12\n",
			"11/status": "Tgid:\t9\n", "12/status": "Tgid:\t9\n", "9/comm": "dlv\n"}, "fail: dlv (pid 9) traces 2 of its 2"},
		{"tracer: two tracers", checkTracer, nil, files{"7/task/7/status": "TracerPid:\t12\n", "7/task/8/status": "TracerPid:\t9\n"}, "fail: process 12 traces 1 of its 2 threads, process 9 traces"},
		{"tracer: thread that ends", checkTracer, nil, files{"7/task/7/status": "TracerPid:\t0\n", "7/task/8/comm": "x"}, "ok: none of its 1"},
		{"tracer: no field", checkTracer, nil, files{"7/task/7/status": "Name:\tx\n"}, "warn: not checked"},
		{"tracer: no process", checkTracer, nil, nil, "warn: not checked"},

		{"yama: none", checkYama, nil, nil, "ok: without Yama"},
		{"yama: denied", checkYama, unix.EPERM, files{"sys/kernel/yama/ptrace_scope": "1\n"}, "fail: being the same user"},
		{"yama: allowed", checkYama, nil, files{"sys/kernel/yama/ptrace_scope": "1\n"}, "ok: PR_SET_PTRACER"},
		{"yama: capability", checkYama, nil, files{"sys/kernel/yama/ptrace_scope": "2\n", "self/status": capable}, "ok: makes up"},

		{"perf: no file", checkParanoid, nil, nil, "fail: no perf events"},
		{"perf: Debian's", checkParanoid, nil, files{"sys/kernel/perf_event_paranoid": "3\n"}, "fail: is 3"},
		{"perf: capability", checkParanoid, nil, files{"sys/kernel/perf_event_paranoid": "3\n", "self/status": capable}, "ok: make up"},
		{"perf: damaged", checkParanoid, nil, files{"sys/kernel/perf_event_paranoid": "x\n"}, "warn: not checked"},
		{"perfmon: effective", checkCapPerfmon, nil, files{"self/status": capable}, "ok: effective"},

		{"ptrace: effective", checkCapPtrace, unix.EPERM, files{"self/status": capable}, "ok: is effective"},
		{"ptrace: needed", checkCapPtrace, unix.EPERM, nil, "fail: cannot be traced without"},
		{"ptrace: not needed", checkCapPtrace, nil, nil, "ok: without it"},

		{"access: allowed", checkAccess, nil, nil, "ok: lets us"},
		{"access: denied", checkAccess, unix.EPERM, nil, "fail: AppArmor"},
		{"access: gone", checkAccess, unix.ESRCH, nil, "fail: has exited"},
		{"access: no system call", checkAccess, unix.ENOSYS, nil, "fail: CONFIG_CROSS_MEMORY_ATTACH"},
		{"access: unheard of", checkAccess, unix.EIO, nil, "warn: not checked"},

		{"no_new_privs: off", checkNoNewPrivs, unix.EPERM, nil, "ok: ours 0"},
		{"no_new_privs: in the way", checkNoNewPrivs, unix.EPERM, files{"self/status": capable}, "warn: sudo"},
		{"no_new_privs: not in the way", checkNoNewPrivs, nil, files{"self/status": capable}, "ok: ours 1"},

		{"dumpable: owner differs", checkDumpable, unix.EPERM, files{"7/status": "Uid:\t1\t12345\t1\t1\n"}, "fail: not dumpable"},
		{"seccomp: ours", checkSeccompSelf, nil, files{"self/status": capable}, "ok: a seccomp filter"},

		{"process: gone", checkProcess, nil, files{"7/status": "-> nowhere"}, "fail: no process 7"},
		{"executable: kernel thread", checkExecutable, nil, nil, "fail: kernel thread"},
		{"executable: no ELF", checkExecutable, nil, files{"7/exe": "#!/bin/sh\n"}, "fail: no Go program"},

		{"time: ours", checkTimeNamespace, nil, files{"self/ns/time": "-> time:[1]", "7/ns/time": "-> time:[1]"}, "ok: is ours"},
		{"time: old kernel", checkTimeNamespace, nil, files{"self/ns/mnt": "-> mnt:[1]"}, "ok: no time namespaces"},
		{"time: other, same clock", checkTimeNamespace, nil, files{"self/ns/time": "-> time:[1]", "7/ns/time": "-> time:[2]",
			"self/timens_offsets": "monotonic 0 0\n", "7/timens_offsets": "monotonic 0 0\nboottime 5 0\n"}, "ok: is ours"},
		{"time: offset", checkTimeNamespace, nil, files{"self/ns/time": "-> time:[1]", "7/ns/time": "-> time:[2]",
			"self/timens_offsets": "monotonic 0 0\n", "7/timens_offsets": "monotonic 60 0\n"}, "fail: offset by 60."},
		{"mount: other", checkMountNamespace, nil, files{"self/ns/mnt": "-> mnt:[1]", "7/ns/mnt": "-> mnt:[2]"}, "ok: /proc/7/exe"},
		{"net: other", checkNetNamespace, nil, files{"self/ns/net": "-> net:[1]", "7/ns/net": "-> net:[2]"}, "ok: of its own"},
		{"net: gone", checkNetNamespace, nil, files{"self/ns/net": "-> net:[1]"}, "warn: not checked"},

		{"service proc: none", checkServiceProc, nil, nil, "warn: has no /proc"},
		{"service proc: a folder", checkServiceProc, nil, files{"7/root/proc/x": ""}, "warn: is no proc"},

		{"cgroup: another", checkCgroup, nil, files{"self/cgroup": "0::/user.slice\n", "7/cgroup": "0::/system.slice/shop.service\n"}, "ok: a systemd service"},
		{"cgroup: shared", checkCgroup, nil, files{"self/cgroup": "0::/a\n", "7/cgroup": "0::/a\n"}, "ok: no memory limit"},

		{"oom: not there", checkOOMScore, nil, nil, "warn: not checked"},
		{"oom: writable", checkOOMScore, nil, files{"self/oom_score_adj": "5\n"}, "ok: (5) can be written"},
		{"oom: highest", checkOOMOrder, nil, files{"7/oom_score_adj": "1000\n"}, "warn: BestEffort"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.run(fixture(t, c.access, c.files)), c.want) })
	}
}

func TestSharedCgroupWithALimit(t *testing.T) {
	s := fixture(t, nil, files{"self/cgroup": "0::/a\n", "7/cgroup": "0::/a\n"})
	if err := os.Mkdir(filepath.Join(s.sys, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.sys, "a", "memory.max"), []byte("1048576\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, checkCgroup(s), "warn: limited to 1 MiB")
}

func TestSession(t *testing.T) {
	for name, c := range map[string]struct {
		child []string
		want  string
	}{
		"runs":       {[]string{"/bin/true"}, "ok: "},
		"fails":      {[]string{"/bin/false"}, "fail: ulimit -u"},
		"not there":  {[]string{"/nonexistent/x"}, "fail: noexec"},
		"no command": {nil, "warn: not checked"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, checkSession(&subject{Config: Config{Child: c.child}}), c.want) })
	}
}

// TestEmptyProc: whatever cannot be read, no check crashes, and none says ok
// of what it could not look at.
func TestEmptyProc(t *testing.T) {
	s := newSubject(Config{PID: fixturePID})
	s.proc, s.sys = t.TempDir(), t.TempDir()
	s.access = func() error { return unix.ESRCH }
	hostOnly := map[string]bool{ // looks at neither process nor /proc
		"kernel": true, "system-calls": true, "hw-breakpoint": true, "hw-slots": true, "uprobes": true, "yama": true,
	}
	for _, c := range checks {
		if c.name == "gate" || c.name == "board" || c.name == "armed" || c.name == "slots" {
			continue // these ask package board, which has the real /proc
		}
		r := c.on(s)
		wellFormed(t, r)
		if r.Status == OK && !hostOnly[c.name] {
			t.Errorf("%+v", r)
		}
	}
}

func TestPanicInACheck(t *testing.T) {
	r := check{"x", true, func(*subject) Result { panic("at the disco") }}.on(&subject{})
	if r.Check != "x" {
		t.Errorf("check %q", r.Check)
	}
	expect(t, r, "fail: at the disco")
}
