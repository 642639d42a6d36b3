//go:build linux && amd64

package dap

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/google/go-dap"
)

// lookAhead is how many requests are read before the one before them is
// answered, to see a cancel that comes behind them.
const lookAhead = 16

// arrival is a message as it came.
type arrival struct {
	seq    int // 0 if it has none
	body   []byte
	leaves bool // it is a disconnect
}

// cancellation lets the reader of a connection withdraw requests that the
// connection's goroutine has not begun, and tell the running one to stop. All
// methods may be called from any goroutine.
type cancellation struct {
	mu        sync.Mutex
	waiting   map[int]bool // by seq: whether it is withdrawn
	running   int          // seq
	interrupt context.CancelFunc
	leaving   bool // a disconnect waits, or is being answered
}

// note enters a message that is about to wait, and carries out a cancel. A
// disconnect interrupts what runs and what waits before it, too: it must not wait
// for a function of the service that does not return.
func (c *cancellation) note(body []byte) arrival {
	var m struct {
		Seq       int             `json:"seq"`
		Command   string          `json:"command"`
		Arguments json.RawMessage `json:"arguments"`
	}
	_ = json.Unmarshal(body, &m) // dispatch says what is wrong with it
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[int]bool)
	}
	if m.Seq != 0 {
		c.waiting[m.Seq] = false
	}
	leaves := m.Command == "disconnect"
	c.leaving = c.leaving || leaves
	if leaves && c.interrupt != nil {
		c.interrupt()
	}
	var args dap.CancelArguments
	if m.Command == "cancel" && json.Unmarshal(m.Arguments, &args) == nil && args.RequestId != m.Seq {
		if _, waits := c.waiting[args.RequestId]; waits {
			c.waiting[args.RequestId] = true
		}
		if args.RequestId == c.running && c.interrupt != nil {
			c.interrupt()
		}
	}
	return arrival{m.Seq, body, leaves}
}

// begin makes a message the running one and tells whether it was withdrawn. The
// context ends when it is cancelled; end is to be called when it is answered.
func (c *cancellation) begin(ctx context.Context, a arrival) (_ context.Context, withdrawn bool, end func()) {
	ctx, stop := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	withdrawn = c.waiting[a.seq]
	delete(c.waiting, a.seq)
	c.running, c.interrupt = a.seq, stop
	if c.leaving && !a.leaves {
		stop()
	}
	return ctx, withdrawn, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		stop()
		c.running, c.interrupt = 0, nil
		if a.leaves {
			c.leaving = false // if it failed, the client stays
		}
	}
}

// receive answers a message, unless it was withdrawn before its turn: then that
// is the answer.
func (c *conn) receive(ctx context.Context, in *inbox, a arrival) {
	ctx, withdrawn, end := in.cancels.begin(ctx, a)
	defer end()
	if !withdrawn {
		c.dispatch(ctx, a.body)
		return
	}
	req, err := decode(a.body)
	if err == nil {
		err = kindCancelled.because(nil)
	}
	c.reply(req, nil, asFailure(err))
}

// cancel has been carried out when it is answered, as far as it can be: answers
// are in the order of the requests. One that runs is told to stop, and most
// are done before they could notice.
func (c *conn) cancel(_ context.Context, args dap.CancelArguments) (empty, error) {
	if args.ProgressId != "" {
		return empty{}, kindBadArguments.becauseOf("progressId: what takes long here reads debug information, and is not left half done")
	}
	return empty{}, nil
}
