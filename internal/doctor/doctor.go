//go:build linux && amd64

// Package doctor checks every precondition of debugging a running process,
// without touching it: it reads /proc, the executable and, with
// process_vm_readv(2), the gate's board. It never traces the process, writes to
// it or sends it a signal. What it tries out (perf events, uprobes, system calls,
// a session of its own) it tries on the process it runs in, or on none.
//
// It owns the list of checks and what to do about each. It must not know how a
// request is frozen, nor Delve, nor flags.
//
// Goroutines: Run makes the checks one after the other in the caller's. The uprobe
// that one of them sets is closed by a goroutine, which waits for the kernel.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// Status is the outcome of one check.
type Status string

// The outcomes. A check that could not be made is a Warn whose detail begins
// with "not checked".
const (
	OK   Status = "ok"
	Warn Status = "warn" // debugging works, but not all of it, or that could not be told
	Fail Status = "fail" // debugging does not work
)

// Result is what one check found. The field names are part of the command's
// interface.
type Result struct {
	Check  string `json:"check"`  // its name, which stays the same between versions
	Status Status `json:"status"` // one of the constants above
	Detail string `json:"detail"` // what was found
	Advice string `json:"advice"` // what to do; empty if and only if Status is OK
}

// Config says what to check.
type Config struct {
	PID int // the process, in our pid namespace; 0 if there is none

	// Missing says why there is no PID, and MissingAdvice what to do.
	Missing       error
	MissingAdvice string

	// Child is a command that ends at once with exit code 0. It is run in a
	// session of its own, as the watchdog will be. None: that check is not made.
	Child []string
}

// check is one line of the report.
type check struct {
	name string
	host bool // needs no process to look at
	run  func(*subject) Result
}

// checks is the report, in its order: whatever concerns the machine and our own
// rights first, the service's build last.
var checks = []check{
	{"kernel", true, checkKernel},
	{"architecture", true, checkArchitecture},
	{"process", true, checkProcess},
	{"executable", false, checkExecutable},

	{"memory-access", false, checkAccess},
	{"user", false, checkUser},
	{"cap-sys-ptrace", true, checkCapPtrace},
	{"service-capabilities", false, checkServiceCaps},
	{"signals", false, checkSignals},
	{"yama", true, checkYama},
	{"dumpable", false, checkDumpable},
	{"no-new-privs", true, checkNoNewPrivs},
	{"tracer", false, checkTracer},

	{"system-calls", true, checkSyscalls},
	{"seccomp-agent", true, checkSeccompSelf},
	{"seccomp-service", false, checkSeccompTarget},

	{"perf-paranoid", true, checkParanoid},
	{"cap-perfmon", true, checkCapPerfmon},
	{"hw-breakpoint", true, checkBreakpoint},
	{"hw-slots", true, checkSlotsFree},
	{"uprobes", true, checkUprobes},

	{"pid-namespace", false, checkPIDNamespace},
	{"user-namespace", false, checkUserNamespace},
	{"mount-namespace", false, checkMountNamespace},
	{"net-namespace", false, checkNetNamespace},
	{"time-namespace", false, checkTimeNamespace},
	{"service-proc", false, checkServiceProc},
	{"cgroup", false, checkCgroup},

	{"watchdog-session", true, checkSession},
	{"oom-score", true, checkOOMScore},
	{"oom-order", false, checkOOMOrder},

	{"symbols", false, checkSymbols},
	{"dwarf", false, checkDWARF},
	{"gate", false, checkGate},
	{"board", false, checkBoard},
	{"armed", false, checkArmed},
	{"slots", false, checkSlots},

	{"go-version", false, checkGoVersion},
	{"optimised", false, checkOptimised},
	{"trimpath", false, checkTrimpath},
	{"timeout-handler", false, checkTimeoutHandler},
	{"buildmode", false, checkBuildmode},
	{"cgo", false, checkCgo},
	{"race", false, checkRace},
	{"vcs", false, checkVCS},
}

// Run makes the checks, each when its result is asked for: should a check end
// the program (a seccomp profile that kills), the ones before it have been
// told. Every check is made whatever the others found.
func Run(c Config) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		s := newSubject(c)
		for _, check := range checks {
			if !yield(check.on(s)) {
				return
			}
		}
	}
}

// on makes the check. A panic would hide the checks behind it; debug/dwarf and
// debug/elf have had some on damaged files.
func (c check) on(s *subject) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = fail(fmt.Sprintf("the check itself failed: %v", p), "report this as a defect of remotedbg")
		}
		r.Check = c.name
	}()
	if s.pid == 0 && !c.host {
		return warn("not checked: there is no process to look at", "see the line about the process")
	}
	return c.run(s)
}

func pass(format string, args ...any) Result {
	return Result{Status: OK, Detail: fmt.Sprintf(format, args...)}
}

func warn(detail, advice string) Result { return Result{Status: Warn, Detail: detail, Advice: advice} }
func fail(detail, advice string) Result { return Result{Status: Fail, Detail: detail, Advice: advice} }

// asRoot is the advice that cures every missing right outside containers.
const asRoot = "run as root (sudo), or in a container with --cap-add SYS_PTRACE,PERFMON,KILL"

// unknown is the result of a check that err kept from being made.
func unknown(err error) Result {
	advice := "if this looks like a defect of remotedbg, report it with this line"
	switch {
	case denied(err):
		advice = asRoot
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		advice = "the process has exited, or /proc is mounted with hidepid: look with ps -e, or run as root"
	}
	return warn(fmt.Sprintf("not checked: %v", err), advice)
}

func denied(err error) bool { return errors.Is(err, os.ErrPermission) } // EPERM and EACCES
