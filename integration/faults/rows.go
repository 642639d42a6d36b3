//go:build linux && amd64

package main

// rows are all rows, in the order of the table.
func rows() []row {
	return []row{
		{name: "kill", what: "SIGKILL to the agent", full: 300, short: 4, trial: killAgent},
		{name: "kill-both", what: "SIGKILL to agent and watchdog", full: 60, short: 1, trial: killBoth, unwatched: true},
		{name: "calls", what: "SIGKILL to the agent while a frozen request's thread makes calls", full: 60, short: 2, trial: killCalling},
		{name: "signals", what: "HUP, INT, TERM, QUIT, PIPE to the agent", full: 40, short: 2, trial: signalAgent},
		{name: "stop", what: "SIGSTOP to the agent", full: 40, short: 1, trial: stopAgent},
		{name: "hang", what: "the agent's tracer hangs, its look at the board hangs", full: 20, short: 2, trial: hangAgent},
		{name: "watchdog", what: "SIGKILL, SIGSTOP to the watchdog alone", full: 10, short: 1, trial: loseWatchdog},
		{name: "clock", what: "the wall clock is set a day forth and back", full: 12, short: 2, trial: setClocks},
		{name: "memory", what: "the agent runs out of memory (RLIMIT_AS, RLIMIT_DATA)", full: 20, short: 1, trial: starve},
		{name: "oom", what: "the kernel's OOM killer in a memory cgroup of agent and watchdog", full: 6, short: 1, trial: killByKernel, needs: memoryGroups},
		{name: "panic", what: "the agent panics, SIGABRT, SIGSEGV", full: 20, short: 1, trial: panicAgent},
		{name: "target", what: "the service shuts down, exits, is killed, execs, panics", full: 40, short: 2, trial: endService, ends: true},
		{name: "ide", what: "the IDE: FIN, RST, black hole, stops reading, floods", full: 20, short: 1, trial: loseIDE},
		{name: "silent", what: "the IDE says nothing, `--max-hold` 3s", full: 5, short: 1, trial: keepSilent},
		{name: "cycles", what: "500 IDEs attach, freeze, step, leave", full: 1, short: 1, trial: cycles},
		{name: "reattach", what: "100 agents attach, freeze, step, detach", full: 1, short: 1, trial: reattach},
		{name: "big", what: "300 MiB where a DAP message is expected", full: 8, short: 1, trial: sendBig},
		{name: "fuzz", what: "an IDE sends random commands and bytes for 10 min", full: 1, short: 1, trial: fuzzIDE, quiet: true},
		{name: "locked", what: "a frozen request holds a lock that others need", full: 10, short: 1, trial: freezeLocked},
		{name: "alive", what: "liveness probe and lease during 10 min of stepping", full: 1, short: 1, trial: stayAlive, quiet: true},
	}
}
