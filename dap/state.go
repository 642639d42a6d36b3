//go:build linux && amd64

package dap

// state is how far a connection has come. Values are bits so that a route can
// name the set of states it is allowed in.
type state uint8

const (
	stateUninitialised state = 1 << iota // nothing but initialize makes sense
	stateInitialised                     // capabilities exchanged, no session
	stateAttached                        // has a session; breakpoints come now
	stateConfigured                      // configurationDone: requests are taken
	stateEnded                           // detached; only disconnect is left
)

const (
	anyState    = stateUninitialised | stateInitialised | stateAttached | stateConfigured | stateEnded
	withSession = stateAttached | stateConfigured
)

func (s state) String() string {
	switch s {
	case stateUninitialised:
		return "uninitialised"
	case stateInitialised:
		return "initialised"
	case stateAttached:
		return "attached"
	case stateConfigured:
		return "configured"
	case stateEnded:
		return "ended"
	}
	return "unknown"
}
