//go:build linux && amd64

package dap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/go-dap"
)

// capabilities is what this server really does; a test holds each one against
// the routes. Left out on purpose: supportsTerminateRequest (terminate is
// answered, but all it does is detach). supportsCancelRequest is about requests
// that wait for their turn, and is a hint to those that run.
var capabilities = advertised{SupportsDataBreakpointBytes: true, Capabilities: dap.Capabilities{
	SupportsConfigurationDoneRequest: true,
	SupportsEvaluateForHovers:        true,
	SupportsClipboardContext:         true,
	SupportsDelayedStackTraceLoading: true,

	SupportsConditionalBreakpoints:    true,
	SupportsHitConditionalBreakpoints: true,
	SupportsLogPoints:                 true,
	SupportsFunctionBreakpoints:       true,
	SupportsInstructionBreakpoints:    true,
	SupportsDataBreakpoints:           true,

	SupportsBreakpointLocationsRequest: true,
	SupportsExceptionInfoRequest:       true,
	SupportsModulesRequest:             true,
	SupportsLoadedSourcesRequest:       true,

	SupportsSetVariable:         true,
	SupportsSetExpression:       true,
	SupportsCompletionsRequest:  true,
	CompletionTriggerCharacters: []string{"."},

	SupportsSteppingGranularity: true,

	ExceptionBreakpointFilters:     exceptionBreakpointFilters,
	SupportsExceptionFilterOptions: true,

	SupportsCancelRequest:      true,
	SupportsReadMemoryRequest:  true,
	SupportsWriteMemoryRequest: true,
	SupportsDisassembleRequest: true,
}}

// advertised is go-dap's with what the protocol has got since.
type advertised struct {
	dap.Capabilities
	SupportsDataBreakpointBytes bool `json:"supportsDataBreakpointBytes,omitempty"`
}

type initializeArguments struct {
	LinesStartAt1   *bool  `json:"linesStartAt1"` // absent means true
	ColumnsStartAt1 *bool  `json:"columnsStartAt1"`
	PathFormat      string `json:"pathFormat"`

	SupportsInvalidatedEvent  bool `json:"supportsInvalidatedEvent"`
	SupportsMemoryEvent       bool `json:"supportsMemoryEvent"`
	SupportsProgressReporting bool `json:"supportsProgressReporting"`
}

func (c *conn) initialize(_ context.Context, args initializeArguments) (advertised, error) {
	if args.PathFormat != "" && args.PathFormat != "path" {
		return advertised{}, kindBadArguments.becauseOf(
			fmt.Sprintf("pathFormat %q: only \"path\" is understood", clip(args.PathFormat, 64)))
	}
	c.client = clientTraits{
		lineBase: base(args.LinesStartAt1), columnBase: base(args.ColumnsStartAt1),
		invalidatedEvent: args.SupportsInvalidatedEvent,
		memoryEvent:      args.SupportsMemoryEvent,
		progressEvents:   args.SupportsProgressReporting,
	}
	c.state = stateInitialised
	return capabilitiesOf(c.who.Role), nil
}

// base is the number of the first line or column for a client that says, or
// does not, whether it counts from 1.
func base(startAt1 *bool) int {
	if startAt1 != nil && !*startAt1 {
		return 0
	}
	return 1
}

func (c *conn) launch(_ context.Context, args json.RawMessage) (empty, error) {
	err := kindLaunch.because(nil)
	c.recordRefused(request{Command: "launch", Arguments: args}, never, err)
	return empty{}, err
}

// attachArguments is what is used of Delve's attach arguments; clients send
// many more.
type attachArguments struct {
	Mode           string           `json:"mode"`
	StopOnEntry    bool             `json:"stopOnEntry"`
	SubstitutePath []substituteRule `json:"substitutePath"`
	PlainValues    bool             `json:"plainValues"` // ours: values as Delve shows them
	QueueStops     bool             `json:"queueStops"`  // ours: one stop at a time, see stopQueue
	Requests       wantedRequests   `json:"requests"`    // ours: which of the allowed requests this IDE takes

	Guess clientDirectories `json:"guessSubstitutePath"`
}

func (c *conn) attach(_ context.Context, args attachArguments) (empty, error) {
	// "local" is what clients send that think they start dlv themselves; the
	// process is the one the agent was given either way.
	switch args.Mode {
	case "", "remote", "local":
	default:
		return empty{}, kindMode.becauseOf(fmt.Sprintf("mode %q", clip(args.Mode, 64)))
	}
	paths, err := newPathMap(args.SubstitutePath)
	if err != nil {
		return empty{}, kindBadArguments.because(err)
	}
	// In a binary built with -trimpath a module's files are below its path.
	for module, dir := range args.Guess.ClientModuleDirectories {
		paths.hint(dir, module)
	}
	wants, err := args.Requests.wants()
	if err != nil {
		return empty{}, kindBadArguments.because(err)
	}
	sess, err := c.cfg.NewSession(c.who)
	if err != nil {
		return empty{}, sessionError(err, kindAttach)
	}
	sess.SetWants(wants)
	c.sess, c.events, c.paths = sess, sess.Events(), paths
	if log := sess.Audit(); log != nil {
		c.audit = log
	}
	c.clientGoRoot = args.Guess.ClientGOROOT
	c.show.plain = args.PlainValues
	c.stops.on = args.QueueStops || c.cfg.QueueStops
	c.state = stateAttached
	sess.SetStopOnEntry(args.StopOnEntry)
	// Only now: breakpoints, which `initialized` asks for, need the session.
	c.afterReply(func() { c.event("initialized", empty{}) })
	return empty{}, nil
}

func (c *conn) configurationDone(context.Context, struct{}) (empty, error) {
	c.state = stateConfigured
	// After the response, so that no `thread` or `stopped` comes before it.
	c.afterReply(c.sess.Start)
	c.afterReply(c.announceArmed)
	return empty{}, nil
}

// disconnect detaches and lets the connection end. There is no way to end the
// service from here.
func (c *conn) disconnect(_ context.Context, args dap.DisconnectArguments) (empty, error) {
	if args.TerminateDebuggee {
		const ignored = "terminateDebuggee is ignored: the service is not the debugger's to end; detached instead"
		c.output("remotedbg: " + ignored)
		c.recordRefused(request{Command: "disconnect: terminateDebuggee"}, never, errors.New(ignored))
	}
	if args.SuspendDebuggee {
		c.output("remotedbg: suspendDebuggee is ignored: nothing stays frozen without a debugger")
	}
	c.closeSession()
	if c.state != stateEnded {
		c.state, c.endReason = stateEnded, "disconnected"
	}
	c.gone = true
	return empty{}, nil
}

func (c *conn) terminate(context.Context, dap.TerminateArguments) (empty, error) {
	c.afterReply(func() {
		const instead = "the service is not terminated: detached from it instead"
		c.output("remotedbg: " + instead)
		c.recordRefused(request{Command: "terminate"}, never, errors.New(instead))
		c.end("the IDE asked to terminate")
	})
	return empty{}, nil
}
