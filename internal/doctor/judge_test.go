//go:build linux && amd64

package doctor

import (
	"debug/elf"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// expect compares a result with "status: part of detail or advice".
func expect(t *testing.T, r Result, want string) {
	t.Helper()
	state, part, _ := strings.Cut(want, ": ")
	if string(r.Status) != state || !strings.Contains(r.Detail+"\n"+r.Advice, part) {
		t.Errorf("got %+v, want %s", r, want)
	}
	wellFormed(t, r)
}

// wellFormed checks what the report promises of every result.
func wellFormed(t *testing.T, r Result) {
	t.Helper()
	switch r.Status {
	case OK:
		if r.Advice != "" {
			t.Errorf("ok with advice: %+v", r)
		}
	case Warn, Fail:
		if r.Advice == "" {
			t.Errorf("no advice: %+v", r)
		}
	default:
		t.Errorf("status %q: %+v", r.Status, r)
	}
	if r.Detail == "" {
		t.Errorf("no detail: %+v", r)
	}
}

func TestKernel(t *testing.T) {
	for release, want := range map[string]string{
		"6.18.44-fc-v669":              "ok: 6.18.44",
		"5.13.0":                       "ok: ",
		"5.13":                         "ok: ",
		"5.13-rc1":                     "ok: ",
		"6.0":                          "ok: ",
		"10.2.3":                       "ok: ",
		"5.12.19":                      "fail: Linux 5.13 or newer",
		"5.9.16":                       "fail: ",
		"5.10.0-28-amd64":              "fail: Linux 5.10.0-28-amd64",
		"4.18.0-553.el8_10.x86_64":     "fail: ",
		"3.10.0-1160.119.1.el7.x86_64": "fail: ",
		"":                             "warn: not checked",
		"6":                            "warn: not checked",
		"linux.six":                    "warn: not checked",
	} {
		t.Run(release, func(t *testing.T) { expect(t, judgeKernel(release), want) })
	}
}

func TestArchitecture(t *testing.T) {
	header := func(m elf.Machine, c elf.Class) *elf.FileHeader { return &elf.FileHeader{Machine: m, Class: c} }
	for _, c := range []struct {
		name, machine string
		file          *elf.FileHeader
		want          string
	}{
		{"amd64", "x86_64", header(elf.EM_X86_64, elf.ELFCLASS64), "ok: "},
		{"no process", "x86_64", nil, "ok: unknown without it"},
		{"emulated", "aarch64", header(elf.EM_X86_64, elf.ELFCLASS64), "fail: the machine is aarch64"},
		{"386 service", "x86_64", header(elf.EM_386, elf.ELFCLASS32), "fail: GOARCH=amd64"},
		{"x32 service", "x86_64", header(elf.EM_X86_64, elf.ELFCLASS32), "fail: GOARCH=amd64"},
		{"arm64 service under emulation", "x86_64", header(elf.EM_AARCH64, elf.ELFCLASS64), "fail: GOARCH=amd64"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeArchitecture(c.machine, c.file), c.want) })
	}
}

func TestState(t *testing.T) {
	for state, want := range map[string]string{
		"S (sleeping)":     "ok: shop (pid 7, 9 threads), S (sleeping)",
		"R (running)":      "ok: ",
		"D (disk sleep)":   "ok: ",
		"t (tracing stop)": "ok: ", // the line tracer fails
		"T (stopped)":      "warn: kill -CONT 7",
		"Z (zombie)":       "fail: has exited",
		"X (dead)":         "fail: has exited",
	} {
		t.Run(state, func(t *testing.T) {
			expect(t, judgeState(7, status{"Name": "shop", "Threads": "9", "State": state}), want)
		})
	}
}

// process makes a status of one user's process.
func process(uid, gid int, effective, permitted capSet) status {
	return status{
		"Uid":    fmt.Sprintf("%d\t%d\t%d\t%d", uid, uid, uid, uid),
		"Gid":    fmt.Sprintf("%d\t%d\t%d\t%d", gid, gid, gid, gid),
		"CapEff": fmt.Sprintf("%016x", uint64(effective)),
		"CapPrm": fmt.Sprintf("%016x", uint64(permitted)),
	}
}

const (
	ptraceCap = capSet(1 << capSysPtrace)
	killCap   = capSet(1 << capKill)
	bindCap   = capSet(1 << 10)
)

// with changes one field of a status.
func (s status) with(field, value string) status {
	s[field] = value
	return s
}

