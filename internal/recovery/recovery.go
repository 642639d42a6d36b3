//go:build linux && amd64

// Package recovery heals a service whose agent died: it releases what that one
// left behind on the board, so that no request waits for an answer that will
// never come and the next agent finds a clean table.
//
// The service heals itself as far as requests go, through the gate's landing
// pad and timeouts; this makes it sooner, and says what there was. It must not
// know Delve, sessions or IDEs. It has no goroutines and keeps no state; its
// functions may be called from any goroutine, while the service runs.
package recovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

// Report is what Heal found and did. The zero Report: nothing was left behind.
type Report struct {
	Armed    int  // process id of the dead agent that still had the gate armed: it was disarmed
	Rules    bool // the allow rules were half written: they were cleared
	Thawed   int  // requests that were frozen: they go on
	Released int  // requests, finished or not, whose thread nobody had let go of: it was

	// Probes are uprobes that were left in the text: they were removed. ProbesErr
	// says why that cannot be told, or could not be done.
	Probes    int
	ProbesErr error

	// Traced are the threads of requests that have a tracer, and who that
	// is. They were left alone: only the tracer can let go of them.
	Traced []Traced
}

// Traced is a thread and the process that traces it, by their ids in our pid
// namespace.
type Traced struct{ Thread, Tracer int }

// Healed says whether there was something to heal.
func (r Report) Healed() bool {
	return r.Armed != 0 || r.Rules || r.Thawed > 0 || r.Released > 0 || r.Probes > 0
}

// Lines are the report for a person; none if nothing was left behind.
func (r Report) Lines() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if r.Armed != 0 {
		add("the gate was armed by an agent that is dead (pid %d): disarmed", r.Armed)
	}
	if r.Rules {
		add("the allow rules were half written: cleared")
	}
	if r.Thawed > 0 {
		add("%s frozen: thawed", were(r.Thawed, "request"))
	}
	if r.Released > 0 {
		add("%s kept for a dead agent: released", were(r.Released, "slot"))
	}
	if r.Probes > 0 {
		add("%s left in the program text: removed", were(r.Probes, "uprobe"))
	}
	if r.ProbesErr != nil {
		add("uprobes may be left in the program text: %v", r.ProbesErr)
	}
	for _, t := range r.Traced {
		add("thread %d of a request is traced by process %d: left alone, it goes on when that process ends", t.Thread, t.Tracer)
	}
	return lines
}

// String is the report in one line.
func (r Report) String() string { return strings.Join(r.Lines(), "; ") }

func were(n int, what string) string {
	if n == 1 {
		return "1 " + what + " was"
	}
	return fmt.Sprintf("%d %ss were", n, what)
}

// Heal releases what dead agents left on the board b of process pid. The caller
// has made sure that no live agent has armed it, see CheckOwner; even so,
// nothing of a thread that has a tracer is touched.
//
// The gate's words that are the service's own are not written (gate/board.go):
// a slot becomes free by what the service does next.
func Heal(pid int, b *board.Board) (Report, error) {
	var r Report
	h, err := b.ReadHeader()
	if err != nil {
		return r, err
	}
	if h.Armed {
		if err := b.Disarm(); err != nil {
			return r, err
		}
		r.Armed = h.AgentPID
	}
	if !h.RulesOK {
		if err := b.ClearRules(); err != nil {
			return r, err
		}
		r.Rules = true
	}
	var buf []byte
	slots, err := b.ReadSlots(nil, &buf)
	if err != nil {
		return r, err
	}
	for _, s := range slots {
		if err := r.heal(pid, b, s); err != nil {
			return r, err
		}
	}
	// Those left do no harm, and need not keep anybody from debugging.
	r.Probes, r.ProbesErr = live.HealProbes(pid)
	return r, nil
}

// heal heals one slot.
//
// An agent seizes a thread before it accepts a request, and says that it has
// let go before it detaches. So a request that runs, or has run, on a thread
// without a tracer belongs to an agent that is dead or done with it.
func (r *Report) heal(pid int, b *board.Board, s board.Slot) error {
	kept := false
	switch s.State {
	case board.StateRunning, board.StateDone, board.StateAbandoned:
		kept = s.Freed != s.Gen
	}
	if !kept && !s.Held {
		return nil
	}
	thread, tracer, err := tracerOf(pid, s.TID)
	if err != nil {
		return err
	}
	if tracer != 0 {
		r.Traced = append(r.Traced, Traced{thread, tracer})
		return nil
	}
	if s.Held {
		// The wait function looks at the word every 100 ms; from there on the
		// landing pad takes the request home.
		if err := b.SetHeld(s.Index, false); err != nil {
			return err
		}
		if kept {
			r.Thawed++
		}
	}
	if kept {
		r.Released++
		return b.SetFreed(s.Index, s.Gen)
	}
	return nil
}

// tracerOf finds the tracer of thread tid, an id in the service's own pid
// namespace; 0 if it has none, or has ended.
func tracerOf(pid, tid int) (thread, tracer int, err error) {
	thread, err = live.HostTID(pid, tid)
	if err != nil {
		if _, statErr := os.Stat(fmt.Sprintf("/proc/%d", pid)); statErr != nil {
			return 0, 0, err
		}
		return tid, 0, nil // the process is there and the thread is not
	}
	tracer, err = statusNumber(fmt.Sprintf("/proc/%d/task/%d/status", pid, thread), "TracerPid:")
	if err != nil || tracer == 0 {
		return thread, 0, err
	}
	// It names the thread that traces; its process is what a person can end.
	if process, err := statusNumber(fmt.Sprintf("/proc/%d/status", tracer), "Tgid:"); err == nil && process != 0 {
		tracer = process
	}
	return thread, tracer, nil
}

// statusNumber reads a field of a status file; 0 if the thread has ended, whose
// file is gone or empty (proc_pid_status(5)).
func statusNumber(file, field string) (int, error) {
	status, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, nil
}
