//go:build linux && amd64

package adaptertest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// testRecorder serves requests without a server, as tests of handlers do. Those
// of httptest.NewRequest come from 192.0.2.1:1234.
func testRecorder(t *testing.T, f Framework) {
	boom := errors.New("boom")
	for _, h := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Order", "7")
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, r.Method)
		}},
		{"flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }},
		{"panic", func(http.ResponseWriter, *http.Request) { panic(boom) }},
	} {
		t.Run(h.name, func(t *testing.T) {
			bare := serveRecorded(f.Build(Setup{Handler: h.handler, Bare: true}), boom)
			for _, m := range modes {
				t.Run(m.name, func(t *testing.T) {
					seen := new(threads)
					server := f.Build(Setup{Handler: seen.note(h.handler), Gate: m.gate})
					if m.trapped {
						m.rules = []gatetest.Rule{httptestPeer}
					}
					agent := m.arm(t)
					got := ""
					inTime(t, agent, func() { got = serveRecorded(server, boom) })
					if got != bare {
						t.Errorf("recorded:\n%s\nwithout the adapter:\n%s", got, bare)
					}
					seen.check(t, agent, m.trapped)
				})
			}
		})
	}
}

// serveRecorded is what a recorder holds afterwards, whether it was flushed, and
// whether the handler's own panic came out.
func serveRecorded(h http.Handler, boom error) (text string) {
	w := httptest.NewRecorder()
	defer func() {
		p := recover()
		text = fmt.Sprintf("%sflushed %t, panicked %t, with the value %t\n",
			record(w.Result(), nil), w.Flushed, p != nil, p == any(boom))
	}()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return ""
}
