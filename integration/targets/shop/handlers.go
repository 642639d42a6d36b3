package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

// api holds what the handlers need.
type api struct {
	gate    *gate.Gate
	service *service
}

// newMux returns the routes of the shop, without the gate's middleware.
func newMux(g *gate.Gate, s *service) *http.ServeMux {
	a := &api{gate: g, service: s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", a.order)
	mux.HandleFunc("GET /slow", a.slow)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /panic", a.panic)
	mux.HandleFunc("GET /spawn", a.spawn)
	mux.HandleFunc("GET /whoami", a.whoami)
	mux.HandleFunc("GET /steps", a.steps)
	mux.HandleFunc("GET /recursive", a.recursive)
	mux.HandleFunc("GET /spin", a.spin)
	mux.HandleFunc("GET /fan", fanOut)
	registerCalls(mux)
	registerLocked(mux)
	registerDrawer(mux)
	registerEnds(mux)
	registerWatched(mux)
	registerValues(mux)
	registerMemory(mux)
	registerLong(mux)
	return mux
}

// order answers with an order and its price.
func (a *api) order(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id")) //bp:order-entry
	if err != nil {
		fail(w, fmt.Errorf("order %q: %w", r.PathValue("id"), ErrBadID))
		return
	}
	order, err := a.service.Load(r.Context(), id)
	if err != nil {
		fail(w, err) //bp:order-missing
		return
	}
	attempts := len(order.Items) + 1 //bp:order-loaded
	label := "order-" + strconv.Itoa(id)
	quote := a.service.Price(order)                             //bp:order-price
	w.Header().Set("X-Order", label+"/"+strconv.Itoa(attempts)) //bp:order-priced
	reply(w, http.StatusOK, quote)
}

// slow answers after ms milliseconds, or when the client goes away.
func (a *api) slow(w http.ResponseWriter, r *http.Request) {
	ms, err := queryInt(r, "ms", 100)
	if err != nil {
		fail(w, err)
		return
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond) //bp:slow
	defer timer.Stop()
	select {
	case <-timer.C:
		reply(w, http.StatusOK, map[string]int{"slept_ms": ms}) //bp:slow-done
	case <-r.Context().Done():
	}
}

func (a *api) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") //bp:healthz
	fmt.Fprintln(w, "ok")
}

// panic panics with an error; net/http recovers and closes the connection.
func (a *api) panic(_ http.ResponseWriter, r *http.Request) {
	reason := "asked to by " + r.RemoteAddr //bp:panic
	panic(errors.New("shop: " + reason))
}

// spawn does its work in goroutines of its own.
func (a *api) spawn(w http.ResponseWriter, _ *http.Request) {
	var wg sync.WaitGroup
	results := make(chan int, 3)
	for worker := 1; worker <= 3; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			results <- square(worker) //bp:spawn-worker
		}()
	}
	wg.Wait() //bp:spawn-wait
	close(results)
	sum := 0
	for n := range results {
		sum += n
	}
	reply(w, http.StatusOK, map[string]int{"sum": sum}) //bp:spawn-done
}

//go:noinline
func square(n int) int {
	return n * n //bp:square
}

// whoami tells which address the gate takes the client for, and why.
func (a *api) whoami(w http.ResponseWriter, r *http.Request) {
	client := a.gate.Client(r)
	answer := map[string]string{"addr": "", "reason": client.Reason} //bp:whoami
	if client.Addr.IsValid() {
		answer["addr"] = client.Addr.String()
	}
	reply(w, http.StatusOK, answer)
}

// queryInt reads a query parameter that is a number from 0 to a million.
func queryInt(r *http.Request, name string, missing int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, fmt.Errorf("%s=%q: %w", name, text, ErrBadID)
	}
	return n, nil
}

// fail answers with the status that stands for err.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrBadID):
		status = http.StatusBadRequest
	}
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; there is nobody to tell
}
