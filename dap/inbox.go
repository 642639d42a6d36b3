//go:build linux && amd64

package dap

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// inbox is the reader of a connection: it takes frames off and hands them on.
type inbox struct {
	messages chan arrival // closed when there will be no more
	cancels  cancellation
	err      error       // why; valid once messages is closed
	late     atomic.Bool // the first message did not come in time
}

// newInbox starts the reader goroutine. It ends when r fails or is closed, or
// at the first byte that is not DAP; drain waits for it.
func newInbox(r io.ReadCloser, firstMessage time.Duration) *inbox {
	in := &inbox{messages: make(chan arrival, lookAhead)}
	timer := time.AfterFunc(firstMessage, func() {
		in.late.Store(true)
		r.Close()
	})
	go func() {
		defer close(in.messages)
		defer timer.Stop()
		frames := newFrameReader(r)
		for {
			body, err := frames.next()
			if err != nil {
				in.err = err
				return
			}
			timer.Stop()
			in.messages <- in.cancels.note(body)
		}
	}()
	return in
}

// drain closes rwc and waits for the reader to end, throwing away what still
// comes. A TCP peer that was sent something moments ago is given up to grace
// to close first: closing with unread bytes in the receive buffer makes the
// kernel reset the connection, and the peer would lose the last messages.
func (in *inbox) drain(rwc io.ReadWriteCloser, grace time.Duration) {
	half, ok := rwc.(interface{ CloseWrite() error })
	if ok && half.CloseWrite() == nil {
		timer := time.AfterFunc(grace, func() { rwc.Close() })
		defer timer.Stop()
	} else {
		rwc.Close()
	}
	for range in.messages {
	}
	rwc.Close()
}

// failure is why the messages ended, nil for an orderly end. It may be called
// before they have.
func (in *inbox) failure() error {
	select {
	case _, ok := <-in.messages:
		if ok {
			return nil
		}
	default:
		return nil
	}
	switch {
	case in.late.Load():
		return errors.New("no DAP message came in time")
	case errors.Is(in.err, io.EOF), errors.Is(in.err, net.ErrClosed), errors.Is(in.err, io.ErrClosedPipe):
		return nil
	}
	return in.err
}
