//go:build linux && amd64

package dap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
)

// Config is what a Server needs to know.
type Config struct {
	// NewSession attaches an IDE to the debugged process; it is called for
	// every attach request. session.ErrBusy tells the client that too many
	// others have it. See [ForEngine].
	NewSession func(who access.Identity) (Session, error)

	// QueueStops shows every client one stopped request at a time, as if it had
	// asked for that with the attach argument queueStops.
	QueueStops bool

	// Log takes one line of progress for the operator. It may be nil, and is
	// called from any goroutine.
	Log func(string)

	// Audit is where what clients ask for is written down. It may be nil.
	Audit *audit.Log

	// WriteTimeout closes a connection whose client takes nothing for so
	// long. 0 means 8 s.
	WriteTimeout time.Duration

	// FirstMessage closes a connection that sends no whole message for so long
	// after it was made. 0 means 30 s.
	FirstMessage time.Duration

	// Linger is how long an ended session waits for the client to disconnect
	// by itself before the connection is closed. 0 means 1 s.
	Linger time.Duration
}

// peerTimeout is how long a client may take nothing before it is taken for gone.
const peerTimeout = 8 * time.Second

// Server speaks DAP. It is immutable and may serve any number of
// connections at once.
type Server struct{ cfg Config }

// NewServer makes a server; the error joins all mistakes of cfg.
func NewServer(cfg Config) (*Server, error) {
	var errs []error
	if cfg.NewSession == nil {
		errs = append(errs, errors.New("remotedbg: dap: Config.NewSession is nil"))
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"WriteTimeout", &cfg.WriteTimeout, peerTimeout},
		{"FirstMessage", &cfg.FirstMessage, 30 * time.Second},
		{"Linger", &cfg.Linger, time.Second},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("remotedbg: dap: Config.%s is negative", d.name))
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	return &Server{cfg}, nil
}

// ServeConn serves who, one client, until it disconnects, the connection fails, the
// session ends or ctx is done. It closes rwc, whose Close must end a blocked
// Read and Write (a net.Conn does, and [Stdio]), and returns when nothing of
// the connection is left. The error says what was wrong with the connection;
// an orderly end is nil.
func (s *Server) ServeConn(ctx context.Context, rwc io.ReadWriteCloser, who access.Identity) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	c := &conn{
		cfg:     s.cfg,
		who:     who,
		audit:   s.cfg.Audit.With(audit.Who(who)...),
		out:     newOutbox(rwc, s.cfg.WriteTimeout),
		state:   stateUninitialised,
		handles: newHandles(),
	}
	c.out.clean = c.clean
	in := newInbox(rwc, s.cfg.FirstMessage)
	defer func() {
		// Frozen requests go on first: closing a connection can take a moment.
		c.closeSession()
		c.out.close()
		in.drain(rwc, s.cfg.Linger)
	}()
	c.run(ctx, in)
	c.linger(ctx, in)
	select {
	case <-c.out.broken:
		return fmt.Errorf("remotedbg: dap: write failed, or the client took nothing for %v", s.cfg.WriteTimeout)
	default:
		return in.failure()
	}
}
