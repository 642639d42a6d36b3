//go:build linux && amd64

package adaptertest

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// httptestPeer is the peer of requests that httptest.NewRequest makes.
var httptestPeer = gatetest.Rule{Prefix: netip.MustParsePrefix("192.0.2.1/32")}

// Compare is for what a framework has that others have not. It calls run without
// the adapter, and then in each mode of the gate; run serves one request with
// what Setup says, apart from its Handler, and returns a record of what could be
// seen. All records have to be the same, with want in them. The request has to
// come from 127.0.0.1, or be one of httptest.NewRequest.
func Compare(t *testing.T, want string, run func(t *testing.T, s Setup) string) {
	t.Helper()
	bare := run(t, Setup{Bare: true})
	if !strings.Contains(bare, want) {
		t.Fatalf("without the adapter:\n%s\nthis test expects %q in it", bare, want)
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			if m.trapped {
				m.rules = []gatetest.Rule{loopback, httptestPeer}
			}
			agent := m.arm(t)
			got := ""
			inTime(t, agent, func() { got = run(t, Setup{Gate: m.gate}) })
			if got != bare {
				t.Errorf("with the adapter:\n%s\nwithout:\n%s", got, bare)
			}
			if agent != nil && (len(agent.Offers()) > 0) != m.trapped {
				t.Errorf("offered to the agent: %+v", agent.Offers())
			}
		})
	}
}
