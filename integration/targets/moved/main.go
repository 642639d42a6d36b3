// Command moved is a service whose handlers run on goroutines of their own: once
// outside of the middleware, as they should, and once inside of it.
package main

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

	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "moved:", err)
		os.Exit(1)
	}
	const limit = 10 * time.Second
	mux := http.NewServeMux()
	mux.Handle("/right", http.TimeoutHandler(middleware.Handler(http.HandlerFunc(work)), limit, "too late\n"))
	mux.Handle("/wrong", middleware.Handler(http.TimeoutHandler(http.HandlerFunc(work), limit, "too late\n")))
	mux.Handle("/orders/", middleware.Handler(http.HandlerFunc(work))) // as in the shop
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: limit}
	context.AfterFunc(ctx, func() { _ = srv.Shutdown(context.Background()) })
	fmt.Printf("moved listening on %s\n", ln.Addr())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "moved:", err)
		os.Exit(1)
	}
}

// work takes as long as ?ms= says.
func work(w http.ResponseWriter, r *http.Request) {
	if d, err := time.ParseDuration(r.URL.Query().Get("ms") + "ms"); err == nil {
		time.Sleep(d)
	}
	fmt.Fprintln(w, "done") //bp:moved-done
}
