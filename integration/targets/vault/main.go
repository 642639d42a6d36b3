// Command vault is an HTTP service that is full of secrets: the target of the
// tests that look for them at the other end of a debugger. It is built the ordinary
// way, optimised and without special flags.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

// seed makes the secrets of one run. Tests choose it and know them so.
var seed string

// planted is a secret that nothing but its place tells to be one.
func planted(place string) string {
	sum := sha256.Sum256([]byte(seed + "/" + place))
	return "v" + hex.EncodeToString(sum[:])[:23]
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	flag.StringVar(&seed, "seed", "vault", "what the secrets are made from")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	g, err := gate.New(gate.Config{})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	v := newVault()
	mux := http.NewServeMux()
	mux.HandleFunc("/transfer", v.transfer)
	mux.HandleFunc("/orders/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	srv := &http.Server{Handler: middleware.New(g)(mux), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	fmt.Printf("vault listening on %s\n", ln.Addr())
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