func TestUser(t *testing.T) {
	for _, c := range []struct {
		name         string
		self, target status
		want         string
	}{
		{"same", process(7, 8, 0, 0), process(7, 8, 0, 0), "ok: user 7 group 8"},
		{"other user", process(7, 8, 0, 0), process(9, 8, 0, 0), "fail: sudo -u '#9' -g '#8'"},
		{"other group", process(7, 8, 0, 0), process(7, 5, 0, 0), "fail: group 5"},
		{"root without the capability", process(0, 0, killCap, killCap), process(9, 9, 0, 0), "fail: "},
		{"other user, with it", process(7, 8, ptraceCap, ptraceCap), process(9, 9, 0, 0), "ok: CAP_SYS_PTRACE makes up"},
		{"permitted is not effective", process(7, 8, 0, ptraceCap), process(9, 9, 0, 0), "fail: "},
		{"setuid service", process(7, 8, 0, 0), process(7, 8, 0, 0).with("Uid", "7 0 0 0"), "fail: "},
		{"dropped its rights, saved id left", process(7, 8, 0, 0), process(7, 8, 0, 0).with("Uid", "7 7 0 7"), "fail: "},
		{"we are setuid: the real id counts", process(7, 8, 0, 0).with("Uid", "5 7 7 7"), process(7, 8, 0, 0), "fail: "},
		{"largest id", process(4294967294, 0, 0, 0), process(4294967294, 0, 0, 0), "ok: 4294967294"},
		{"damaged", process(7, 8, 0, 0), status{"Uid": "x"}, "warn: not checked"},
		{"no fields", status{}, status{}, "warn: not checked"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeUser(c.self, c.target), c.want) })
	}
}

func TestServiceCapabilities(t *testing.T) {
	for _, c := range []struct {
		name         string
		self, target status
		want         string
	}{
		{"none", process(7, 7, 0, 0), process(7, 7, 0, 0), "ok: "},
		{"binds port 80", process(7, 7, 0, 0), process(7, 7, bindCap, bindCap), "fail: CAP_NET_BIND_SERVICE"},
		{"permitted counts", process(7, 7, 0, 0), process(7, 7, 0, bindCap), "fail: CAP_NET_BIND_SERVICE"},
		{"so do we", process(7, 7, 0, bindCap), process(7, 7, bindCap, bindCap), "ok: "},
		{"made up for", process(7, 7, ptraceCap, ptraceCap), process(7, 7, bindCap, bindCap), "ok: makes up"},
		{"many", process(7, 7, 0, 0), process(0, 0, 0, 1<<41-1), "fail: and 35 more"},
		{"news", process(7, 7, 0, 0), process(7, 7, 0, 1<<60), "fail: capability 60"},
		{"damaged", process(7, 7, 0, 0), status{"CapPrm": "xyz"}, "warn: not checked"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeServiceCaps(c.self, c.target), c.want) })
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name         string
		self, target status
		want         string
	}{
		{"same", process(7, 8, 0, 0), process(7, 9, 0, 0), "ok: same user"},
		{"other", process(7, 8, ptraceCap, ptraceCap), process(9, 9, 0, 0), "fail: CAP_KILL"},
		{"capability", process(7, 8, killCap, killCap), process(9, 9, 0, 0), "ok: by CAP_KILL"},
		{"its real id", process(7, 8, 0, 0), process(0, 0, 0, 0).with("Uid", "7 0 0 0"), "ok: "},
		{"its effective id alone", process(7, 8, 0, 0), process(0, 0, 0, 0).with("Uid", "0 7 0 0"), "fail: "},
		{"damaged", status{}, process(9, 9, 0, 0), "warn: not checked"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeSignals(c.self, c.target), c.want) })
	}
}

func TestYama(t *testing.T) {
	for _, c := range []struct {
		scope           string
		ptrace, allowed bool
		want            string
	}{
		{"0", false, false, "ok: no restriction"},
		{"1", false, false, "fail: ptrace_scope to 0"},
		{"1", false, true, "ok: PR_SET_PTRACER"},
		{"1", true, true, "ok: makes up"},
		{"2", false, false, "fail: needs CAP_SYS_PTRACE"},
		{"2", true, true, "ok: makes up"},
		{"3", true, false, "fail: restart the machine"},
		{"3", false, false, "fail: "},
		{"4", true, true, "warn: none of Yama's"},
		{"", true, true, "warn: "},
	} {
		t.Run(fmt.Sprint(c.scope, c.ptrace, c.allowed), func(t *testing.T) {
			expect(t, judgeYama(c.scope, c.ptrace, c.allowed), c.want)
		})
	}
}

