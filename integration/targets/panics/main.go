// Command panics is a service whose handlers panic, each in its own way, and in
// front of them what recovers them, or does not.
package main

import (
	"fmt"
	"net/http"

	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	serve.Main("panics", &http.Server{Handler: routes()})
}

// routes has every kind of panic below each way to recover it.
func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/orders/", middleware.Handler(http.HandlerFunc(order))) // as in the shop
	for _, way := range []struct {
		prefix string
		wrap   func(http.Handler) http.Handler
	}{
		{"/bare/", middleware.Handler}, // net/http recovers it
		{"/recovered/", func(h http.Handler) http.Handler { return middleware.Handler(recoverer(h)) }},
		{"/outside/", func(h http.Handler) http.Handler { return recoverer(middleware.Handler(h)) }},
		{"/again/", func(h http.Handler) http.Handler { return middleware.Handler(recoverer(again(h))) }},
		{"/unrecovered/", func(h http.Handler) http.Handler { return apart(middleware.Handler(h)) }},
		{"/apart/", func(h http.Handler) http.Handler { return apart(middleware.Handler(recoverer(h))) }},
	} {
		for name, h := range kinds {
			mux.Handle(way.prefix+name, way.wrap(h))
		}
	}
	return mux
}

func order(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "done") //bp:order
}

// recoverer answers a panic with status 500 and what it was.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover() //bp:recover
			if v == nil {
				return
			}
			http.Error(w, fmt.Sprint("recovered: ", v), http.StatusInternalServerError) //bp:recovered
		}()
		next.ServeHTTP(w, r) //bp:next-handler
	}) //bp:recoverer-end
}

// again panics again with what it recovers.
func again(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				panic(v) //bp:again
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// apart runs the handler on a goroutine where nothing recovers.
func apart(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		go func() {
			next.ServeHTTP(w, r)
			close(done) // not deferred: nothing may answer before the process ends
		}()
		<-done
	})
}
