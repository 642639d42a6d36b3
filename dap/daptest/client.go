package daptest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/google/go-dap"
)

// Client is a connection to a DAP server.
type Client struct {
	// Timeout bounds every wait: for a response, for an event and for a write
	// on a connection that has deadlines. Set it before the first call; New
	// and Dial make it 10 s.
	Timeout time.Duration

	conn io.ReadWriteCloser
	done chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	writeMu sync.Mutex
	seq     int
	waiting map[int]chan dap.ResponseMessage
	events  []dap.EventMessage
	changed chan struct{} // closed, and made anew, when events grows or err is set
	err     error         // why the reader ended
}

// ErrClosed is wrapped by what is returned once the connection has ended.
var ErrClosed = errors.New("the DAP connection is closed")

// ErrTimeout is wrapped by what is returned when Timeout has passed.
var ErrTimeout = errors.New("timed out")

// ResponseError is a response with success:false.
type ResponseError struct {
	Command string
	ID      int    // of the error, unique a cause; 0 if the server gave none
	Message string // for a person
	Show    bool   // the server wants it shown to the user
}

func (e *ResponseError) Error() string { return fmt.Sprintf("%s: %s", e.Command, e.Message) }

// Dial connects to a server on TCP.
func Dial(addr string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("daptest: %w", err)
	}
	return New(conn), nil
}

// New makes a client of a connection, which it owns from then on.
func New(conn io.ReadWriteCloser) *Client {
	c := &Client{
		Timeout: 10 * time.Second,
		conn:    conn,
		done:    make(chan struct{}),
		waiting: make(map[int]chan dap.ResponseMessage),
		changed: make(chan struct{}),
	}
	go c.read()
	return c
}

// Close closes the connection, without a disconnect request, and waits for the
// reader to end.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

// Done is closed when the connection has ended, from either side.
func (c *Client) Done() <-chan struct{} { return c.done }

func (c *Client) read() {
	defer close(c.done)
	r := bufio.NewReader(c.conn)
	for {
		m, err := next(r)
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.wake()
			c.mu.Unlock()
			return
		}
		c.take(m)
	}
}

// next reads a message. One that go-dap has no type for, such as an event of
// a later protocol, is skipped.
func next(r *bufio.Reader) (dap.Message, error) {
	for {
		m, err := readMessage(r)
		var unknown *dap.DecodeProtocolMessageFieldError
		if errors.As(err, &unknown) {
			continue
		}
		return m, err
	}
}

func (c *Client) take(m dap.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := m.(type) {
	case dap.ResponseMessage:
		seq := m.GetResponse().RequestSeq
		if ch := c.waiting[seq]; ch != nil {
			delete(c.waiting, seq)
			ch <- m // has room for one, and there is only one
		}
	case dap.EventMessage:
		c.events = append(c.events, m)
		c.wake()
	}
}

// wake lets every waiting goroutine look again. c.mu is held.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// envelope is a request with any arguments.
type envelope struct {
	Seq       int    `json:"seq"`
	Type      string `json:"type"`
	Command   string `json:"command"`
	Arguments any    `json:"arguments,omitempty"`
}

// Do sends a request of any command and waits for its response. A response
// with success:false is a *ResponseError.
func (c *Client) Do(command string, arguments any) (dap.ResponseMessage, error) {
	wait, err := c.Start(command, arguments)
	if err != nil {
		return nil, err
	}
	return wait()
}

// Start sends a request and returns at once; wait waits for its response as Do
// does.
func (c *Client) Start(command string, arguments any) (wait func() (dap.ResponseMessage, error), err error) {
	ch := make(chan dap.ResponseMessage, 1)
	c.mu.Lock()
	c.seq++
	seq := c.seq
	c.waiting[seq] = ch
	c.mu.Unlock()

	body, err := json.Marshal(envelope{seq, "request", command, arguments})
	if err == nil {
		err = c.Raw([]byte(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)))
	}
	if err != nil {
		c.forget(seq)
		return nil, fmt.Errorf("daptest: %s: %w", command, err)
	}
	return func() (dap.ResponseMessage, error) { return c.response(command, seq, ch) }, nil
}

func (c *Client) forget(seq int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, seq)
}

func (c *Client) response(command string, seq int, ch chan dap.ResponseMessage) (dap.ResponseMessage, error) {
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	select {
	case m := <-ch:
		return check(command, m)
	case <-c.done:
		select { // the response may have been the last thing that came
		case m := <-ch:
			return check(command, m)
		default:
		}
		return nil, fmt.Errorf("daptest: %s: %w (%v)", command, ErrClosed, c.err)
	case <-timer.C:
		c.forget(seq)
		return nil, fmt.Errorf("daptest: %s: no response: %w after %v", command, ErrTimeout, c.Timeout)
	}
}

func check(command string, m dap.ResponseMessage) (dap.ResponseMessage, error) {
	r := m.GetResponse()
	if r.Success {
		return m, nil
	}
	e := &ResponseError{Command: command, Message: r.Message}
	if er, ok := m.(*dap.ErrorResponse); ok && er.Body.Error != nil {
		e.ID, e.Show = er.Body.Error.Id, er.Body.Error.ShowUser
		if er.Body.Error.Format != "" {
			e.Message = er.Body.Error.Format
		}
	}
	return nil, e
}

// Raw writes bytes as they are, for tests of what a broken client does.
func (c *Client) Raw(b []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if d, ok := c.conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		if err := d.SetWriteDeadline(time.Now().Add(c.Timeout)); err != nil {
			return err
		}
	}
	_, err := c.conn.Write(b)
	return err
}
