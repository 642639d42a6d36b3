//go:build linux && amd64

package dap

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/session"
)

// What is here is not in the Debug Adapter Protocol. Names begin with
// "remotedbg/", so that clients ignore what they do not know;
// docs/dap-custom.md describes them. Durations are whole milliseconds.

// customVersion grows when a field changes its meaning or goes.
const customVersion = 1

// statusBody answers remotedbg/status.
type statusBody struct {
	Version     int            `json:"version"` // customVersion
	PID         int            `json:"pid"`
	Armed       bool           `json:"armed"`
	Until       time.Time      `json:"until"` // when the agent ends by itself
	ExpiresInMs int64          `json:"expiresInMs"`
	Rules       []string       `json:"rules"`
	IDEs        int            `json:"ides"`     // that are attached, this one included
	InFlight    int            `json:"inFlight"` // requests that are debugged, of all IDEs
	Frozen      int            `json:"frozen"`
	Requests    requestCounts  `json:"requests"`
	Budgets     budgets        `json:"budgets"`
	Versions    statusVersions `json:"versions"`
}

// requestCounts counts requests since this IDE attached. Taken, Stopped, Passed
// and Thawed are of this IDE's; the others are of all that matched a rule.
type requestCounts struct {
	Taken   int `json:"taken"`
	Stopped int `json:"stopped"` // at least once
	Passed  int `json:"passed"`  // a breakpoint, since budgets.maxFrozen were stopped
	Thawed  int `json:"thawed"`  // by a budget or the stall guard

	Matched  uint64 `json:"matched"`
	Declined uint64 `json:"declined"` // no IDE wanted them
	Silent   uint64 `json:"silent"`   // the agent did not answer in time
	Full     uint64 `json:"full"`     // the gate's slots were taken
}

// untouched is how many requests ran on that a person may have waited for.
func (r requestCounts) untouched() uint64 { return uint64(r.Passed) + r.Declined + r.Silent + r.Full }

type budgets struct {
	MaxHoldMs  int64 `json:"maxHoldMs"`
	MaxFrozen  int   `json:"maxFrozen"`
	Slots      int   `json:"slots"`      // requests that the gate can offer at a time
	StallGuard int   `json:"stallGuard"` // waiting goroutines that thaw a request; 0: off
}

type statusVersions struct {
	Agent string `json:"agent"`
	Delve string `json:"delve"`
	Go    string `json:"go"` // that the agent was built with
}

// Bodies of the custom events.
type (
	// armedBody: remotedbg/armed, once requests are taken.
	armedBody struct {
		Until       time.Time `json:"until"`
		ExpiresInMs int64     `json:"expiresInMs"`
		Rules       []string  `json:"rules"`
	}
	// expiringBody: remotedbg/expiring, five minutes and one minute before the
	// end.
	expiringBody struct {
		Until       time.Time `json:"until"`
		ExpiresInMs int64     `json:"expiresInMs"`
	}
	// guardBody: remotedbg/stallGuard, when it lets a request go on.
	guardBody struct {
		ThreadID int    `json:"threadId"`
		Reason   string `json:"reason"`
	}
	// passedBody: remotedbg/passed, when requests ran on untouched; the counts
	// are those of remotedbg/status.
	passedBody struct {
		More     uint64        `json:"more"` // since the last such event
		Requests requestCounts `json:"requests"`
	}
)

// statusWatch is what a connection remembers to tell only what is new.
type statusWatch struct {
	untouched uint64
	left      time.Duration // until the end, as last seen
}

// statusEvery is how often the status is looked at for events. A look is a few
// words of the service's memory.
const statusEvery = time.Second

// warnings are how long before the end remotedbg/expiring is sent.
var warnings = []time.Duration{5 * time.Minute, time.Minute}

func (c *conn) status(context.Context, struct{}) (statusBody, error) {
	st, err := c.sess.Status()
	if err != nil {
		return statusBody{}, sessionError(err, kindStatus)
	}
	return statusBody{
		Version: customVersion, PID: st.PID, Armed: st.Armed,
		Until: st.Until, ExpiresInMs: time.Until(st.Until).Milliseconds(),
		Rules: st.Rules, IDEs: st.Sessions, InFlight: st.InFlight, Frozen: st.Frozen,
		Requests: countsOf(st),
		Budgets: budgets{
			MaxHoldMs: st.MaxHold.Milliseconds(), MaxFrozen: st.MaxFrozen,
			Slots: st.Slots, StallGuard: max(st.StallGuard, 0),
		},
		Versions: versions(),
	}, nil
}

func countsOf(st session.Status) requestCounts {
	return requestCounts{
		Taken: st.Taken, Stopped: st.Stopped, Passed: st.Passed, Thawed: st.Thawed,
		Matched: st.Matched, Declined: st.Declined, Silent: st.Silent, Full: st.Full,
	}
}

// announceArmed tells the client that requests are taken, and begins to watch
// the status.
func (c *conn) announceArmed() {
	st, err := c.sess.Status()
	if err != nil {
		c.log("dap: status: " + err.Error())
		return
	}
	left := time.Until(st.Until)
	c.watch = statusWatch{untouched: countsOf(st).untouched(), left: left}
	c.event("remotedbg/armed", armedBody{Until: st.Until, ExpiresInMs: left.Milliseconds(), Rules: st.Rules})
}

// watchStatus sends the events that a look at the status gives rise to.
func (c *conn) watchStatus() {
	if c.state != stateConfigured {
		return
	}
	st, err := c.sess.Status()
	if err != nil {
		return // the engine notices by itself, and says why
	}
	left := time.Until(st.Until)
	if expiring(c.watch.left, left) {
		c.event("remotedbg/expiring", expiringBody{Until: st.Until, ExpiresInMs: left.Milliseconds()})
	}
	c.watch.left = left
	counts := countsOf(st)
	if n := counts.untouched(); n > c.watch.untouched {
		c.event("remotedbg/passed", passedBody{More: n - c.watch.untouched, Requests: counts})
		c.watch.untouched = n
	}
}

// expiring tells whether a warning is due between two looks.
func expiring(before, now time.Duration) bool {
	for _, w := range warnings {
		if now <= w && before > w {
			return true
		}
	}
	return false
}

// versions are the agent's own, as the Go toolchain recorded them.
var versions = sync.OnceValue(func() statusVersions {
	v := statusVersions{Agent: "unknown", Delve: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Agent = info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == "github.com/go-delve/delve" {
			v.Delve = dep.Version
		}
	}
	return v
})