func TestDumpable(t *testing.T) {
	for _, c := range []struct {
		name       string
		owner, uid int
		ptrace     bool
		want       string
	}{
		{"yes", 7, 7, false, "ok: is dumpable"},
		{"no", 0, 7, false, "fail: file capabilities"},
		{"made up for", 0, 7, true, "ok: makes up"},
		{"root's", 0, 0, false, "ok: memory-access"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeDumpable(c.owner, c.uid, c.ptrace), c.want) })
	}
}

func TestSeccompOfTheService(t *testing.T) {
	for mode, want := range map[string]string{
		"0": "ok: no seccomp",
		"":  "ok: no seccomp",
		"1": "fail: strict",
		"2": "warn: clock_gettime",
		"9": "warn: not checked",
	} {
		t.Run("mode "+mode, func(t *testing.T) { expect(t, judgeSeccompTarget(status{"Seccomp": mode}), want) })
	}
}

func TestParanoid(t *testing.T) {
	for _, c := range []struct {
		level   int
		perfmon bool
		want    string
	}{
		{-1, false, "ok: "}, {0, false, "ok: "}, {2, false, "ok: for everybody"},
		{3, false, "fail: perf_event_paranoid to 2"}, {4, false, "fail: "}, {4, true, "ok: make up"},
	} {
		t.Run(fmt.Sprint(c.level, c.perfmon), func(t *testing.T) { expect(t, judgeParanoid(c.level, c.perfmon), c.want) })
	}
}

func TestBreakpointErrors(t *testing.T) {
	expect(t, judgeBreakpoint(nil), "ok: ")
	for errno, want := range map[unix.Errno]string{
		unix.EINVAL:     "fail: 5.13",
		unix.E2BIG:      "fail: 5.13",
		unix.ENOSPC:     "fail: end it first",
		unix.EPERM:      "fail: seccomp profile",
		unix.EACCES:     "fail: perf_event_paranoid",
		unix.ENOSYS:     "fail: CONFIG_PERF_EVENTS",
		unix.EOPNOTSUPP: "fail: virtual machine",
		unix.EMFILE:     "fail: ulimit -n",
		unix.EIO:        "fail: report it",
	} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			expect(t, judgeBreakpoint(fmt.Errorf("%w: perf_event_open: %w", live.ErrBreakpoint, errno)), want)
		})
	}
}

func TestSlotsFree(t *testing.T) {
	for _, c := range []struct {
		free int
		err  error
		want string
	}{
		{4, unix.ENOSPC, "ok: 4 of 4"},
		{8, nil, "ok: 8 of 4"},
		{3, unix.ENOSPC, "warn: 3 of 4"},
		{0, unix.ENOSPC, "fail: none is free"},
		{0, unix.EACCES, "warn: not checked"},
		{2, unix.EMFILE, "warn: not checked: 2 could be set"},
	} {
		t.Run(fmt.Sprint(c.free, c.err), func(t *testing.T) { expect(t, judgeSlots(c.free, c.err), c.want) })
	}
}

func TestCgroups(t *testing.T) {
	for _, c := range []struct{ name, text, path, limit, describe string }{
		{"version 2", "0::/system.slice/shop.service\n", "/system.slice/shop.service", "system.slice/shop.service/memory.max", "a systemd service"},
		{"root of version 2", "0::/\n", "/", "memory.max", "/"},
		{"version 1", "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n", "/docker/abc", "memory/docker/abc/memory.limit_in_bytes", "a Docker container"},
		{"pod", "0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-1.scope\n", "/kubepods.slice/kubepods-besteffort.slice/cri-containerd-1.scope", "", "a Kubernetes pod"},
		{"colons in the path", "0::/a:b:c\n", "/a:b:c", "a:b:c/memory.max", "/a:b:c"},
		{"damaged", "\nxx\n1:2\n", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			groups := parseCgroups(c.text)
			path, limit := groups.memory()
			if path != c.path || c.limit != "" && strings.TrimPrefix(limit, "/") != c.limit || !strings.Contains(groups.describe(), c.describe) {
				t.Errorf("got %q, limit in %q, %q", path, limit, groups.describe())
			}
		})
	}
}

func TestSharedCgroup(t *testing.T) {
	for limit, want := range map[string]string{
		"":                    "ok: no memory limit",
		"max":                 "ok: no memory limit",
		"9223372036854771712": "ok: no memory limit",
		"268435456":           "warn: 256 MiB",
	} {
		t.Run(limit, func(t *testing.T) { expect(t, judgeSharedCgroup("/x", limit), want) })
	}
}

