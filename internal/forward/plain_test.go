package forward

import (
	"context"
	"net"
)

// plainRoute is TCP without anything, for tests of what lies above.
type plainRoute struct{ addr string }

func (r *plainRoute) Prepare(context.Context) (string, error) { return "", nil }
func (r *plainRoute) Close() error                            { return nil }
func (r *plainRoute) String() string                          { return r.addr }
func (r *plainRoute) Dial(ctx context.Context) (net.Conn, error) {
	return dialTCP(ctx, r.addr)
}
