package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/door/opening"
	"github.com/remotedbg/remotedbg/internal/peer"
)

const (
	// maxPending bounds the connections that have not been judged, and firstTime
	// how long one may take for its first bytes.
	maxPending = 8
	firstTime  = 10 * time.Second
	// handover is how long an IDE waits for the one before it to be gone: editors
	// that restart a session connect again at once.
	handover = time.Second
)

// errBusy is what a second IDE is told.
var errBusy = &Error{
	Err:    errors.New("another IDE uses this connection already"),
	Advice: "end its session first, or run remotedbg connect once more with another --listen",
}

// ErrStopped is the cause to end Serve and Stdio with, as the IDE is told it.
var ErrStopped = errors.New("remotedbg connect was stopped")

// server is the loopback port.
type server struct {
	route   Route
	log     func(string)
	pending chan struct{}
	session chan struct{} // has room for one
}

// Serve accepts IDEs on ln, a loopback port, and passes one at a time on to the
// agent, until ctx ends or ln fails. ln is closed then, and every connection has
// ended. Connections of other users' processes are closed, as are those that do not
// begin like an IDE's. log gets lines for people. The error is nil if ctx ended it.
func Serve(ctx context.Context, ln net.Listener, route Route, log func(string)) error {
	s := &server{route: route, log: log, pending: make(chan struct{}, maxPending), session: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancelCause(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel(ErrStopped)
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	for {
		conn, err := ln.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("remotedbg: serve the IDE: %w", err)
		case err != nil:
			// Out of descriptors, or the peer gave up. Accept would spin
			// without the pause.
			s.log(fmt.Sprintf("accept: %v", err))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		// Whose it is, at once: who closes it can no more be told.
		if err := s.admit(conn); err != nil {
			s.log(fmt.Sprintf("connection from %s: closed: %v", conn.RemoteAddr(), err))
			conn.Close()
			continue
		}
		conns.Go(func() {
			s.open(ctx, conn)
		})
	}
}

// admit takes a place among the connections that are not judged yet.
func (s *server) admit(conn net.Conn) error {
	if peer.KnowsTCP {
		if err := peer.SameUser(conn); err != nil {
			return err
		}
	}
	select {
	case s.pending <- struct{}{}:
		return nil
	default:
		return fmt.Errorf("%d others have not said anything yet", maxPending)
	}
}

// open judges one connection and passes it on.
func (s *server) open(ctx context.Context, conn net.Conn) {
	from := conn.RemoteAddr()
	whole, kind, err := s.begin(ctx, conn)
	if err != nil {
		<-s.pending
		s.log(fmt.Sprintf("connection from %s: closed: %v", from, err))
		conn.Close()
		return
	}
	if !s.take(ctx) {
		s.log(fmt.Sprintf("connection from %s: refused: %v", from, errBusy))
		refuse(whole, kind, errorBusy, errBusy)
		<-s.pending
		return
	}
	<-s.pending
	agent, err := s.route.Dial(ctx)
	if err != nil {
		<-s.session // it is free while the IDE reads why
		s.log(fmt.Sprintf("IDE at %s: %s", from, sentence(err)))
		refuse(whole, kind, errorNoAgent, err)
		return
	}
	s.log(fmt.Sprintf("IDE at %s: connected to %s", from, s.route))
	if err := relay(ctx, whole, agent, kind, func() { <-s.session }); err != nil {
		s.log(fmt.Sprintf("IDE at %s: %s", from, strings.TrimPrefix(sentence(err), "remotedbg: ")))
		return
	}
	s.log(fmt.Sprintf("IDE at %s: disconnected", from))
}

// begin reads the first bytes of a connection.
func (s *server) begin(ctx context.Context, conn net.Conn) (net.Conn, opening.Kind, error) {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := conn.SetReadDeadline(time.Now().Add(firstTime)); err != nil {
		return nil, "", err
	}
	o, err := opening.Read(conn)
	switch {
	case err != nil:
		return nil, "", err
	case o.Attack():
		return nil, "", fmt.Errorf("it begins like %s%s, which no IDE does", o.Kind, about(o))
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	}
	return o.Whole(conn), o.Kind, conn.SetReadDeadline(time.Time{})
}

// about says what a web page's request gives away.
func about(o opening.Opening) string {
	text := ""
	if o.Host != "" {
		text += fmt.Sprintf(" (Host %q", o.Host)
		if o.Origin != "" {
			text += fmt.Sprintf(", Origin %q", o.Origin)
		}
		text += ")"
	}
	return text
}

// take takes the place of the one IDE.
func (s *server) take(ctx context.Context) bool {
	timer := time.NewTimer(handover)
	defer timer.Stop()
	select {
	case s.session <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
