//go:build linux && amd64

package adaptertest

import (
	"net/http"

	"github.com/remotedbg/remotedbg/gate"
)

// Recovery says where the framework's own recovery from panics stands.
type Recovery int

// The places of the recovery. Inside is next to the handler, so that the gate
// sees no panic; outside of the gate the panic passes it.
const (
	NoRecovery Recovery = iota
	RecoveryInside
	RecoveryOutside
)

func (r Recovery) String() string {
	return [...]string{"no recovery", "recovery inside", "recovery outside"}[r]
}

// Setup is what a server is to consist of.
type Setup struct {
	// Handler serves GET and POST of /orders/{id}, in the framework's spelling,
	// and is given the framework's ResponseWriter.
	Handler http.HandlerFunc
	// Gate is the adapter's; nil is a gate that passes everything.
	Gate *gate.Gate
	// Bare leaves the adapter out.
	Bare bool
	// Idle has a middleware in the adapter's place that does nothing.
	Idle     bool
	Recovery Recovery
}

// Framework builds servers of one framework. It is called once for each, and
// what it returns may be used by several goroutines.
type Framework struct {
	Build func(Setup) http.Handler
	// Recovers tells that the framework has a recovery to put into a server.
	Recovers bool
}

func (f Framework) recoveries() []Recovery {
	if !f.Recovers {
		return []Recovery{NoRecovery}
	}
	return []Recovery{NoRecovery, RecoveryInside, RecoveryOutside}
}