func TestOOMOrder(t *testing.T) {
	expect(t, judgeOOMOrder(-998), "ok: -998")
	expect(t, judgeOOMOrder(999), "ok: ")
	expect(t, judgeOOMOrder(1000), "warn: BestEffort")
}

func TestMonotonicOffset(t *testing.T) {
	for text, want := range map[string]string{
		"monotonic           0         0\nboottime            0         0\n": "0.000000000 s",
		"monotonic       86400      5000\nboottime       1 0\n":              "86400.000005000 s",
		"monotonic          -7 999999999\n":                                  "-7.999999999 s",
		"boottime 1 2\n":                                                     "an unknown time",
	} {
		if got := monotonicOffset(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestOptimised(t *testing.T) {
	const plain, fast = "Go cmd/compile go1.26.8; -N -l; regabi", "Go cmd/compile go1.26.8; regabi"
	type unit struct{ name, producer string }
	for _, c := range []struct {
		name    string
		units   []unit
		gcflags string
		want    string
	}{
		{"ordinary", []unit{{"main", fast}, {"fmt", fast}, {"x.c", "GNU C17 12.2.0 -N"}}, "", "ok: the ordinary way"},
		{"all", []unit{{"main", plain}, {"fmt", plain}, {"runtime", fast}}, "all=-N -l", "ok: without optimisation (-gcflags=all=-N -l): 2 of 3"},
		{"without -l", []unit{{"main", "Go cmd/compile go1.26.8; -N; regabi"}}, "", "ok: without optimisation (-N)"},
		{"-l alone", []unit{{"main", "Go cmd/compile go1.26.8; -l; regabi"}}, "", "ok: the ordinary way"},
		{"a library alone", []unit{{"main", fast}, {"lib", plain}}, "", "ok: optimised, but 1 of 2"},
		{"no Go", []unit{{"x.c", "GNU C17"}}, "", "warn: not checked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var u compileUnits
			for _, unit := range c.units {
				u.add(unit.name, unit.producer)
			}
			expect(t, judgeOptimised(u, c.gcflags), c.want)
		})
	}
}

func TestGoVersion(t *testing.T) {
	for version, want := range map[string]string{
		"go1.24":                       "ok: ",
		"go1.24.13":                    "ok: go1.24.13",
		"go1.26.8":                     "ok: ",
		"go1.26rc1":                    "ok: ",
		"go1.25.3 X:jsonv2":            "ok: ",
		"go1.25.3-acme.2":              "ok: ",
		"go1.25.3+auto":                "ok: ",
		"go1.23.12":                    "warn: Go 1.24 or newer",
		"go1.4":                        "warn: ",
		"go1.27.0":                     "warn: update remotedbg",
		"devel go1.27-0123abc Mon Jan": "warn: update remotedbg",
		"devel go1.26-0123abc Mon Jan": "ok: ",
		"go2.0":                        "warn: update remotedbg",
		"devel +0123abc":               "warn: not checked",
		"":                             "warn: not checked",
	} {
		t.Run(version, func(t *testing.T) { expect(t, judgeGoVersion(version), want) })
	}
}

func TestGateErrors(t *testing.T) {
	for _, c := range []struct {
		name, version string
		err           error
		want          string
	}{
		{"there", "v1.2.3", nil, "ok: v1.2.3"},
		{"no build information", "", nil, "ok: "},
		{"missing", "", board.ErrNoGate, "fail: middleware.Handler"},
		{"not Go", "", board.ErrNotGo, "fail: wrapper script"},
		{"stripped", "v1.2.3", fmt.Errorf("%w: no DWARF", board.ErrStripped), "warn: lists the gate, version v1.2.3"},
		{"stripped and missing", "", board.ErrStripped, "warn: lists no gate"},
		{"denied", "", fmt.Errorf("open executable: %w", unix.EACCES), "warn: run as root"},
		{"gone", "", fs.ErrNotExist, "warn: has exited"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, judgeGate(c.version, c.err), c.want) })
	}
}

func TestSlotTable(t *testing.T) {
	free, running := board.Slot{}, board.Slot{State: board.StateRunning}
	expect(t, judgeSlotTable([]board.Slot{free, free}, 0), "ok: all 2 are free")
	expect(t, judgeSlotTable([]board.Slot{free, running}, 7), "ok: 1 of 2")
	expect(t, judgeSlotTable([]board.Slot{{State: board.StateAbandoned}, running}, 0), "warn: recover")
}
