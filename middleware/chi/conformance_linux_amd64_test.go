package chi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/remotedbg/remotedbg/middleware"
	"github.com/remotedbg/remotedbg/middleware/adaptertest"
)

// used has the gate among the middlewares of the router, which run before it
// looks for the route.
var used = adaptertest.Framework{Recovers: true, Build: func(s adaptertest.Setup) http.Handler {
	r := chi.NewRouter()
	r.Use(stack(s)...)
	r.Get("/orders/{id}", s.Handler)
	r.Post("/orders/{id}", s.Handler)
	return r
}}

// inline has it next to the handler: With.
var inline = adaptertest.Framework{Recovers: true, Build: func(s adaptertest.Setup) http.Handler {
	r := chi.NewRouter()
	r.With(stack(s)...).Get("/orders/{id}", s.Handler)
	r.With(stack(s)...).Post("/orders/{id}", s.Handler)
	return r
}}

// stack is the middlewares, outermost first.
func stack(s adaptertest.Setup) []func(http.Handler) http.Handler {
	var all []func(http.Handler) http.Handler
	if s.Recovery == adaptertest.RecoveryOutside {
		all = append(all, silence, chimiddleware.Recoverer)
	}
	switch {
	case s.Idle:
		all = append(all, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
		})
	case !s.Bare:
		all = append(all, middleware.New(s.Gate))
	}
	if s.Recovery == adaptertest.RecoveryInside {
		all = append(all, silence, chimiddleware.Recoverer)
	}
	return all
}

// silence keeps the recovery from printing panics, which are on purpose.
func silence(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, chimiddleware.WithLogEntry(r, silent{}))
	})
}

type silent struct{}

func (silent) Write(int, int, http.Header, time.Duration, any) {}
func (silent) Panic(any, []byte)                               {}

func TestUse(t *testing.T)  { adaptertest.Test(t, used) }
func TestWith(t *testing.T) { adaptertest.Test(t, inline) }

func BenchmarkOverhead(b *testing.B) { adaptertest.BenchmarkOverhead(b, inline) }
