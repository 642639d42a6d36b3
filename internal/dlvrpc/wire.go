//go:build linux && amd64

package dlvrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"sync"
	"time"
)

const (
	// maxMessage bounds what is read for one message: the decoder of
	// encoding/json keeps it all.
	maxMessage = 4 << 20
	// maxQueue is how many calls may wait for their turn before no more are
	// read.
	maxQueue = 64
	// maxWaiting is how many calls may wait for a stop or an event.
	maxWaiting = 16
	// goodbye is how long a client gets to close the connection by itself,
	// after the session has ended.
	goodbye = time.Second
)

// errTooLong ends a connection: there is no way to find the next message.
var errTooLong = fmt.Errorf("a message is longer than %d bytes", maxMessage)

// wire is one connection: messages in, messages out.
type wire struct {
	rwc     io.ReadWriteCloser
	in      *boundedReader
	codec   rpc.ServerCodec
	out     *cleanWriter // guarded by sending
	conn    *conn
	timeout time.Duration

	sending sync.Mutex
	broken  bool // a write has failed; guarded by sending

	waiting sync.WaitGroup
	slots   chan struct{} // one for each call that waits
}

func newWire(rwc io.ReadWriteCloser, timeout time.Duration) *wire {
	in := &boundedReader{r: rwc}
	out := &cleanWriter{Writer: rwc}
	return &wire{
		rwc: rwc, in: in, out: out, timeout: timeout,
		codec: jsonrpc.NewServerCodec(struct {
			io.Reader
			io.Writer
			io.Closer
		}{in, out, rwc}),
		slots: make(chan struct{}, maxWaiting),
	}
}

// boundedReader gives at most maxMessage bytes before it is granted more.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) grant() { b.left = maxMessage }

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// call is one message from the client.
type call struct {
	req    rpc.Request
	method *method
	arg    any   // pointer to what method takes
	err    error // why it cannot be carried out
}

// read takes messages off the connection until it fails or ctx is done. It only
// reads, so that a connection that ends is noticed whatever a call is at.
func (w *wire) read(ctx context.Context, calls chan<- *call) error {
	defer close(calls)
	for {
		w.in.grant()
		k := new(call)
		if err := w.codec.ReadRequestHeader(&k.req); err != nil {
			return err
		}
		k.method = methods[k.req.ServiceMethod]
		if k.method == nil {
			k.err = fmt.Errorf("remotedbg: unknown method %s: this is Delve's JSON-RPC API v2", k.req.ServiceMethod)
			if err := w.codec.ReadRequestBody(nil); err != nil {
				return err
			}
		} else {
			k.arg = k.method.newArg()
			if err := w.codec.ReadRequestBody(k.arg); err != nil {
				k.err = fmt.Errorf("remotedbg: %s: the arguments cannot be read: %w", k.req.ServiceMethod, err)
			}
		}
		select {
		case calls <- k:
		case <-ctx.Done():
			return nil
		}
	}
}

// serve carries out calls until the connection or the session ends.
func (w *wire) serve(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.conn, w.out.guard = c, c.guard()
	calls := make(chan *call, maxQueue)
	var readErr error
	var running sync.WaitGroup
	running.Go(func() {
		readErr = w.read(ctx, calls)
		// Frozen requests go on now, not when a call that is being carried out
		// is done.
		c.world.end("the connection has ended", false)
		c.close()
	})
	running.Go(c.pump)
	w.loop(ctx, c, calls)

	c.close()
	c.world.end("the session has ended", false)
	w.waiting.Wait()
	cancel()
	w.leave()
	running.Wait()
	if errors.Is(readErr, io.EOF) || errors.Is(readErr, net.ErrClosed) || errors.Is(readErr, io.ErrClosedPipe) {
		readErr = nil
	}
	if w.isBroken() {
		return fmt.Errorf("remotedbg: dlvrpc: write failed, or the client took nothing for %v", w.timeout)
	}
	if readErr != nil {
		return fmt.Errorf("remotedbg: dlvrpc: %w", readErr)
	}
	return nil
}

// loop takes one call after the other.
func (w *wire) loop(ctx context.Context, c *conn, calls <-chan *call) {
	for {
		select {
		case k, ok := <-calls:
			if !ok {
				return
			}
			w.carryOut(ctx, c, k)
			if c.detached {
				return
			}
		case <-c.world.ended:
			// What waits is told so; a client that asks once more as well.
			w.lastCalls(ctx, c, calls)
			return
		case <-ctx.Done():
			return
		}
	}
}

// lastCalls answers what comes within a moment of the end.
func (w *wire) lastCalls(ctx context.Context, c *conn, calls <-chan *call) {
	over := time.NewTimer(goodbye)
	defer over.Stop()
	for {
		select {
		case k, ok := <-calls:
			if !ok {
				return
			}
			w.carryOut(ctx, c, k)
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// carryOut answers k, at once or from a goroutine of its own if it waits.
func (w *wire) carryOut(ctx context.Context, c *conn, k *call) {
	if k.err != nil {
		if k.method == nil {
			c.recordUnknown(k.req.ServiceMethod, k.err)
		}
		w.answer(k, nil, k.err)
		return
	}
	reply := k.method.newReply()
	then, err := k.method.run(c, k.arg, reply)
	if err != nil || then == nil {
		w.answer(k, reply, err)
		return
	}
	select {
	case w.slots <- struct{}{}:
	default:
		w.answer(k, nil, fmt.Errorf("remotedbg: %s: %d calls wait already", k.req.ServiceMethod, maxWaiting))
		return
	}
	w.waiting.Go(func() {
		defer func() { <-w.slots }()
		w.answer(k, reply, guarded(c, k.req.ServiceMethod, func() error { return then(ctx) }))
	})
}

// answer sends the reply of a call.
func (w *wire) answer(k *call, reply any, err error) {
	resp := rpc.Response{ServiceMethod: k.req.ServiceMethod, Seq: k.req.Seq}
	if err != nil {
		resp.Error, reply = err.Error(), struct{}{}
	}
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.broken {
		return
	}
	w.out.data, w.out.raw = !programs[k.req.ServiceMethod], k.req.ServiceMethod == "RPCServer.ExamineMemory" && err == nil
	if err == nil {
		w.conn.hide(reply)
	}
	// Closing is the one thing that ends a blocked write on every kind of
	// connection.
	timer := time.AfterFunc(w.timeout, func() { w.rwc.Close() })
	defer timer.Stop()
	if err := w.codec.WriteResponse(&resp, reply); err != nil {
		w.broken = true
		w.rwc.Close()
	}
}

func (w *wire) isBroken() bool {
	w.sending.Lock()
	defer w.sending.Unlock()
	return w.broken
}

// leave closes the connection, but lets the client do so first if it can:
// closing with unread bytes makes the kernel reset it, and the client would lose
// the last answer.
func (w *wire) leave() {
	half, ok := w.rwc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		w.rwc.Close()
		return
	}
	time.AfterFunc(goodbye, func() { w.rwc.Close() })
}
