// Package watchdog keeps a stopped agent from holding up the service that it
// debugs. An agent that dies lets go of everything, and the service's landing
// pad does the rest; one that is stopped (SIGSTOP, swapping, a defect) still
// owns the threads that it traces. The watchdog is a small process of its own
// session that kills the agent when its heartbeat stops, and afterwards makes
// sure that no thread of the service is left stopped or traced.
//
// It owns that process: Start runs the agent's own executable again, and Main,
// first thing in main, becomes the watchdog there. The two are joined by a
// socket: bytes to the watchdog are heartbeats, its end is the agent's end. It
// must not know the board, sessions or requests; the agent says what a
// heartbeat means.
//
// All times are on CLOCK_MONOTONIC, and silence is counted in the watchdog's own
// ticks, so that a machine or container that was suspended, or a watchdog that
// was itself stopped, is not taken for a silent agent.
//
// Goroutines: Start starts one, which waits for the watchdog to end. The
// watchdog itself has its main goroutine alone; it may block on its sockets and,
// for a second, on a stderr that nobody reads.
package watchdog
