//go:build linux && amd64

package dap

import (
	"context"

	"github.com/remotedbg/remotedbg/internal/session"
)

// threadArguments is the part of the arguments of every request below that is
// used. singleThread is not: nothing here ever moves two requests.
type threadArguments struct {
	ThreadID int `json:"threadId"`

	// Granularity is "statement", "line", which is the same since Go's line
	// tables have no columns, or "instruction". A step out has one kind only.
	Granularity string `json:"granularity"`
}

// by chooses how to step.
func (a threadArguments) by(line, instruction func(Session, session.RequestID) error) func(Session, session.RequestID) error {
	if a.Granularity == "instruction" {
		return instruction
	}
	return line
}

// continueBody says allThreadsContinued:false in full; see stoppedBody.
type continueBody struct {
	AllThreadsContinued bool `json:"allThreadsContinued"`
}

func (c *conn) resume(_ context.Context, args threadArguments) (continueBody, error) {
	if err := c.move(args, Session.Continue); err != nil {
		return continueBody{}, err
	}
	c.afterReply(func() { c.showNext(session.RequestID(args.ThreadID)) })
	return continueBody{}, nil
}

func (c *conn) next(_ context.Context, args threadArguments) (empty, error) {
	return empty{}, c.move(args, args.by(Session.Next, Session.NextInstruction))
}

func (c *conn) stepIn(_ context.Context, args threadArguments) (empty, error) {
	return empty{}, c.move(args, args.by(Session.StepIn, Session.StepInstruction))
}

func (c *conn) stepOut(_ context.Context, args threadArguments) (empty, error) {
	return empty{}, c.move(args, Session.StepOut)
}

// move starts one movement of a frozen request. Its outcome comes as an event,
// which this goroutine takes up only after the response is queued.
func (c *conn) move(args threadArguments, how func(Session, session.RequestID) error) error {
	id := session.RequestID(args.ThreadID)
	if err := how(c.sess, id); err != nil {
		return sessionError(err, kindStep)
	}
	c.handles.reset(id)
	return nil
}

func (c *conn) pause(_ context.Context, args threadArguments) (empty, error) {
	return empty{}, sessionError(c.sess.Pause(session.RequestID(args.ThreadID)), kindPause)
}
