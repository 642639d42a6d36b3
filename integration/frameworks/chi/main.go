// Command chi is an example service on chi, whose middlewares are net/http's: the
// gate is used inline, by With, so that the pattern is known when it is asked.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/frameworks/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	r := chi.NewRouter()
	r.Use(chimiddleware.Recoverer)
	r.With(middleware.New(new(gate.Gate))).Get("/orders/{id}", order)
	r.With(middleware.New(new(gate.Gate))).Get("/panics/{id}", unlucky)
	r.With(middleware.New(new(gate.Gate)), chimiddleware.Recoverer).Get("/inside/panics/{id}", unlucky)
	serve.Run(r)
}

// order answers with the price of an order.
func order(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(chi.URLParam(r, "id")) //bp:order-entry
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
	id := chi.URLParam(r, "id")
	panic(fmt.Errorf("order %s is unlucky", id)) //bp:unlucky
}
