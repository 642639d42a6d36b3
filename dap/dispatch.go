//go:build linux && amd64

package dap

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"strconv"

	"github.com/google/go-dap"
)

// handler runs one request. It never replies: what it returns is the reply,
// and the dispatcher sends it, once.
type handler struct {
	do   func(c *conn, ctx context.Context, raw json.RawMessage) (body any, err error)
	args func(raw json.RawMessage) (any, error) // as do reads them, for the audit
}

// route is a handler, the states it may run in, and the role that it takes.
type route struct {
	run   handler
	in    state
	needs need
}

// empty is the body of a response that says nothing.
type empty struct{}

// handle adapts a typed handler. Unknown keys in the arguments are ignored:
// clients send many of their own.
func handle[A, B any](f func(*conn, context.Context, A) (B, error)) handler {
	read := func(raw json.RawMessage) (args A, err error) {
		if len(raw) > 0 && string(raw) != "null" {
			if err := json.Unmarshal(raw, &args); err != nil {
				return args, kindBadArguments.because(err)
			}
		}
		return args, nil
	}
	return handler{
		do: func(c *conn, ctx context.Context, raw json.RawMessage) (any, error) {
			args, err := read(raw)
			if err != nil {
				return nil, err
			}
			return f(c, ctx, args)
		},
		args: func(raw json.RawMessage) (any, error) { return read(raw) },
	}
}

// routes is every request this server answers.
var routes = map[string]route{
	"initialize":        {handle((*conn).initialize), stateUninitialised, observe},
	"launch":            {handle((*conn).launch), stateInitialised, observe},
	"attach":            {handle((*conn).attach), stateInitialised, observe},
	"configurationDone": {handle((*conn).configurationDone), stateAttached, observe},
	"disconnect":        {handle((*conn).disconnect), anyState, observe},
	"terminate":         {handle((*conn).terminate), anyState &^ stateEnded, observe},
	"cancel":            {handle((*conn).cancel), anyState, observe},

	"setBreakpoints":            {handle((*conn).setBreakpoints), withSession, toSet},
	"setFunctionBreakpoints":    {handle((*conn).setFunctionBreakpoints), withSession, toSet},
	"setInstructionBreakpoints": {handle((*conn).setInstructionBreakpoints), withSession, toSet},
	"setExceptionBreakpoints":   {handle((*conn).setExceptionBreakpoints), withSession, toSet},
	"breakpointLocations":       {handle((*conn).breakpointLocations), withSession, observe},
	"dataBreakpointInfo":        {handle((*conn).dataBreakpointInfo), withSession, observe},
	"setDataBreakpoints":        {handle((*conn).setDataBreakpoints), withSession, toSet},

	"threads":    {handle((*conn).threads), withSession, observe},
	"stackTrace": {handle((*conn).stackTrace), withSession, observe},
	"scopes":     {handle((*conn).scopes), withSession, observe},
	"variables":  {handle((*conn).variables), withSession, observe},
	"evaluate":   {handle((*conn).evaluate), withSession, toEvaluate},

	"setVariable":   {handle((*conn).setVariable), withSession, mutate},
	"setExpression": {handle((*conn).setExpression), withSession, mutate},
	"completions":   {handle((*conn).completions), withSession, observe},

	"exceptionInfo": {handle((*conn).exceptionInfo), withSession, observe},

	"source":        {handle((*conn).sourceText), withSession, observe},
	"modules":       {handle((*conn).modules), withSession, observe},
	"loadedSources": {handle((*conn).loadedSources), withSession, observe},

	"readMemory":  {handle((*conn).readMemory), withSession, observe},
	"writeMemory": {handle((*conn).writeMemory), withSession, mutate},
	"disassemble": {handle((*conn).disassemble), withSession, observe},

	"remotedbg/status": {handle((*conn).status), withSession, observe},

	"continue": {handle((*conn).resume), withSession, observe},
	"next":     {handle((*conn).next), withSession, control},
	"stepIn":   {handle((*conn).stepIn), withSession, control},
	"stepOut":  {handle((*conn).stepOut), withSession, control},
	"pause":    {handle((*conn).pause), withSession, observe},
}

