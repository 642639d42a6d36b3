package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/remotedbg/remotedbg/internal/door/opening"
)

// goodbyeTime is how long the agent may take to end its side after the IDE has
// ended its own: it lets frozen requests go first.
const goodbyeTime = 5 * time.Second

// errAgentGone is what the IDE is told when its session ends in the middle.
var errAgentGone = errors.New("the agent has closed the connection")

// ending is why one direction of a relay ended.
type ending struct {
	read, write error // at most one; both nil if the reader came to its end
}

// relay passes bytes between ide and agent until one of them ends, and closes both.
// It calls free once nothing more is passed on: the IDE may still be reading its last
// message then. The error says what was wrong with the agent's side, nil if the IDE
// ended it or the session was over. When ctx ends, the IDE is told its cause.
func relay(ctx context.Context, ide, agent net.Conn, kind opening.Kind, free func()) error {
	defer ide.Close()
	defer context.AfterFunc(ctx, func() { agent.Close() })()

	up := make(chan ending, 1)
	down := make(chan ending, 1)
	passed := &messages{lost: kind != opening.DAP}
	go func() { up <- pass(agent, ide, nil) }()
	go func() { down <- pass(ide, agent, passed) }()

	select {
	case end := <-up:
		if end.write == nil {
			part(ide, agent, down)
			free()
			return nil
		}
		why := lastWord(ctx, ide, passed, rest(agent, down), end.write)
		free()
		linger(ide)
		return why
	case end := <-down:
		agent.Close()
		why := lastWord(ctx, ide, passed, end, nil)
		free()
		if ide.SetReadDeadline(time.Now()) != nil {
			ide.Close() // standard input: nothing lingers there
		}
		<-up // one reader at a time
		linger(ide)
		return why
	}
}

// rest ends the agent's side after the agent was gone for a write. What it said
// before, such as why, may still be on its way.
func rest(agent net.Conn, down <-chan ending) ending {
	defer agent.Close()
	select {
	case end := <-down:
		return end
	case <-time.After(lingerTime):
		agent.Close()
		end := <-down
		end.read = nil // that was us
		return end
	}
}

// part ends the agent's side after the IDE has ended its own: the agent learns it,
// and says goodbye.
func part(ide, agent net.Conn, down <-chan ending) {
	defer agent.Close()
	if half, ok := agent.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		agent.Close()
	}
	select {
	case <-down:
	case <-time.After(goodbyeTime):
		agent.Close()
		ide.Close()
		<-down
	}
}

// pass copies until src ends or dst fails. seen, if there is one, sees what has been
// written.
func pass(dst io.Writer, src io.Reader, seen *messages) ending {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return ending{write: err}
			}
			if seen != nil {
				seen.see(buf[:n])
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return ending{}
		case err != nil:
			return ending{read: err}
		}
	}
}

// lastWord says why the agent's side has ended, and tells the IDE if it can be told.
// Nobody else writes to ide any more. failed is what went wrong with a write to the
// agent.
func lastWord(ctx context.Context, ide net.Conn, passed *messages, down ending, failed error) error {
	if down.write != nil || passed.over {
		return nil // the IDE has gone, or the session was over
	}
	why := errAgentGone
	switch {
	case ctx.Err() != nil:
		why = context.Cause(ctx)
	case isAlert(down.read):
		why = &Error{
			Err:    fmt.Errorf("the agent does not let us in: %w", down.read),
			Advice: "is this the certificate that it accepts? the agent's log says why it does not",
		}
	case down.read != nil:
		why = fmt.Errorf("the connection to the agent is lost: %w", down.read)
	case failed != nil:
		why = fmt.Errorf("the connection to the agent is lost: %w", failed)
	}
	if passed.between() {
		_ = ide.SetWriteDeadline(time.Now().Add(lingerTime))
		_, _ = ide.Write(lastWords(passed.count, why)) // if it fails, the IDE has gone too
	}
	return why
}

// isAlert says whether err is a TLS alert of the other end (crypto/tls reports it so):
// in TLS 1.3 a client learns only after its handshake what became of its certificate.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
