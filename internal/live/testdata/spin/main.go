// Command spin is a service with handlers that only compute: what the shop's
// do not. It announces itself as the shop does.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/remotedbg/remotedbg/gate"
)

var stopped atomic.Bool

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "spin:", err)
		os.Exit(1)
	}
}

func serve() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g, err := gate.New(gate.Config{})
	if err != nil {
		return err
	}
	gated := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ticket := g.EnterHTTP(r, "")
			defer ticket.Leave()
			f(w, r)
		}
	}
	http.HandleFunc("/spin", gated(spin))
	http.HandleFunc("/nil", gated(nilPointer))
	http.HandleFunc("/collect", func(http.ResponseWriter, *http.Request) { runtime.GC() })
	http.HandleFunc("/stop", func(http.ResponseWriter, *http.Request) { stopped.Store(true) })
	fmt.Printf("spin listening on %s\n", ln.Addr())
	return http.Serve(ln, nil)
}

// spin computes until /stop was called.
func spin(w http.ResponseWriter, _ *http.Request) {
	n := uint64(1)
	for !stopped.Load() {
		n = n*6364136223846793005 + 1442695040888963407
	}
	fmt.Fprintln(w, n) //bp:spun
}

// nilPointer raises a fault, which it recovers from, in the same function.
func nilPointer(w http.ResponseWriter, r *http.Request) {
	var p *int
	if r.URL.RawQuery != "" {
		p = new(int)
	}
	defer func() {
		fmt.Fprintln(w, recover()) //bp:recovered
	}()
	fmt.Fprintln(w, load(p)) //bp:nil
}

//go:noinline
func load(p *int) int {
	return *p //bp:load
}
