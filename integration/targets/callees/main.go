// Command callees is the target of the tests of function calls: a service behind
// remotedbg's middleware with functions and methods of every kind of argument
// and result. It is built the ordinary way, optimised.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "`address` to listen on")
	gcEvery := flag.Duration("gc", 0, "run the garbage collector at this `interval`")
	flag.Parse()
	g, err := gate.New(gate.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "callees:", err)
		os.Exit(2)
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "callees:", err)
		os.Exit(1)
	}
	if *gcEvery > 0 {
		go func() {
			for range time.Tick(*gcEvery) {
				runtime.GC()
			}
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /work", work)
	mux.HandleFunc("GET /other", other)
	fmt.Printf("callees listening on %s\n", ln.Addr())
	fmt.Fprintln(os.Stderr, "callees:", http.Serve(ln, middleware.New(g)(mux)))
	os.Exit(1)
}
