//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// The faults in this file are the IDE's: its connection ends in every way, or
// it sends more than anybody should.

// ideFault is what an IDE does while a request is frozen. within is how soon
// the request must go on then; 0: it stays frozen.
type ideFault struct {
	what   string
	within time.Duration
	do     func(t *trial, w *wire, c *daptest.Client, thread int) error
}

var ideFaults = []ideFault{
	{"FIN", 2 * time.Second, func(_ *trial, w *wire, _ *daptest.Client, _ int) error { return w.Close() }},
	{"RST", 2 * time.Second, func(_ *trial, w *wire, _ *daptest.Client, _ int) error { return w.reset() }},
	{"black hole", 10 * time.Second, func(_ *trial, w *wire, _ *daptest.Client, _ int) error { return w.vanish() }},
	{"stops reading", 10 * time.Second, stopReading},
	{"floods", 0, flood},
}

// loseIDE freezes a request and does what an IDE should not.
func loseIDE(t *trial) error {
	f := ideFaults[t.number%len(ideFaults)]
	t.label = f.what
	t.counted(f.what)
	a, err := t.attach()
	if err != nil {
		return err
	}
	w, err := dialWire(a.Addr)
	if err != nil {
		return err
	}
	c := daptest.New(w)
	c.Timeout = 20 * time.Second
	t.ides = append(t.ides, c)
	stop, err := t.freeze(c)
	if err != nil {
		return err
	}
	pause(t.between(0, 500*time.Millisecond))
	h := t.latest()
	began := time.Now()
	if err := f.do(t, w, c, stop.ThreadId); err != nil {
		return err
	}
	if f.within == 0 {
		if !h.frozen() {
			return errors.New("the frozen request has gone on")
		}
		if err := c.Continue(stop.ThreadId); err != nil {
			return err
		}
		return t.released(a, h)
	}
	select {
	case <-h.over:
	case <-time.After(f.within + 5*time.Second):
		return fmt.Errorf("the request is still frozen %v after: %s", time.Since(began).Round(time.Second), f.what)
	}
	took := h.at.Sub(began)
	t.measured(f.what+": the request went on after", took)
	if took > f.within {
		return fmt.Errorf("the request went on after %v: %s", took, f.what)
	}
	return t.released(a, h)
}

// keepSilent has an IDE say nothing while its connection is in order: a person
// who thinks, or a relay that has stopped relaying and still acknowledges. The
// agent cannot tell them apart, so it is the budget that ends it.
func keepSilent(t *trial) error {
	const budget, slack = 3 * time.Second, time.Second
	t.label = "silent"
	a, err := t.attach("--max-hold", budget.String())
	if err != nil {
		return err
	}
	c, err := t.dial(a)
	if err != nil {
		return err
	}
	if _, err := t.freeze(c); err != nil {
		return err
	}
	t.strike()
	h := t.latest()
	select {
	case <-h.over:
	case <-time.After(budget + slack):
		return fmt.Errorf("the request is still frozen after %v", budget+slack)
	}
	if took := h.at.Sub(t.fault); took < budget-slack {
		return fmt.Errorf("the request went on after %v already", took)
	}
	if _, err := c.WaitOutput("--max-hold"); err != nil {
		return fmt.Errorf("the IDE was not told: %w", err)
	}
	return t.released(a, h)
}

// released ends an agent that has to be alive, in good order.
func (t *trial) released(a *harness.Agent, h *held) error {
	select {
	case <-h.over:
	case <-time.After(answerTimeout):
		return errors.New("the continued request was not answered")
	}
	if !a.Running() {
		return errors.New("the agent has ended")
	}
	if code, err := a.Stop(termination, endTimeout); err != nil || code != 0 {
		return fmt.Errorf("the agent ended with %d: %w", code, err)
	}
	return nil
}

// wire is an IDE's connection, which can go wrong.
type wire struct {
	*net.TCPConn
	deaf   atomic.Bool
	closed chan struct{}
}

func dialWire(addr string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{TCPConn: conn.(*net.TCPConn), closed: make(chan struct{})}, nil
}

// Read does not return any more once the wire is deaf.
func (w *wire) Read(p []byte) (int, error) {
	if w.deaf.Load() {
		<-w.closed
		return 0, io.EOF
	}
	return w.TCPConn.Read(p)
}

// Close closes the connection, which sends a FIN.
func (w *wire) Close() error {
	select {
	case <-w.closed:
		return nil
	default:
		close(w.closed)
		return w.TCPConn.Close()
	}
}

// reset closes the connection with an RST: socket(7), SO_LINGER.
func (w *wire) reset() error {
	if err := w.SetLinger(0); err != nil {
		return err
	}
	return w.Close()
}

// vanish has the kernel drop every packet that comes in for the connection,
// keepalive probes and acknowledgements included, as when a laptop is closed: a
// socket filter that accepts nothing, see socket(7), SO_ATTACH_FILTER. A relay
// that stops relaying would not do: it goes on acknowledging.
func (w *wire) vanish() error {
	raw, err := w.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		nothing := syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K, K: 0}
		program := syscall.SockFprog{Len: 1, Filter: &nothing}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER,
			uintptr(unsafe.Pointer(&program)), unsafe.Sizeof(program), 0)
		failed = os.NewSyscallError("attach a filter", errnoErr(errno))
	})
	return errors.Join(err, failed)
}

// stopReading stops reading and goes on asking, until the agent takes no more.
func stopReading(t *trial, w *wire, c *daptest.Client, thread int) error {
	w.deaf.Store(true)
	for range 100_000 {
		_ = w.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Start("stackTrace", dap.StackTraceArguments{ThreadId: thread}); err != nil {
			return nil // its buffers are full, or it has hung up
		}
	}
	return errors.New("the agent takes requests without end from an IDE that does not read")
}

// flood sends 10,000 requests without waiting for the answers, all of which
// have to come.
func flood(_ *trial, _ *wire, c *daptest.Client, thread int) error {
	const requests = 10_000
	waits := make([]func() (dap.ResponseMessage, error), 0, requests)
	for i := range requests {
		command, args := "threads", any(nil)
		if i%2 == 0 {
			command, args = "stackTrace", dap.StackTraceArguments{ThreadId: thread, Levels: 3}
		}
		wait, err := c.Start(command, args)
		if err != nil {
			return fmt.Errorf("request %d of the flood: %w", i, err)
		}
		waits = append(waits, wait)
	}
	for i, wait := range waits {
		if _, err := wait(); err != nil {
			return fmt.Errorf("answer %d of the flood: %w", i, err)
		}
	}
	return nil
}
