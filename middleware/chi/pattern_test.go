package chi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
)

// TestPattern shows where a middleware has to stand for the pattern to be known
// when it runs: gate.EnterHTTP takes it from the request.
func TestPattern(t *testing.T) {
	seen := ""
	probe := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = r.Pattern
			next.ServeHTTP(w, r)
		})
	}
	handler := func(http.ResponseWriter, *http.Request) {}
	for _, where := range []struct {
		name  string
		build func(r chi.Router)
		want  string
	}{
		{"Use", func(r chi.Router) {
			r.Use(probe)
			r.Get("/api/orders/{id}", handler)
		}, ""},
		{"With", func(r chi.Router) { r.With(probe).Get("/api/orders/{id}", handler) }, "/api/orders/{id}"},
		{"Group", func(r chi.Router) {
			r.Group(func(r chi.Router) {
				r.Use(probe)
				r.Get("/api/orders/{id}", handler)
			})
		}, "/api/orders/{id}"},
		{"Use in a sub-router", func(r chi.Router) {
			r.Route("/api", func(r chi.Router) {
				r.Use(probe)
				r.Get("/orders/{id}", handler)
			})
		}, "/api/*"},
		{"With in a sub-router", func(r chi.Router) {
			r.Route("/api", func(r chi.Router) { r.With(probe).Get("/orders/{id}", handler) })
		}, "/api/orders/{id}"},
		{"around the handler", func(r chi.Router) {
			r.Method(http.MethodGet, "/api/orders/{id}", probe(http.HandlerFunc(handler)))
		}, "/api/orders/{id}"},
	} {
		t.Run(where.name, func(t *testing.T) {
			seen = "not called"
			r := chi.NewRouter()
			where.build(r)
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/orders/7", nil))
			if w.Code != http.StatusOK || seen != where.want {
				t.Errorf("status %d, the pattern is %q, want %q", w.Code, seen, where.want)
			}
		})
	}
}
