package chi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

// The middleware of net/http is chi's, too. Among those of the router it sees all
// of a request, but not yet its pattern.
func Example() {
	r := chi.NewRouter()
	r.Use(middleware.New(new(gate.Gate)), chimiddleware.Recoverer)
	r.Get("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "order ", chi.URLParam(r, "id"))
	})

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Body)
	// Output: order 7
}

// Inline it comes behind the routing, and threads are named after the pattern.
func Example_with() {
	order := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "order ", chi.URLParam(r, "id"), " by ", r.Pattern)
	}

	r := chi.NewRouter()
	r.Use(chimiddleware.Recoverer)
	r.Group(func(r chi.Router) {
		r.Use(middleware.New(new(gate.Gate)))
		r.Get("/orders/{id}", order)
	})

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Body)
	// Output: order 7 by /orders/{id}
}
