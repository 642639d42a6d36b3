//go:build linux && amd64

package doctor

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUprobesRefused(t *testing.T) {
	const new = "6.18.1"
	both := capSet(1<<capBPF | 1<<capPerfmon)
	perm := fmt.Errorf("uprobes refused: map create: %w", unix.EPERM)
	for name, c := range map[string]struct {
		err    error
		rights bpfRights
		want   string
	}{
		"old kernel":          {unix.EINVAL, bpfRights{release: "6.5.0-1"}, "warn: Linux 6.6 or newer"},
		"old kernel, no root": {perm, bpfRights{release: "5.15", missing: both}, "warn: Linux 6.6 or newer"},
		"no capability":       {perm, bpfRights{release: new, missing: both}, "warn: uprobes need CAP_PERFMON, CAP_BPF; a request has 4"},
		"one is missing":      {perm, bpfRights{release: new, missing: 1 << capBPF}, "warn: uprobes need CAP_BPF;"},
		"in a user namespace": {perm, bpfRights{release: new, nested: true, filtered: true}, "warn: rootless"},
		"seccomp":             {perm, bpfRights{release: new, filtered: true}, "warn: its seccomp profile must allow bpf"},
		"security module":     {perm, bpfRights{release: new, lockdown: "[none] integrity confidentiality"}, "warn: AppArmor, SELinux"},
		"locked down":         {perm, bpfRights{release: new, lockdown: "none integrity [confidentiality]"}, "warn: [confidentiality], see kernel_lockdown(7)"},
		"no BPF":              {unix.ENOSYS, bpfRights{release: new}, "warn: CONFIG_BPF_SYSCALL"},
		"no uprobes":          {unix.EOPNOTSUPP, bpfRights{release: new}, "warn: CONFIG_UPROBE_EVENTS"},
		"unknown kernel":      {unix.EINVAL, bpfRights{release: "six"}, "warn: do not work: invalid argument"},
		"permitted":           {nil, bpfRights{}, "ok: 512 more"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, judgeUprobes(c.err, c.rights), c.want) })
	}
	if r := judgeUprobes(perm, bpfRights{release: new, lockdown: "[none] integrity"}); r.Advice != "look for what forbids bpf(2): AppArmor, SELinux" {
		t.Errorf("not locked down: %+v", r)
	}
}

// TestUprobesPrivileges takes away, for real, one after the other, what uprobes
// need. Nothing but the one line tells of it.
func TestUprobesPrivileges(t *testing.T) {
	pid := startShop(t, buildShop(t))
	expect(t, runRole(t, roleDoctor, pid, nil)["uprobes"], "ok: a request can have")

	lacking := func(bits ...int) report {
		var args []string
		for _, bit := range bits {
			args = append(args, strconv.Itoa(bit))
		}
		all := runRole(t, roleLacking, pid, nil, args...)
		all.only(t, Fail)
		return all
	}
	expect(t, lacking(capBPF)["uprobes"], "ok: ") // CAP_SYS_ADMIN is both
	expect(t, lacking(capBPF, capSysAdmin)["uprobes"], "warn: uprobes need CAP_BPF;")
	expect(t, lacking(capPerfmon, capSysAdmin)["uprobes"], "warn: uprobes need CAP_PERFMON;")
	expect(t, lacking(capBPF, capPerfmon, capSysAdmin)["uprobes"], "warn: --cap-add BPF,PERFMON")
	expect(t, runRole(t, roleDoctor, pid, asNobody())["uprobes"], "warn: uprobes need CAP_PERFMON, CAP_BPF;")

	all := runRole(t, roleNoBPF, pid, nil)
	all.only(t, Fail)
	expect(t, all["uprobes"], "warn: the seccomp filter that applies to us")

	root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: root, GidMappings: root}
	expect(t, runRole(t, roleDoctor, pid, attr)["uprobes"], "warn: of the machine, not of a user namespace")
}
