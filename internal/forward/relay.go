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
// The error says what was wrong with the agent's side, nil if the IDE ended it or the
// session was over. When ctx ends, the IDE is told its cause.
func relay(ctx context.Context, ide, agent net.Conn, kind opening.Kind) error {
	defer ide.Close()
	defer agent.Close()
	defer context.AfterFunc(ctx, func() { agent.Close() })()

	up := make(chan ending, 1)
	down := make(chan ending, 1)
	passed := &messages{lost: kind != opening.DAP}
	go func() { up <- pass(agent, ide, nil) }()
	go func() {
		end := pass(ide, agent, passed)
		down <- end
	}()

	select {
	case end := <-up:
		if end.write != nil {
			// The agent is gone; what it said before is still on its way.
			agent.Close()
			return farewell(ctx, ide, passed, <-down, end.write)
		}
		// The IDE has ended: the agent learns it, and says goodbye.
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
		return nil
	case end := <-down:
		err := farewell(ctx, ide, passed, end, nil)
		ide.Close() // ends up
		<-up
		return err
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

// farewell ends the IDE's side after the agent's has ended. Nobody else writes to
// ide any more.
func farewell(ctx context.Context, ide net.Conn, passed *messages, down ending, failed error) error {
	if down.write != nil {
		return nil // the IDE has gone
	}
	var why error
	switch {
	case ctx.Err() != nil:
		why = context.Cause(ctx)
	case passed.over && failed == nil && down.read == nil:
		// The session was over. That is how it is meant to end.
	case failed != nil:
		why = fmt.Errorf("the connection to the agent is lost: %w", failed)
	case down.read != nil:
		why = fmt.Errorf("the connection to the agent is lost: %w", down.read)
	default:
		why = errAgentGone
	}
	if why != nil && passed.between() && !passed.over {
		_ = ide.SetWriteDeadline(time.Now().Add(lingerTime))
		if _, err := ide.Write(lastWords(passed.count, why)); err != nil {
			return why
		}
	}
	linger(ide)
	if passed.over {
		return nil
	}
	return why
}
