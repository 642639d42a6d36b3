// Command shop is an example HTTP service behind remotedbg's middleware: the
// target of the integration tests and of the demo. It is built the ordinary
// way, optimised and without special flags.
//
// Lines that tests set breakpoints on carry a trailing comment //bp:NAME.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	gcEvery := flag.Duration("gc", 0, "run the garbage collector at this `interval`; 0 leaves it to the runtime")
	proxies := flag.String("trusted-proxies", "", "`prefixes` of the proxies whose -client-ip-header is believed, with commas between them")
	header := flag.String("client-ip-header", "", "`name` of the header in which they send the client's address: X-Forwarded-For, Forwarded, or one with a single address; without it the client is the peer")
	flag.Parse()
	g, err := newGate(*proxies, *header)
	if err != nil {
		for _, mistake := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(os.Stderr, "shop:", mistake)
		}
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, g, *serve.Addr, *gcEvery); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done, then lets the requests in flight finish for at
// most five seconds.
func run(ctx context.Context, g *gate.Gate, addr string, gcEvery time.Duration) error {
	srv := &http.Server{
		Handler:      middleware.New(g)(newMux(g, newService(newStore()))),
		WriteTimeout: 20 * time.Second, // a frozen request must outlive it
	}
	if gcEvery > 0 {
		go collectGarbage(ctx, gcEvery)
	}
	return serve.Run(ctx, "shop", addr, srv)
}

// collectGarbage makes the collector run as often as it would in a service that
// allocates much, so that tests see what it does to a frozen request.
func collectGarbage(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			runtime.GC()
		}
	}
}
