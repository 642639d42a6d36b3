//go:build linux && amd64

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// readiness is what getting ready takes: from the debugger's start until a
// breakpoint is set.
type readiness struct {
	took   time.Duration
	cpu    time.Duration // of the processors, all threads and children together
	memory memory
}

// growth measures how getting ready grows with the binary. The service is left
// alone meanwhile: under load dlv, which stops it, has the machine for itself.
// The debuggers take turns; of each figure it prints the median.
func growth(out io.Writer, binaries []string, rounds int, list ...debugger) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "binary\tdebugger\tready\tprocessor time\tmemory, peak\tmemory when ready\ttimes dlv's")
	for _, path := range binaries {
		t, err := newBig(path)
		if err != nil {
			return err
		}
		info, err := os.Stat(t.binary)
		if err != nil {
			return err
		}
		all := make([][]readiness, len(list))
		for range rounds {
			for i, d := range list {
				r, err := readyOnce(t, d)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", filepath.Base(path), d.name, err)
				}
				all[i] = append(all[i], r)
			}
		}
		first := medians(all[0])
		for i, d := range list {
			m := medians(all[i])
			fmt.Fprintf(w, "%d MB\t%s\t%s\t%s\t%d MiB\t%d MiB\t%.2f\n", info.Size()/1e6, d.name, short(m.took), short(m.cpu),
				m.memory.peak>>20, m.memory.now>>20, m.took.Seconds()/first.took.Seconds())
		}
	}
	return nil
}

func medians(list []readiness) readiness {
	return readiness{
		took: median(list, func(r readiness) time.Duration { return r.took }),
		cpu:  median(list, func(r readiness) time.Duration { return r.cpu }),
		memory: memory{
			peak: median(list, func(r readiness) int64 { return r.memory.peak }),
			now:  median(list, func(r readiness) int64 { return r.memory.now }),
		},
	}
}

func median[T cmp.Ordered](list []readiness, of func(readiness) T) T {
	var all []T
	for _, r := range list {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// readyOnce starts a service and a debugger, and ends both.
func readyOnce(t target, d debugger) (readiness, error) {
	var r readiness
	s, err := harness.StartService(t.binary)
	if err != nil {
		return r, err
	}
	defer s.Kill()
	began := time.Now()
	server, err := d.start(s.PID)
	if err != nil {
		return r, err
	}
	if _, err = server.client.Initialize(); err == nil {
		err = server.configure(t.marks["order-loaded"], "")
	}
	r.took = time.Since(began)
	if err == nil {
		r.memory, err = memoryOf(server.process.PID)
	}
	if err == nil {
		r.cpu, err = processorTime(server.process.PID)
	}
	_ = server.client.Disconnect() // stop ends it in any case
	return r, errors.Join(err, server.stop())
}

// processorTime is what a process and its children have used, see proc_pid_stat(5).
func processorTime(pid int) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything: fields count from behind it.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(rest)
	const utime, cstime = 14 - 3, 17 - 3
	if len(fields) <= cstime {
		return 0, fmt.Errorf("%q has %d fields", text, len(fields))
	}
	var ticks int64
	for _, f := range fields[utime : cstime+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
