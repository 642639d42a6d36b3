//go:build linux && amd64

package dap

import (
	"encoding/json"
	"io"
	"time"

	"github.com/google/go-dap"
)

// outQueue is how many messages may wait for the writer before the sender has
// to wait too. A stop makes about ten.
const outQueue = 64

// outbox is the one way out of a connection. send may be called by the
// connection's goroutine only, which makes the sequence numbers those of the
// order on the wire.
type outbox struct {
	w       io.WriteCloser
	timeout time.Duration
	queue   chan []byte
	broken  chan struct{} // closed when a write has failed: nothing gets out any more
	stopped chan struct{} // closed when the writer goroutine has ended
	seq     int
	clean   func(m message, body []byte) []byte // takes secrets out of a message; nil: there are none
}

// newOutbox starts the writer goroutine; close stops it.
func newOutbox(w io.WriteCloser, timeout time.Duration) *outbox {
	o := &outbox{
		w: w, timeout: timeout,
		queue:   make(chan []byte, outQueue),
		broken:  make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go o.run()
	return o
}

func (o *outbox) run() {
	defer close(o.stopped)
	for frame := range o.queue {
		// Closing is the one thing that ends a blocked write on every kind of
		// connection; SetWriteDeadline exists on sockets alone.
		timer := time.AfterFunc(o.timeout, func() { o.w.Close() })
		_, err := o.w.Write(frame)
		timer.Stop()
		if err != nil {
			close(o.broken)
			for range o.queue { // let send and close go on
			}
			return
		}
	}
}

// message is what can be given a place in the order: *response or *event.
type message interface{ number(seq int) }

// response is dap.Response with any body. (go-dap has a type a command, and
// omits false where it means something.)
type response struct {
	dap.Response
	Body any `json:"body,omitempty"`
}

// event is dap.Event with any body.
type event struct {
	dap.Event
	Body any `json:"body,omitempty"`
}

func (r *response) number(seq int) { r.Seq, r.Type = seq, "response" }
func (e *event) number(seq int)    { e.Seq, e.Type = seq, "event" }

// send queues m. It blocks while the queue is full, at most until the write
// timeout has broken the connection.
func (o *outbox) send(m message) {
	o.seq++
	m.number(o.seq)
	body, err := json.Marshal(m)
	if err != nil {
		// Bodies are plain structs of strings and numbers; if one ever is not,
		// the client must still get its one response.
		r, ok := m.(*response)
		if !ok {
			return
		}
		r.Success, r.Message = false, "remotedbg: cannot encode the response"
		r.Body = dap.ErrorResponseBody{Error: kindInternal.because(err).message()}
		if body, err = json.Marshal(r); err != nil {
			return
		}
	}
	if o.clean != nil {
		body = o.clean(m, body)
	}
	select {
	case <-o.broken:
	case o.queue <- appendFrame(body):
	}
}

// close waits until everything queued is written, or cannot be, and stops the
// writer. Nothing may be sent after it.
func (o *outbox) close() {
	close(o.queue)
	<-o.stopped
}