// request is the envelope of an incoming message.
type request struct {
	Seq       int             `json:"seq"`
	Type      string          `json:"type"`
	Command   string          `json:"command"`
	Arguments json.RawMessage `json:"arguments"`

	read any // Arguments as the handler reads them; nil: it cannot, or there is none
}

// seqPattern finds the sequence number in what is not JSON.
var seqPattern = regexp.MustCompile(`"seq"\s*:\s*([0-9]{1,9})`)

// dispatch answers one message with exactly one response, and then does what
// its handler left to be done after it.
func (c *conn) dispatch(ctx context.Context, raw []byte) {
	c.after = nil
	req, err := decode(raw)
	var body any
	if err == nil {
		body, err = c.route(ctx, req)
	}
	if err != nil {
		c.reply(req, nil, asFailure(err))
		return
	}
	c.reply(req, body, nil)
	for _, f := range c.after {
		c.safely(req.Command, f)
	}
}

// safely runs f; a panic in it is reported and goes no further. The agent that
// holds frozen requests must not die of what one client asked.
func (c *conn) safely(where string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			c.report(where, p)
		}
	}()
	f()
}

func decode(raw []byte) (request, error) {
	var req request
	if err := json.Unmarshal(raw, &req); err != nil {
		// Of JSON with one wrong field the others are there; of what is no JSON
		// at all none is.
		if m := seqPattern.FindSubmatch(raw); req.Seq == 0 && m != nil {
			req.Seq, _ = strconv.Atoi(string(m[1]))
		}
		return req, kindMalformed.because(err)
	}
	if req.Type != "request" {
		return req, kindMalformed.becauseOf(fmt.Sprintf("type is %q", clip(req.Type, 64)))
	}
	if req.Command == "" {
		return req, kindMalformed.becauseOf("it has no command")
	}
	return req, nil
}

// route finds and runs the handler. A panic in it is an error of this one
// request: the session and the frozen requests live on.
func (c *conn) route(ctx context.Context, req request) (body any, err error) {
	r, ok := routes[req.Command]
	why, refused := refusals[req.Command]
	switch {
	case refused:
		err := kindUnsupported.becauseOf(req.Command + ": " + why)
		c.recordRefused(req, never, err)
		return nil, err
	case !ok:
		err := kindUnknown.becauseOf(strconv.Quote(clip(req.Command, 64)))
		c.recordRefused(req, never, err)
		return nil, err
	case c.state == stateEnded && r.in&stateEnded == 0:
		return nil, kindEnded.becauseOf(c.endReason)
	case r.in&c.state == 0:
		return nil, kindOutOfOrder.becauseOf(fmt.Sprintf("%s while %s", req.Command, c.state))
	}
	defer func() {
		if p := recover(); p != nil {
			c.report(req.Command, p)
			body, err = nil, kindInternal.becauseOf(fmt.Sprintf("%s panicked: %v", req.Command, p))
		}
	}()
	if args, err := r.run.args(req.Arguments); err == nil {
		req.read = args
	}
	if err := c.admit(req, r); err != nil {
		return nil, err
	}
	return r.run.do(c, ctx, req.Arguments)
}

// report tells the user and the agent's log of a panic.
func (c *conn) report(where string, p any) {
	c.important(fmt.Sprintf("remotedbg: internal error in %s: %v", where, p))
	c.log(fmt.Sprintf("dap: %s panicked: %v\n%s", where, p, debug.Stack()))
}

func (c *conn) reply(req request, body any, f *failure) {
	r := &response{Response: dap.Response{RequestSeq: req.Seq, Command: req.Command, Success: f == nil}, Body: body}
	if f != nil {
		r.Message = f.Error()
		if f.kind == kindCancelled {
			r.Message = "cancelled" // the protocol's own word
		}
		r.Body = dap.ErrorResponseBody{Error: f.message()}
	}
	c.out.send(r)
}

// clip cuts s to at most n bytes for use in a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
