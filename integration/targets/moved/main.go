// Command moved is a service whose handlers run on goroutines of their own: once
// outside of the middleware, as they should, and once inside of it.
package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	const limit = 10 * time.Second
	mux := http.NewServeMux()
	mux.Handle("/right", http.TimeoutHandler(middleware.Handler(http.HandlerFunc(work)), limit, "too late\n"))
	mux.Handle("/wrong", middleware.Handler(http.TimeoutHandler(http.HandlerFunc(work), limit, "too late\n")))
	mux.Handle("/orders/", middleware.Handler(http.HandlerFunc(work))) // as in the shop
	serve.Main("moved", &http.Server{Handler: mux})
}

// work takes as long as ?ms= says.
func work(w http.ResponseWriter, r *http.Request) {
	if d, err := time.ParseDuration(r.URL.Query().Get("ms") + "ms"); err == nil {
		time.Sleep(d)
	}
	fmt.Fprintln(w, "done") //bp:moved-done
}
