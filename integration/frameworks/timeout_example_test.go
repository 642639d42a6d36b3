package frameworks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/remotedbg/remotedbg/middleware"
)

// The gate comes behind what moves the handler to another goroutine.
func Example_timeoutHandler() {
	order := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "order ", r.PathValue("id")) }

	mux := http.NewServeMux()
	gated := middleware.Handler(http.HandlerFunc(order))
	mux.Handle("GET /orders/{id}", http.TimeoutHandler(gated, 30*time.Second, "too late"))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	fmt.Println(w.Body)
	// Output: order 7
}
