// Package forward brings an IDE on this machine to an agent on another.
//
// It owns the developer's side of a debug connection: what a target is and how it
// is reached ([Parse], [Route]), the loopback port or the standard streams that the
// IDE speaks to ([Serve], [Stdio]), that one IDE of one user uses it at a time, and
// what the IDE is told when there is no agent. It passes bytes on. It must not know
// what is debugged nor what a request or response means, beyond what it takes to
// refuse the first one and to say a last word between two messages. It builds on
// every system and imports nothing of the debugger.
//
// Goroutines: Serve starts one for each connection, and two more for the one that
// is passed on; they end with it. A route over ssh has one that asks the host for a
// sign of life, and those of the ssh library, until its Close. Stdio leaves one
// behind that reads the standard input, which nothing can interrupt.
package forward

import (
	"context"
	"net"
)

// Route is a way to one agent. Its methods may be called from any goroutine.
type Route interface {
	// Prepare does what can fail before there is an IDE: it uses an invitation
	// up, or logs in over ssh. The text is for people and says who was reached,
	// if it is known.
	Prepare(ctx context.Context) (string, error)
	// Dial connects to the agent. A connection whose other end is gone without
	// a word fails within about 10 s.
	Dial(ctx context.Context) (net.Conn, error)
	// Close ends what the connections share. It does not end them.
	Close() error
	// String names the agent and has no secret in it.
	String() string
}

// Error is a failure and what to do about it.
type Error struct {
	Err    error
	Advice string // lines, each one thing to do
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Hint is the advice.
func (e *Error) Hint() string { return e.Advice }
