//go:build linux && amd64

package dlvrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/session"
)

// Config is what a Server needs to know.
type Config struct {
	// Engine has the debugged process. Each connection is a session of its own.
	Engine *session.Engine

	// PID of that process, as the clients are to be told.
	PID int

	// Log takes one line of progress for the operator. It may be nil, and is
	// called from any goroutine.
	Log func(string)

	// Audit is where what clients ask for is written down. It may be nil.
	Audit *audit.Log

	// WriteTimeout closes a connection whose client takes nothing for so long.
	// 0 means 8 s.
	WriteTimeout time.Duration
}

// Server speaks JSON-RPC. It is immutable and may serve any number of
// connections at once.
type Server struct{ cfg Config }

// NewServer makes a server; the error joins all mistakes of cfg.
func NewServer(cfg Config) (*Server, error) {
	var errs []error
	if cfg.Engine == nil {
		errs = append(errs, errors.New("remotedbg: dlvrpc: Config.Engine is nil"))
	}
	if cfg.PID <= 0 {
		errs = append(errs, errors.New("remotedbg: dlvrpc: Config.PID is no process"))
	}
	if cfg.WriteTimeout < 0 {
		errs = append(errs, errors.New("remotedbg: dlvrpc: Config.WriteTimeout is negative"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 8 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	return &Server{cfg}, nil
}

// ServeConn serves who, one client, until it detaches, the connection fails, the
// session ends or ctx is done. It closes rwc, whose Close must end a blocked
// Read and Write, and returns when nothing of the connection is left. The error
// says what was wrong with the connection; an orderly end is nil.
func (s *Server) ServeConn(ctx context.Context, rwc io.ReadWriteCloser, who access.Identity) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &conn{cfg: s.cfg, who: who, world: newWorld(), breakpoints: newBreakpoints(), events: newEvents()}
	sess, err := s.cfg.Engine.NewSession(who)
	if err != nil {
		c.audit = s.cfg.Audit.With(audit.Who(who)...)
		c.refusal = fmt.Errorf("remotedbg: attach: %w", err)
	} else {
		c.sess, c.reader, c.audit = sess, sess.Reader(), sess.Audit()
		c.cfg.Log = func(line string) { s.cfg.Log(sess.Guard().Text(line)) }
	}
	return newWire(rwc, s.cfg.WriteTimeout).serve(ctx, c)
}
