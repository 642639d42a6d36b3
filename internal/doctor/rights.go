//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The kernel's rule for tracing is __ptrace_may_access in kernel/ptrace.c:
// equal users and a dumpable process, or CAP_SYS_PTRACE; then the security
// modules may object (cap_ptrace_access_check in security/commoncap.c, Yama,
// AppArmor, SELinux). checkAccess asks the kernel; the others say which part
// of the rule it was.

func checkAccess(s *subject) Result {
	switch err := s.access(); {
	case err == nil:
		return pass("the kernel lets us trace the process and read its memory")
	case errors.Is(err, unix.ESRCH):
		return fail("the process has exited, or is a kernel thread", "name the process of the Go service itself")
	case errors.Is(err, unix.ENOSYS):
		return fail("this kernel has no process_vm_readv", "use a kernel with CONFIG_CROSS_MEMORY_ATTACH, as every distribution's is")
	case denied(err):
		return fail("the kernel does not let us trace the process", asRoot+
			"\nif the lines on user, capabilities, yama, dumpable and user-namespace are all ok, AppArmor, SELinux or a seccomp profile forbids it: compare /proc/self/attr/current with the service's")
	default:
		return unknown(err)
	}
}

func checkUser(s *subject) Result {
	self, target, err := s.both()
	if err != nil {
		return unknown(err)
	}
	return judgeUser(self, target)
}

// judgeUser compares as ptrace(2) does: our real ids with all three of the
// process's.
func judgeUser(self, target status) Result {
	var uids, gids [2]ids
	var errs [4]error
	uids[0], errs[0] = self.ids("Uid")
	uids[1], errs[1] = target.ids("Uid")
	gids[0], errs[2] = self.ids("Gid")
	gids[1], errs[3] = target.ids("Gid")
	caps, err := self.caps("CapEff")
	if err := errors.Join(append(errs[:], err)...); err != nil {
		return unknown(err)
	}
	same := func(a [2]ids) bool {
		we := a[0][idReal]
		return a[1][idReal] == we && a[1][idEffective] == we && a[1][idSaved] == we
	}
	who := fmt.Sprintf("we are user %d group %d, the service is user %d group %d",
		uids[0][idReal], gids[0][idReal], uids[1][idEffective], gids[1][idEffective])
	switch {
	case same(uids) && same(gids):
		return pass("%s", who)
	case caps.has(capSysPtrace):
		return pass("%s; CAP_SYS_PTRACE makes up for it", who)
	}
	return fail(who, fmt.Sprintf("run as that user and group (sudo -u '#%d' -g '#%d'), or as root",
		uids[1][idEffective], gids[1][idEffective]))
}

func checkCapPtrace(s *subject) Result {
	has, err := s.capable(capSysPtrace)
	switch {
	case err != nil:
		return unknown(err)
	case has:
		return pass("CAP_SYS_PTRACE is effective")
	case s.pid == 0:
		return warn("CAP_SYS_PTRACE is not effective: only processes of the same user can be debugged, if that", asRoot)
	case s.access() == nil:
		return pass("CAP_SYS_PTRACE is not effective, and this process can be traced without it")
	}
	return fail("CAP_SYS_PTRACE is not effective, and this process cannot be traced without it", asRoot)
}

// checkServiceCaps: being the same user is not enough for a process that may do
// more than we may (cap_ptrace_access_check), such as one that binds port 80.
func checkServiceCaps(s *subject) Result {
	self, target, err := s.both()
	if err != nil {
		return unknown(err)
	}
	return judgeServiceCaps(self, target)
}

func judgeServiceCaps(self, target status) Result {
	effective, err1 := self.caps("CapEff")
	ours, err2 := self.caps("CapPrm")
	theirs, err3 := target.caps("CapPrm")
	if err := errors.Join(err1, err2, err3); err != nil {
		return unknown(err)
	}
	more := theirs &^ ours
	switch {
	case more == 0:
		return pass("the service holds no capability that we lack")
	case effective.has(capSysPtrace):
		return pass("the service holds capabilities that we lack (%s); CAP_SYS_PTRACE makes up for it", more)
	}
	return fail(fmt.Sprintf("the service holds capabilities that we lack: %s", more), asRoot)
}

// checkSignals is about waking a thread of the service with SIGURG, which the
// agent does whenever it has written a word that the thread waits for.
func checkSignals(s *subject) Result {
	self, target, err := s.both()
	if err != nil {
		return unknown(err)
	}
	return judgeSignals(self, target)
}

