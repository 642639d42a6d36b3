package main

import (
	"net/http"
	"sync"
)

// till is what only one request at a time may use.
type till struct {
	mu    sync.Mutex
	sales int
}

// registerLocked adds the route whose handler holds a lock that the others on
// the same route need: frozen inside, it is what a stall guard is for.
func registerLocked(mux *http.ServeMux) {
	t := new(till)
	mux.HandleFunc("GET /locked", t.locked)
}

func (t *till) locked(w http.ResponseWriter, _ *http.Request) {
	t.sell() //bp:locked-entry
	reply(w, http.StatusOK, map[string]bool{"sold": true})
}

//go:noinline
func (t *till) sell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sales++ //bp:locked-held
}
