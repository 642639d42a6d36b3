// Package adaptertest holds adapters for frameworks against what they promise:
// that a request behaves as it does without them, whether nobody debugs the
// service, an agent wants other requests, or the request itself is trapped.
//
// It owns the table of behaviours, the transports and the comparison: each
// behaviour is recorded from the bare framework first, and the record of the
// framework with its adapter has to be the same text. It knows no framework; an
// adapter's tests say how to build a server ([Framework]). It starts servers and
// clients on loopback, which end with the test.
//
// It works where [github.com/remotedbg/remotedbg/gate/gatetest] does, on
// linux/amd64; elsewhere the package is empty.
package adaptertest
