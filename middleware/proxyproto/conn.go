package proxyproto

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Unknown is the RemoteAddr of connections whose client the proxy does not know.
// Its text is no address, so that it matches no rule.
var Unknown net.Addr = unknownAddr{}

type unknownAddr struct{}

func (unknownAddr) Network() string { return "tcp" }
func (unknownAddr) String() string  { return "unknown" }

// conn is a connection whose header has been taken off.
type conn struct {
	net.Conn
	remote net.Addr

	mu   sync.Mutex
	rest []byte // came with the header
}

// RemoteAddr is the client's address. LocalAddr stays that of this machine: it is
// what services bind and log, and the gate does not ask for it.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// NetConn returns the connection to the proxy, as the method of that name of
// tls.Conn does. Reading from it loses what came with the header.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	c.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return c.Conn.Read(p)
}

// ReadFrom is for sendfile(2), which net/http serves files with.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite is what net/http looks for to end a connection without losing the
// last response (net/http/server.go, closeWriteAndWait).
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
