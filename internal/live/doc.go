// Package live traces single threads of a running process: it seizes one
// thread, stops it at hardware breakpoints, steps it, and freezes it by letting
// the Go runtime park its goroutine, while every other thread of the process
// runs untraced. Its text is unpatched but for uprobes, which the kernel sets for
// addresses beyond the hardware's while a traced thread runs (docs/adr/0009).
//
// It owns ptrace(2), perf_event_open(2) and the bpf(2) programs of the uprobes. It
// must not know DWARF, source lines, conditions or clients: it is told addresses
// and answers with registers.
//
// Goroutines: each Thread has one, started by Seize and locked to an operating
// system thread, since the kernel ties a tracee to the thread that seized it
// (ptrace(2)). All ptrace calls and all waits for the tracee happen there. It
// ends, together with its operating system thread, when the tracee is released
// or gone; should it ever end in another way, the kernel detaches the tracee.
// Nothing may block it but wait4(2) itself: a tracee in a ptrace-stop holds a
// P of the service's runtime, and an unserviced stop would halt the service at
// its next garbage collection.
package live
