//go:build linux

package door

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/door/opening"
)

// Bounds of what somebody can use up who has proved nothing.
const (
	// patience is how long a connection may take until it is known who is there
	// and what is spoken. Every client speaks first, and at once.
	patience = 5 * time.Second
	// maxPending is how many connections may be at that. A further one closes
	// another, see pending.
	maxPending = 8
	// maxClients is how many may be past it.
	maxClients = 16
)

// Speak serves one client. It closes rwc. See dap.Server.ServeConn.
type Speak func(ctx context.Context, rwc io.ReadWriteCloser, who access.Identity) error

// Recorder takes the events of the audit; *audit.Log is one. It is called from any
// goroutine. An error of it is the Recorder's business: nothing at the door changes
// the service.
type Recorder interface {
	Record(event string, attrs ...slog.Attr) error
}

// Config is what a Door needs to know.
type Config struct {
	DAP     Speak // required
	JSONRPC Speak // required

	// Audit takes what comes to the door. nil: nothing is recorded.
	Audit Recorder

	// Log takes one line of progress for the operator. It may be nil, and is
	// called from any goroutine.
	Log func(string)
}

// Door lets clients in. Its methods may be called from any goroutine.
type Door struct {
	cfg     Config
	pending *pending
	backoff *backoff
	quiet   *quiet
	clients chan struct{} // one for each that is in
}

// New makes a Door; the error joins all mistakes of cfg.
func New(cfg Config) (*Door, error) {
	var errs []error
	if cfg.DAP == nil {
		errs = append(errs, errors.New("remotedbg: door: Config.DAP is nil"))
	}
	if cfg.JSONRPC == nil {
		errs = append(errs, errors.New("remotedbg: door: Config.JSONRPC is nil"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.Audit == nil {
		cfg.Audit = noAudit{}
	}
	return &Door{
		cfg: cfg, pending: newPending(), backoff: newBackoff(), quiet: newQuiet(),
		clients: make(chan struct{}, maxClients),
	}, nil
}

type noAudit struct{}

func (noAudit) Record(string, ...slog.Attr) error { return nil }

// Serve lets clients of ln in until ctx is done or ln fails, and returns when all of
// them have ended; ln is closed then. It returns nil if ctx ended it.
func (d *Door) Serve(ctx context.Context, ln *Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()

	for {
		nc, err := ln.accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("remotedbg: accept: %w", err)
		case err != nil:
			// Out of descriptors, or the peer gave up: neither is a reason to
			// end a debug session. Accept would spin without the pause.
			d.cfg.Log(fmt.Sprintf("accept: %v", err))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		v := &visit{Door: d, ln: ln, raw: nc}
		if !v.admit() {
			nc.Close()
			continue
		}
		// Here and not in the goroutine: the oldest is the one that came first.
		v.place = v.pending.enter(nc, v.source)
		conns.Go(func() { v.run(ctx) })
	}
}

// visit is one connection on its way in.
type visit struct {
	*Door
	ln     *Listener
	raw    net.Conn
	source string // whom it counts for, among those that have proved nothing
	from   string // where it comes from, for people
	who    access.Identity
	print  string // fingerprint of the client's certificate
	place  *waiting
}

// admit decides at once what can be decided at once, in the goroutine that accepts:
// somebody whom the kernel names as a stranger must not take a place among those
// who wait.
func (v *visit) admit() bool {
	var err error
	v.source, v.from, v.who, err = v.ln.greet(v.raw)
	if err != nil {
		v.refused(err)
		return false
	}
	if !v.ln.guessing() {
		return true
	}
	if wait, first := v.backoff.waits(v.source); wait > 0 {
		if first {
			v.refused(fmt.Errorf("too many failed attempts from %s: connections from there are closed for %v", v.source, wait.Round(time.Second)))
		}
		return false
	}
	return true
}

// run serves one connection.
func (v *visit) run(ctx context.Context) {
	conn, kind, err := v.prove(ctx)
	if err != nil {
		v.raw.Close()
		v.failed(err)
		return
	}
	if conn == nil { // an invitation, and nothing else
		v.raw.Close()
		return
	}
	select {
	case v.clients <- struct{}{}:
		defer func() { <-v.clients }()
	default:
		v.refused(fmt.Errorf("%d clients are connected already", maxClients))
		conn.Close()
		return
	}
	speak := v.cfg.DAP
	if kind == opening.JSONRPC {
		speak = v.cfg.JSONRPC
	}
	closed := v.accepted()
	err = speak(ctx, conn, v.who)
	reason := "it has ended"
	if err != nil {
		reason = err.Error()
		v.cfg.Log(fmt.Sprintf("%s: connection from %s: %v", kind, v.from, err))
	}
	closed(reason)
}

// prove finds out who is there and what is spoken, within the bounds for
// strangers. The connection is nil if nothing more is to come.
func (v *visit) prove(ctx context.Context) (net.Conn, opening.Kind, error) {
	defer v.pending.leave(v.place)
	// Ending the deadline ends every read and write below.
	defer context.AfterFunc(ctx, func() { v.raw.SetDeadline(time.Unix(1, 0)) })()
	if err := watchPeer(v.raw); err != nil {
		return nil, "", fmt.Errorf("%w: %w", opening.ErrSilent, err) // it has gone already
	}
	if err := v.raw.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, "", err
	}
	conn := v.raw
	if v.ln.secure != nil {
		secure, err := v.secure(ctx)
		if err != nil || secure == nil {
			return nil, "", err
		}
		conn = secure
	}
	o, err := opening.Read(conn)
	if err != nil {
		return nil, "", err
	}
	if o.Attack() {
		return nil, "", attack{o}
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	return o.Whole(conn), o.Kind, v.raw.SetDeadline(time.Time{})
}
