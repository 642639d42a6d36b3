//go:build linux && amd64

package session

import (
	"errors"
	"net/netip"
	"time"

	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/redact"
)

// Rule is one allow rule: requests whose client address lies in Prefix and
// that fit every non-empty field are offered to the debugger.
type Rule struct {
	Prefix      netip.Prefix
	Method      string // exact, as in http.Request.Method
	PathPrefix  string // prefix of http.Request.URL.Path
	HeaderName  string // canonical name; empty: no header condition
	HeaderValue string // the value the header must equal
}

// Config says which process to attach to and for how long.
type Config struct {
	PID   int
	Allow []Rule        // at least one
	Token bool          // only requests that carry a token of this Engine, too; see Engine.Token
	For   time.Duration // finite; the engine ends by itself after it
	Log   func(string)  // progress, one line each, may be nil; called from any goroutine
	Audit *audit.Log    // of what happens to requests, may be nil; the caller closes it after the Engine

	Redact        *redact.Policy // what is not shown of the service's data; nil: the default rules
	LiftRedaction bool           // nothing of it holds for those who may mutate, but for fields with the struct tag

	// Budgets; 0 means the default.
	MaxHold    time.Duration // how long a request is frozen at one stop
	MaxFrozen  int           // how many are frozen at the same time, with their goroutines; further matches pass
	NoExtra    bool          // no more breakpoints than the hardware has
	ExtraFor   time.Duration // how long the others are armed while a request runs, from one stop to the next
	NoFollow   bool          // goroutines of requests run untouched
	StallGuard int           // how many more waiting goroutines thaw a request; StallGuardOff: none do

	// Beat is the sign of life for a watchdog, may be nil. It is called every
	// 100 ms from just before the gate is armed until Done, by one goroutine,
	// and not while a thread of the service has been stopped for longer than
	// it ever should: whoever misses it for 500 ms does well to kill this
	// process. It must not block.
	Beat func()
}

// RequestID names one gated request for the life of an Engine. It is the
// DAP thread id. Never 0, never used twice.
type RequestID int

// Request is a request in flight.
type Request struct {
	ID     RequestID
	Method string
	Path   string
	Route  string // the pattern that the router matched; empty: not known to the gate
	Client netip.Addr
	Since  time.Time
	Frozen bool // stopped and open to Inspect; otherwise it runs

	// Of a goroutine that a request started, which is debugged as a request of
	// its own that says the same of itself but for this.
	Root RequestID // the request that it belongs to; 0: it is one
	Func string    // what it runs: "main.fanOut.func1"
}

// Name is the request as a person reads it: "GET /orders/7 from 203.0.113.7", or
// "GET /orders/{id} (/orders/7) from 203.0.113.7". A goroutine of it is "go
// main.fanOut.func1 of GET /orders/7 from 203.0.113.7".
func (r Request) Name() string {
	what := r.Path
	if r.Route != "" && r.Route != r.Path {
		what = r.Route + " (" + r.Path + ")"
	}
	what = r.Method + " " + what + " from " + r.Client.String()
	if r.Root != 0 {
		return "go " + r.Func + " of " + what
	}
	return what
}

// When says when a request stops at a breakpoint that it reaches.
type When struct {
	Condition    string // an expression that must be true; empty: always
	HitCondition string // "3", "> 3", "% 5", of the hits of all requests for which Condition was true; empty: all
}

// SourceBreakpoint is a breakpoint as the IDE asks for it.
type SourceBreakpoint struct {
	Line int // 1-based
	When
	LogMessage string // what to log instead of stopping: "total {order.Total}"
}

// FunctionBreakpoint is one at the first line of functions.
type FunctionBreakpoint struct {
	Name string
	When
}

// InstructionBreakpoint is one at an instruction.
type InstructionBreakpoint struct {
	Addr uint64
	When
}

// Breakpoint is a breakpoint as the engine holds it.
type Breakpoint struct {
	ID       int // unique in a Session, never 0
	File     string
	Line     int // where it really is; the asked line while unverified
	Verified bool
	Message  string // why it is not verified, and what to do
}

// StopReason says why a request is frozen. The values are DAP's.
type StopReason string

const (
	StopBreakpoint StopReason = "breakpoint"
	StopStep       StopReason = "step"
	StopEntry      StopReason = "entry"
	StopPause      StopReason = "pause"
	StopData       StopReason = "data breakpoint"
	StopException  StopReason = "exception"
)

// EventKind tells the events of a Session apart.
type EventKind int

const (
	EventStarted    EventKind = iota + 1 // a request was taken; Request is set
	EventStopped                         // it is frozen; Reason, BreakpointIDs, Text
	EventContinued                       // it goes on without having been asked to (thawed by the engine); Text says why
	EventExited                          // it is done and no longer debugged
	EventBreakpoint                      // Breakpoint changed (became verified or unverified)
	EventOutput                          // Text for the debug console
	EventLogPoint                        // Request passed the log point Breakpoint; Text is its message
	EventEnded                           // the session is over (expiry, agent stopping, process gone); Text says why. The last event
)

// Event is something the front end must tell its client.
type Event struct {
	Kind          EventKind
	Request       Request
	Reason        StopReason
	BreakpointIDs []int
	Breakpoint    Breakpoint
	Text          string
	Hit           *DataHit // of an EventStopped for StopData
	Guard         bool     // an EventContinued by the stall guard

	Exception *ExceptionStop // of a stop with the reason StopException
}

// Errors that a front end tells apart.
var (
	ErrNoRequest = errors.New("no such request: it has finished or never was")
	ErrRunning   = errors.New("the request is running: pause it or wait for a stop")
	ErrFrozen    = errors.New("the request is already stopped")
	ErrBusy      = errors.New("as many IDEs as it takes are attached to this agent: disconnect one first")
	ErrEnded     = errors.New("the session has ended: run remotedbg attach again")
)
