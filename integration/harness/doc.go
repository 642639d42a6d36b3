// Package harness starts real processes for the integration tests and the
// benchmarks: services built in every way that users build them, and agents
// that are the remotedbg command itself. It sees both from outside, as an
// operator does: command lines, output, HTTP, DAP, /proc. It must not import
// anything of internal/.
//
// It returns errors and does not use package testing, so that the benchmarks
// can use it as well. Every wait is for a condition and has a bound.
//
// Goroutines: one for each started process, which ends with it; those of a
// [Load], which Stop ends and awaits. Whoever starts a process stops it.
package harness
