//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// What a failed trial leaves: a file with all that can be known of it, since the
// moment will not come again. Looks at the processes are taken when the trial has
// failed, before anything is ended, and again when the oracles have.

// quitTimeout bounds how long a process that has failed may take to write down its
// goroutines.
const quitTimeout = 5 * time.Second

// failing looks at everything at the moment of a failure.
func (t *trial) failing(why error) {
	fmt.Fprintf(&t.seen, "\n--- %s: %v\n", t.moment(time.Now()), why)
	load, _ := os.ReadFile("/proc/loadavg") // the rest says enough without
	fmt.Fprintf(&t.seen, "load average %s", load)
	for _, a := range t.agents {
		t.seen.WriteString(threadsOf("agent", a.PID))
		for _, child := range children(a.PID) {
			t.seen.WriteString(threadsOf("the agent's child", child))
		}
	}
	pid := t.service.PID
	t.seen.WriteString(threadsOf("service", pid))
	fmt.Fprintf(&t.seen, "text: %v\n", harness.TextIntact(pid))
	slots, err := harness.Slots(pid)
	fmt.Fprintf(&t.seen, "slots: %v, %v\n", slots, err)
	if b, err := harness.OpenBoard(pid); err == nil {
		h, err := b.Header()
		fmt.Fprintf(&t.seen, "board: %+v, %v\n", h, err)
		b.Close()
	}
	fmt.Fprintf(&t.seen, "uprobes held by: %s\n", strings.Join(linkHolders(), ", "))
}

// moment is a time as the evidence tells it: since the fault, or since the trial
// began where there has been none.
func (t *trial) moment(at time.Time) string {
	if t.fault.IsZero() {
		return fmt.Sprintf("%+.3fs since the trial began", at.Sub(t.began).Seconds())
	}
	return fmt.Sprintf("%+.3fs since the fault", at.Sub(t.fault).Seconds())
}

// quit has a process of a failed trial write down its goroutines and end.
func quit(p *harness.Process, sig syscall.Signal) {
	if p.Signal(sig) == nil {
		_, _ = p.Wait(quitTimeout) // one that cannot is killed later
	}
}

// keep writes the file and returns its name.
func (t *trial) keep(why error, seed uint64) string {
	quit(t.service.Process, syscall.SIGQUIT)
	origin := t.fault
	if origin.IsZero() {
		origin = t.began
	}
	var b strings.Builder
	fmt.Fprintf(&b, "row %s (%s), trial %d: %s\n", t.row.name, t.row.what, t.number, t.label)
	fmt.Fprintf(&b, "seed of the run %d, of the trial %d\nagain: -row %s -seed %d -from %d -trials 1 -uprobes=%t\n", t.lab.seed, seed, t.row.name, t.lab.seed, t.number, t.uprobes)
	fmt.Fprintf(&b, "began at %s, fault %s later\n", t.began.Format(time.RFC3339Nano), origin.Sub(t.began))
	fmt.Fprintf(&b, "\n=== what failed\n%v\n\n=== the processes\n%s", why, t.seen.String())
	for i, a := range t.agents {
		fmt.Fprintf(&b, "\n=== agent %d (pid %d), and its watchdog: standard output\n%s", i, a.PID, a.Stdout.Timed(origin))
		fmt.Fprintf(&b, "\n=== the same: standard error\n%s", a.Stderr.Timed(origin))
	}
	for i, c := range t.ides {
		fmt.Fprintf(&b, "\n=== IDE %d: events that nobody waited for\n", i)
		for _, ev := range c.Events() {
			fmt.Fprintf(&b, "%+v\n", ev)
		}
	}
	fmt.Fprintf(&b, "\n=== the allowlisted requests\n%s", t.heldText(origin))
	fmt.Fprintf(&b, "\n=== service (pid %d): standard output\n%s", t.service.PID, t.service.Stdout.Timed(origin))
	fmt.Fprintf(&b, "\n=== service (pid %d): standard error\n%s", t.service.PID, t.service.Stderr.Timed(origin))
	name, err := t.lab.evidence(fmt.Sprintf("%s-%d-%d.txt", t.row.name, t.lab.seed, t.number), b.String())
	if err != nil {
		return fmt.Sprintf("nowhere: %v", err)
	}
	return name
}

// heldText tells what became of each request since the start of the trial.
func (t *trial) heldText(origin time.Time) string {
	t.heldMu.Lock()
	defer t.heldMu.Unlock()
	var b strings.Builder
	for _, h := range slices.Concat(t.past, t.pending) {
		fmt.Fprintf(&b, "%+.3fs %s: ", h.sent.Sub(origin).Seconds(), h.path)
		if h.frozen() {
			b.WriteString("not answered\n")
			continue
		}
		fmt.Fprintf(&b, "answered at %+.3fs: status %d, error %v, as without a debugger: %t\n", h.at.Sub(origin).Seconds(), h.reply.Status, h.reply.Err, h.reply.Body == h.want)
	}
	return b.String()
}

// evidence writes a file of that name into the folder for it, which is made when
// there is something to put in.
func (l *lab) evidence(name, text string) (string, error) {
	if l.kept == "" {
		dir, err := os.MkdirTemp("", "remotedbg-faults-")
		if err != nil {
			return "", err
		}
		l.kept = dir
	}
	if err := os.MkdirAll(l.kept, 0o755); err != nil {
		return "", err
	}
	name = filepath.Join(l.kept, name)
	return name, os.WriteFile(name, []byte(text), 0o644)
}

// threadsOf is what /proc tells of the threads of a process.
func threadsOf(who string, pid int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d:\n", who, pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // none: it is gone
	for _, task := range tasks {
		status, err := os.ReadFile(filepath.Join(task, "status"))
		if err != nil {
			continue // it has ended
		}
		fmt.Fprintf(&b, "  %s:", filepath.Base(task))
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			switch name {
			case "State", "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "voluntary_ctxt_switches":
				fmt.Fprintf(&b, " %s %s", name, strings.TrimSpace(value))
			}
		}
		// Empty where they cannot be read: they are root's.
		for _, file := range []string{"wchan", "syscall", "stack"} {
			text, _ := os.ReadFile(filepath.Join(task, file))
			fmt.Fprintf(&b, "; %s %s", file, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", " < "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// linkHolders are the processes that have descriptors of BPF links, by which
// uprobes live.
func linkHolders() []string {
	count := make(map[string]int)
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && strings.Contains(to, "bpf_link") {
			count[strings.Split(file, "/")[2]]++
		}
	}
	var all []string
	for pid, n := range count {
		all = append(all, pid+" ("+strconv.Itoa(n)+" links)")
	}
	slices.Sort(all)
	return all
}
