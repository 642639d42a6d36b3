// Command goroutines is a service whose handlers start goroutines in every way that
// Go has, and in some that are rather hard on a debugger. What each answers is the
// same whether its goroutines are followed or not.
package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	mux := http.NewServeMux()
	for name, f := range cases {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.FormValue("n"))
			if err != nil || n < 0 || n > 10_000 {
				http.Error(w, "n must be a number up to 10000", http.StatusBadRequest)
				return
			}
			fmt.Fprintln(w, name, f(n))
		})
	}
	mux.HandleFunc("/orders/", func(http.ResponseWriter, *http.Request) {}) // as in the shop
	mux.HandleFunc("/counter", needCounter)
	mux.HandleFunc("/lock", needLock)
	mux.HandleFunc("/locktoo", needLock)
	mux.HandleFunc("/all", all)
	mux.HandleFunc("/watched", watched)
	mux.HandleFunc("/cancelled", cancelled)
	mux.HandleFunc("/worked", worked)
	mux.HandleFunc("/dies", dies)
	mux.HandleFunc("/wish", wish)
	serve.Main("goroutines", &http.Server{Handler: middleware.New(new(gate.Gate))(mux)})
}
