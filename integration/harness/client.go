//go:build linux

package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxBody bounds what is read of a response.
const maxBody = 1 << 20

// Client sends requests from one source address.
type Client struct {
	HTTP *http.Client
	base string
}

// NewClient makes a client of the service at base that comes from a loopback
// address and keeps up to conns connections.
func NewClient(base, from string, conns int) *Client {
	dialer := &net.Dialer{
		Timeout:   5 * time.Second,
		LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)},
	}
	return &Client{
		base: base,
		HTTP: &http.Client{Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConns: conns, MaxIdleConnsPerHost: conns,
			DisableCompression: true,
		}},
	}
}

// Reply is what a request came to.
type Reply struct {
	Status int
	Body   string
	Err    error
}

// Get sends a request and waits for all of the response.
func (c *Client) Get(ctx context.Context, path string) Reply {
	return c.Send(ctx, http.MethodGet, path, nil)
}

// Send is Get with a method and headers.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header) Reply {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return Reply{Err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Reply{Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return Reply{Status: resp.StatusCode, Body: string(body), Err: err}
}

// All sends n requests one after the other and fails at the first that is not
// answered with 200.
func (c *Client) All(n int, path string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for i := range n {
		if r := c.Get(ctx, path); r.Err != nil || r.Status != http.StatusOK {
			return fmt.Errorf("harness: request %d of %d: status %d, %w, %q", i+1, n, r.Status, r.Err, r.Body)
		}
	}
	return nil
}

// Close closes idle connections.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }
