// Package serve is what the target services have in common: how they listen, say
// so, and end.
package serve

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Addr is the flag -addr.
var Addr = flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")

// Main serves srv on the address that the flag -addr names until SIGTERM or SIGINT,
// and ends the process with 1 on an error. What listens is said on stdout, as "NAME
// listening on ADDRESS". It parses the flags if nobody has.
func Main(name string, srv *http.Server) {
	if !flag.Parsed() {
		flag.Parse()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := Run(ctx, name, *Addr, srv); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Run serves srv on addr until ctx is done, and says what listens. It lets the requests
// in flight finish for at most five seconds.
func Run(ctx context.Context, name, addr string, srv *http.Server) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv.ReadHeaderTimeout = 10 * time.Second
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	fmt.Printf("%s listening on %s\n", name, ln.Addr())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
