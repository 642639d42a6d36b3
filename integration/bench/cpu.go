//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/stat: USER_HZ, 100 a second on every Linux.
const tick = 10 * time.Millisecond

// busy is the CPU time that was used so far: who took it tells whether a window
// that came out low was the debugger's doing or the machine's.
type busy struct {
	at       time.Time
	service  time.Duration
	debugger time.Duration // with the processes that it has started
	all      time.Duration // by everybody on the machine, and by others on its host
}

// readBusy reads it; debugger is 0 if there is none.
func readBusy(service, debugger int) (b busy, err error) {
	b.at = time.Now()
	if b.service, err = cpuTime(service); err != nil {
		return b, err
	}
	if debugger != 0 {
		if b.debugger, err = cpuTime(debugger); err != nil {
			return b, err
		}
		for _, child := range children(debugger) {
			if t, err := cpuTime(child); err == nil { // else it has just ended
				b.debugger += t
			}
		}
	}
	b.all, err = machineTime()
	return b, err
}

// shares is what was used of one CPU, 1 being all of it.
type shares struct{ service, debugger, all float64 }

func (b busy) since(from busy) shares {
	of := func(d time.Duration) float64 { return d.Seconds() / b.at.Sub(from.at).Seconds() }
	return shares{of(b.service - from.service), of(b.debugger - from.debugger), of(b.all - from.all)}
}

// cpuTime is what a process's threads have used, those that have ended included.
// It is asked of the process's CPU clock, whose name clock_getcpuclockid(3) makes
// like this: /proc knows hundredths of a second only.
func cpuTime(pid int) (time.Duration, error) {
	const cpuclockSched = 2 // include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &t); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(t.Nano()), nil
}

// machineTime is what was used of all CPUs, time that was stolen included.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat: %q", line)
	}
	var sum time.Duration
	for _, f := range append(fields[1:4], fields[6:9]...) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %q", line)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// children are the processes that a process has started and that run.
func children(pid int) (list []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}
