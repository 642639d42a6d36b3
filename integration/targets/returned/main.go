// Command returned is a service whose functions return errors, each in its own
// way, and pass them on.
package main

import (
	"fmt"
	"net/http"

	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	serve.Main("returned", &http.Server{Handler: middleware.Handler(routes())})
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/orders/", func(w http.ResponseWriter, r *http.Request) { answer(w, fine(r.URL.Path)) }) // as in the shop
	for name, f := range kinds {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) { answer(w, f(r.URL.Query().Get("v"))) })
	}
	return mux
}

// answer says what became of it.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "failed: "+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "done")
}
