package adaptertest_test

import (
	"net/http"
	"testing"

	"github.com/remotedbg/remotedbg/middleware"
	"github.com/remotedbg/remotedbg/middleware/adaptertest"
)

// handlerFunc is net/http without a framework: the gate around one
// http.HandlerFunc, in a mux.
var handlerFunc = adaptertest.Framework{Build: func(s adaptertest.Setup) http.Handler {
	var h http.Handler = s.Handler
	switch {
	case s.Idle:
		h = idle(h)
	case !s.Bare:
		h = middleware.New(s.Gate)(h)
	}
	mux := http.NewServeMux()
	mux.Handle("/orders/{id}", h)
	return mux
}}

// serverHandler has the gate around the whole mux.
var serverHandler = adaptertest.Framework{Build: func(s adaptertest.Setup) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/orders/{id}", s.Handler)
	switch {
	case s.Idle:
		return idle(mux)
	case s.Bare:
		return mux
	default:
		return middleware.New(s.Gate)(mux)
	}
}}

func idle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

func TestHandlerFunc(t *testing.T)   { adaptertest.Test(t, handlerFunc) }
func TestServerHandler(t *testing.T) { adaptertest.Test(t, serverHandler) }

func BenchmarkOverhead(b *testing.B) { adaptertest.BenchmarkOverhead(b, handlerFunc) }
