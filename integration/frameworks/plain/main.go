// Command plain is an example service on net/http alone: the gate around one
// http.HandlerFunc, inside of http.ServeMux.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/remotedbg/remotedbg/integration/frameworks/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("GET /orders/{id}", middleware.Handler(http.HandlerFunc(order)))
	// Both orders of the gate and what runs the handler in another goroutine.
	inside := http.TimeoutHandler(middleware.Handler(http.HandlerFunc(order)), time.Minute, "too late")
	mux.Handle("GET /inside/{id}", inside)
	outside := middleware.Handler(http.TimeoutHandler(http.HandlerFunc(order), time.Minute, "too late"))
	mux.Handle("GET /outside/{id}", outside)
	mux.Handle("GET /panics/{id}", middleware.Handler(http.HandlerFunc(unlucky)))
	serve.Run(mux)
}

// order answers with the price of an order.
func order(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id")) //bp:order-entry
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	total := price(id)                                                            //bp:order-price
	_ = json.NewEncoder(w).Encode(map[string]int{"id": id, "total_cents": total}) //bp:order-priced
}

//go:noinline
func price(id int) int {
	return id*100 + 99 //bp:price
}

// unlucky panics with an error of its own.
func unlucky(_ http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	panic(fmt.Errorf("order %s is unlucky", id)) //bp:unlucky
}
