//go:build linux && amd64

package dap

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/remotedbg/remotedbg/internal/access"
)

// A need is the role that a request takes, by its arguments. A route without one
// cannot be made: the table is positional. The arguments may be anything.
type need func(raw json.RawMessage) access.Role

func observe(json.RawMessage) access.Role { return access.Observe }
func control(json.RawMessage) access.Role { return access.Control }
func mutate(json.RawMessage) access.Role  { return access.Mutate }

// toSet is for the requests that set all breakpoints of a kind: clients send them to
// every server, with none, and that needs nothing. It decodes as the handlers do, in
// which the case of a key does not count.
func toSet(raw json.RawMessage) access.Role {
	var args struct {
		Breakpoints      []json.RawMessage `json:"breakpoints"`
		Lines            []json.RawMessage `json:"lines"`
		Filters          []json.RawMessage `json:"filters"`
		FilterOptions    []json.RawMessage `json:"filterOptions"`
		ExceptionOptions []json.RawMessage `json:"exceptionOptions"`
	}
	err := json.Unmarshal(raw, &args)
	if err != nil || len(args.Breakpoints)+len(args.Lines)+len(args.Filters)+len(args.FilterOptions)+len(args.ExceptionOptions) > 0 {
		return access.Control
	}
	return access.Observe
}

// toEvaluate is for a look, unless the expression calls a function.
func toEvaluate(raw json.RawMessage) access.Role {
	var args struct {
		Expression string `json:"expression"`
	}
	if json.Unmarshal(raw, &args) != nil || asksForCall(args.Expression) {
		return access.Mutate
	}
	return access.Observe
}

// admit judges whether the client's role allows req and writes req down. What
// changes the service is on the disk before it is done, or it is not done.
func (c *conn) admit(req request, r route) error {
	needs := r.needs(req.Arguments)
	if !c.who.Role.May(needs) {
		err := kindRole.becauseOf(fmt.Sprintf("%s needs the role %s and this connection has %s: attach the agent with --role %s, or connect as somebody who has it",
			req.Command, needs, c.who.Role, needs))
		c.recordRefused(req, needs.String(), err)
		return err
	}
	if err := c.recordCommand(req, needs == access.Mutate); err != nil && needs == access.Mutate {
		refusal := kindAudit.because(err)
		c.recordRefused(req, needs.String(), refusal)
		return refusal
	}
	return nil
}

// capabilitiesOf is what the client may use of all that this server does: an IDE
// then does not offer what would be refused.
func capabilitiesOf(role access.Role) advertised {
	caps := capabilities
	if !role.May(access.Mutate) {
		caps.SupportsSetVariable, caps.SupportsSetExpression, caps.SupportsWriteMemoryRequest = false, false, false
	}
	if !role.May(access.Control) {
		caps.SupportsConditionalBreakpoints, caps.SupportsHitConditionalBreakpoints, caps.SupportsLogPoints = false, false, false
		caps.SupportsFunctionBreakpoints, caps.SupportsInstructionBreakpoints = false, false
		caps.SupportsDataBreakpoints, caps.SupportsDataBreakpointBytes = false, false
		caps.SupportsExceptionOptions, caps.SupportsExceptionFilterOptions, caps.ExceptionBreakpointFilters = false, false, nil
		caps.SupportsSteppingGranularity = false
	}
	return caps
}

// asksForCall tells an expression that calls a function of the service, as Delve
// writes it.
func asksForCall(expr string) bool {
	word, _, more := strings.Cut(strings.TrimSpace(expr), " ")
	return word == "call" && more
}
