//go:build linux && amd64

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// bigSize is what is sent where some bytes are expected, and bigMemory what the
// agent may need for it.
const (
	bigSize   = 300 << 20
	bigMemory = 8 << 20
)

// bigMessages begin messages that do not end.
var bigMessages = []struct{ what, begin, more string }{
	{"header", "Content-Length: 10\r\nX-More: ", "x"},
	{"header lines", "Content-Length: 10\r\n", "X-More: of the same\r\n"},
	{"length", "Content-Length: ", "0"},
	{"body", fmt.Sprintf("Content-Length: %d\r\n\r\n", bigSize), "x"},
}

// sendBig sends a message of 300 MiB to the DAP port while another connection
// has a request frozen: it is cut off at the limit and costs no memory.
func sendBig(t *trial) error {
	m := bigMessages[t.number%len(bigMessages)]
	t.label = "300 MiB " + m.what
	t.counted(m.what)
	a, err := t.attach()
	if err != nil {
		return err
	}
	c, err := t.dial(a)
	if err != nil {
		return err
	}
	stop, err := t.freeze(c)
	if err != nil {
		return err
	}
	if err := resetPeak(a.PID); err != nil {
		return err
	}
	before, err := statusBytes(a.PID, "VmHWM")
	if err != nil {
		return err
	}
	taken, err := pour(a.Addr, m.begin, m.more)
	if err != nil {
		return err
	}
	peak, err := statusBytes(a.PID, "VmHWM")
	if err != nil {
		return err
	}
	t.largest("bytes taken before the connection was closed", taken)
	t.largest("bytes of memory more", peak-before)
	if peak-before > bigMemory {
		return fmt.Errorf("%s: the agent needed %d bytes more", t.label, peak-before)
	}
	h := t.latest()
	if !h.frozen() {
		return errors.New("the frozen request has gone on")
	}
	if err := c.Continue(stop.ThreadId); err != nil {
		return err
	}
	return t.released(a, h)
}

// pour writes until the connection is closed by the other side, and returns how
// much it took, the buffers of the kernel included.
func pour(addr, begin, more string) (taken int64, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte(begin)); err != nil {
		return 0, err
	}
	block := bytes.Repeat([]byte(more), (1<<20)/len(more))
	for taken < bigSize {
		n, err := conn.Write(block)
		taken += int64(n)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return taken, fmt.Errorf("after %d bytes the connection is open and nobody reads", taken)
		}
		if err != nil {
			return taken, nil
		}
	}
	return taken, fmt.Errorf("all %d bytes were taken", taken)
}