// judgeSignals follows kill_ok_by_cred in kernel/signal.c. Trying, with signal
// 0, would do as well; this way nothing is sent that a trace could show.
func judgeSignals(self, target status) Result {
	we, err1 := self.ids("Uid")
	they, err2 := target.ids("Uid")
	caps, err3 := self.caps("CapEff")
	if err := errors.Join(err1, err2, err3); err != nil {
		return unknown(err)
	}
	for _, id := range []int{we[idEffective], we[idReal]} {
		if id == they[idSaved] || id == they[idReal] {
			return pass("we may send it signals, being the same user")
		}
	}
	if caps.has(capKill) {
		return pass("we may send it signals, by CAP_KILL")
	}
	return fail("we may not send it signals: another user, and CAP_KILL is not effective", asRoot)
}

func checkYama(s *subject) Result {
	scope, err := readWord(filepath.Join(s.proc, "sys/kernel/yama/ptrace_scope"))
	if errors.Is(err, fs.ErrNotExist) {
		return pass("this kernel runs without Yama")
	}
	if err != nil {
		return unknown(err)
	}
	has, err := s.capable(capSysPtrace)
	if err != nil {
		return unknown(err)
	}
	return judgeYama(scope, has, s.pid != 0 && s.access() == nil)
}

// judgeYama follows yama_ptrace_access_check in security/yama/yama_lsm.c;
// allowed is what the kernel said of this process.
func judgeYama(scope string, ptrace, allowed bool) Result {
	what := "ptrace_scope is " + scope
	switch {
	case scope == "0":
		return pass("%s: no restriction", what)
	case scope == "3":
		return fail(what+": nobody may trace anything",
			"set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and restart the machine: 3 cannot be undone while it runs")
	case (scope == "1" || scope == "2") && ptrace:
		return pass("%s; CAP_SYS_PTRACE makes up for it", what)
	case scope == "1" && allowed:
		return pass("%s, but the service lets us trace it (PR_SET_PTRACER, or it is our child)", what)
	case scope == "1":
		return fail(what+": being the same user is not enough", asRoot+", or set kernel.yama.ptrace_scope to 0 for the time being")
	case scope == "2":
		return fail(what+": tracing needs CAP_SYS_PTRACE", asRoot)
	}
	return warn(fmt.Sprintf("%s, which is none of Yama's 0 to 3", what), "see the line memory-access for whether tracing is allowed")
}

// checkDumpable tells from the owner of a file in /proc/PID: root instead of
// the process's user if it is not dumpable. Of the folder itself the kernel
// always says the user (fs/proc/base.c, task_dump_owner).
func checkDumpable(s *subject) Result {
	st, err := s.target()
	if err != nil {
		return unknown(err)
	}
	uid, err := st.ids("Uid")
	if err != nil {
		return unknown(err)
	}
	info, err := os.Stat(s.targetFile("status"))
	if err != nil {
		return unknown(err)
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return unknown(fmt.Errorf("the owner of %s cannot be told", s.targetFile("status")))
	}
	ptrace, err := s.capable(capSysPtrace)
	if err != nil {
		return unknown(err)
	}
	return judgeDumpable(int(sys.Uid), uid[idEffective], ptrace)
}

func judgeDumpable(owner, uid int, ptrace bool) Result {
	switch {
	case owner == uid && uid == 0:
		return pass("the service is root's, where it does not show; the line memory-access tells whether we may trace it")
	case owner == uid:
		return pass("the process is dumpable")
	case ptrace:
		return pass("the process is not dumpable; CAP_SYS_PTRACE makes up for it")
	}
	return fail("the process is not dumpable: its executable has file capabilities or is not readable for it, or it said so (PR_SET_DUMPABLE)",
		asRoot+"\nor start the service without file capabilities: systemd's AmbientCapabilities do the same and leave it dumpable")
}

// checkNoNewPrivs: the flag does not keep a process from being traced. Ours
// keeps us from getting the rights that are missing.
func checkNoNewPrivs(s *subject) Result {
	self, err := s.self()
	if err != nil {
		return unknown(err)
	}
	service := "no process"
	if s.pid != 0 {
		target, err := s.target()
		if err != nil {
			return unknown(err)
		}
		service = target["NoNewPrivs"]
	}
	if self["NoNewPrivs"] == "1" && (s.pid == 0 || s.access() != nil) {
		return warn("no_new_privs is set for us: sudo, setuid and file capabilities do not work here",
			"start remotedbg from a shell outside this sandbox or container")
	}
	return pass("no_new_privs: ours %s, the service's %s; it does not keep a process from being debugged", self["NoNewPrivs"], service)
}
