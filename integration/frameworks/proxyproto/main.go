// Command proxyproto is an example service behind a proxy that speaks the PROXY
// protocol and connects from 127.0.0.3.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/middleware"
	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// run lets the requests in flight finish for at most five seconds.
func run(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	proxied, err := proxyproto.Listen(ln, []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", order)
	srv := &http.Server{
		Handler:           middleware.Handler(mux),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      2 * time.Second, // a frozen request must outlive it
	}
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(grace)
	})
	fmt.Printf("shop listening on %s\n", ln.Addr())
	if err := srv.Serve(proxied); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// order answers with the price of an order and the client's address.
func order(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	total := price(id)                              //bp:order-price
	fmt.Fprintln(w, id, total, "for", r.RemoteAddr) //bp:order-priced
}

//go:noinline
func price(id int) int {
	return id*100 + 99
}
