package frameworks_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware"
)

// TestOrderBearsBeingTrapped is how a service tests that its handlers bear what
// the gate does to a request: gatetest stands in for the agent.
func TestOrderBearsBeingTrapped(t *testing.T) {
	order := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "order ", r.PathValue("id")) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", order)

	// Requests of httptest.NewRequest come from 192.0.2.1:1234.
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: netip.MustParsePrefix("192.0.2.1/32")})
	w := httptest.NewRecorder()
	middleware.Handler(mux).ServeHTTP(w, httptest.NewRequest("GET", "/orders/7", nil))
	if w.Body.String() != "order 7" {
		t.Errorf("body %q", w.Body)
	}
	if n := agent.Counts().Matched; n != 1 {
		t.Errorf("%d requests were offered to the agent", n)
	}
}
