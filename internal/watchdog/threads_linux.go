package watchdog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// left finds the threads of service that agent traces, or that it left stopped:
// in a tracing stop without a tracer, or stopped while others run, since a stop
// for job control is one of the whole process (signal(7)). Threads that somebody
// else traces are none of our business.
func left(service, agent int) ([]string, error) {
	dir := fmt.Sprintf("/proc/%d/task", service)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found, stopped []string
	running := false
	for _, entry := range entries {
		text, err := os.ReadFile(dir + "/" + entry.Name() + "/status")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		state, tracer := parseStatus(string(text))
		switch {
		case tracer != 0 && ofAgent(tracer, agent):
			found = append(found, fmt.Sprintf("thread %s (traced by the agent, state %s)", entry.Name(), state))
		case tracer != 0:
		case state == "t":
			found = append(found, fmt.Sprintf("thread %s (in a tracing stop)", entry.Name()))
		case state == "T":
			stopped = append(stopped, fmt.Sprintf("thread %s (stopped)", entry.Name()))
		case state != "Z" && state != "X" && state != "":
			running = true
		}
	}
	if running {
		found = append(found, stopped...)
	}
	return found, nil
}

// ofAgent says whether the thread tracer, which is what TracerPid names, is one of
// the agent's. One that is gone is taken for one: the kernel is about to detach
// what it traced, and the next look will tell.
func ofAgent(tracer, agent int) bool {
	if tracer == agent {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tracer)) // works for threads, too
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Tgid:"); ok {
			return strings.TrimSpace(value) == strconv.Itoa(agent)
		}
	}
	return true
}

// parseStatus reads the state's letter and the tracer, 0 if there is none. Both
// are zero for a thread that is ending, whose file is empty.
func parseStatus(text string) (state string, tracer int) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "State":
			state, _, _ = strings.Cut(value, " ") // proc_pid_status(5): "t (tracing stop)"
		case "TracerPid":
			tracer, _ = strconv.Atoi(value)
		}
	}
	return state, tracer
}
