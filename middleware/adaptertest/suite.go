//go:build linux && amd64

package adaptertest

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// The rules of agents: one that wants the tests' requests, one that does not.
var (
	loopback = gatetest.Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32")}
	nobody   = gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")}
)

// mode is a state of the gate in which requests must behave as without it.
type mode struct {
	name    string
	gate    *gate.Gate
	rules   []gatetest.Rule // empty: nobody arms the gate
	trapped bool
}

var modes = []mode{
	{"nil gate", nil, []gatetest.Rule{loopback}, false},
	{"unarmed", new(gate.Gate), nil, false},
	{"no match", new(gate.Gate), []gatetest.Rule{nobody}, false},
	{"trapped", new(gate.Gate), []gatetest.Rule{loopback}, true},
}

// arm is nil if nobody arms the gate.
func (m mode) arm(t *testing.T) *gatetest.Agent {
	t.Helper()
	if m.rules == nil {
		return nil
	}
	return gatetest.Arm(t, m.rules...)
}

// inTime calls try until the agent, if there is one, has answered every offer of
// a call. It has 100 ms for that, or else the gate lets the request run
// untouched, which happens on a busy machine and shows nothing about adapters.
func inTime(t *testing.T, agent *gatetest.Agent, try func()) {
	t.Helper()
	if agent == nil {
		try()
		return
	}
	for range 10 {
		before := agent.Counts().Silent
		try()
		if agent.Counts().Silent == before {
			return
		}
	}
	t.Fatal("the agent's answers are always too late")
}

// Test runs every test of this package with servers of f.
func Test(t *testing.T, f Framework) {
	t.Run("Behaviour", func(t *testing.T) { testBehaviour(t, f) })
	t.Run("Recorder", func(t *testing.T) { testRecorder(t, f) })
	t.Run("Deadlines", func(t *testing.T) { testDeadlines(t, f) })
	t.Run("TimeoutHandler", func(t *testing.T) { testTimeoutHandler(t, f) })
	t.Run("Allocations", func(t *testing.T) { testAllocations(t, f) })
}

// testBehaviour records every behaviour without the adapter and holds every mode
// of the gate against it.
func testBehaviour(t *testing.T, f Framework) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			for _, b := range behaviours {
				t.Run(b.name, func(t *testing.T) { compare(t, f, tr, b, NoRecovery) })
			}
			for _, recovery := range f.recoveries() {
				for _, b := range panics {
					t.Run(b.name+", "+recovery.String(), func(t *testing.T) { compare(t, f, tr, b, recovery) })
				}
			}
		})
	}
}

func compare(t *testing.T, f Framework, tr transport, b behaviour, recovery Recovery) {
	h, ask := b.start()
	bare := ask(tr.serve(t, f.Build(Setup{Handler: h, Bare: true, Recovery: recovery}), 0))
	if tr.name == "HTTP1" && !strings.Contains(bare, b.want) {
		t.Fatalf("without the adapter:\n%s\nthis test expects %q in it", bare, b.want)
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			agent := m.arm(t)
			seen := new(threads)
			got := ""
			inTime(t, agent, func() {
				h, ask := b.start()
				got = ask(tr.serve(t, f.Build(Setup{Handler: seen.note(h), Gate: m.gate, Recovery: recovery}), 0))
			})
			if got != bare {
				t.Errorf("the client saw:\n%s\nwithout the adapter:\n%s", clip(got), clip(bare))
			}
			seen.check(t, agent, m.trapped)
		})
	}
}

// clip keeps the report of a large response readable.
func clip(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// threads notes on which thread a handler has run last. Of a trapped request it
// is the one that the agent was offered: the goroutine is locked to it.
type threads struct{ last atomic.Int64 }

func (s *threads) note(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.last.Store(int64(syscall.Gettid()))
		h(w, r)
	}
}

// check fails unless the request was offered and its handler ran on the thread
// that was offered, or, if it is not to be trapped, was not offered at all. A
// client may send a request again when its connection is closed on it.
func (s *threads) check(t *testing.T, agent *gatetest.Agent, trapped bool) {
	t.Helper()
	if agent == nil {
		return
	}
	offers := agent.Offers()
	if !trapped {
		if len(offers) > 0 {
			t.Errorf("offered to the agent: %+v", offers)
		}
		return
	}
	if len(offers) == 0 {
		t.Fatal("the request was not offered to the agent")
	}
	last := offers[len(offers)-1]
	if last.Path != path || int64(last.TID) != s.last.Load() {
		t.Errorf("the agent was offered %+v, the handler of %s ran on thread %d", last, path, s.last.Load())
	}
}
