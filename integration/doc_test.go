// Package integration_test tests remotedbg from outside: the remotedbg command
// attached to real services, driven over DAP, with the service watched through
// /proc. It owns the rig (one service, one agent, one IDE, and the checks that
// every test ends with) and knows nothing of internal/ and of dap's server.
//
// Tests may not skip: a machine on which they cannot run fails them. Lines of
// the service are named by their //bp: markers.
//
// Goroutines: one for each request in flight, which ends with its response; the
// cleanup of a rig waits for them.
package integration_test
