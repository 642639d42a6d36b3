//go:build linux && amd64

package frameworks_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestFreeze freezes one request in a server of each framework that runs on
// net/http, looks at it, steps it in the handler and lets it finish.
func TestFreeze(t *testing.T) {
	for _, s := range []struct {
		folder, route string
		callers       []string // above the handler, innermost first
	}{
		{"plain", "/orders/{id}", []string{"middleware.(*handler).serveArmed", "http.(*ServeMux).ServeHTTP"}},
		{"chi", "/orders/{id}", []string{"middleware.(*handler).serveArmed", "v5.(*Mux).ServeHTTP"}},
		{"gin", "/orders/:id", []string{"gin.serveArmed", "gin.(*Engine).ServeHTTP"}},
		{"echo", "/orders/:id", []string{"echo.serveArmed", "v4.(*Echo).ServeHTTP"}},
		{"echov5", "/orders/:id", []string{"echov5.serveArmed", "v5.(*Echo).ServeHTTP"}},
	} {
		t.Run(s.folder, func(t *testing.T) {
			t.Parallel()
			freeze(t, newRig(t, s.folder, "order-price"), s.route, s.callers)
		})
	}
}

func freeze(t *testing.T, r *rig, route string, callers []string) {
	reply := r.request("GET", "/orders/7")
	th := r.stopped("order-price")
	frozen := time.Now()
	if got, want := th.name(), "GET "+route+" (/orders/7) from "+harness.Allowed; got != want {
		t.Errorf("the thread is called %q, want %q", got, want)
	}
	th.callers(append([]string{"main.order"}, append(callers, "http.(*conn).serve")...)...)
	th.evaluates("id", "7")
	must(t, r.probe(harness.Others, 200))
	held(t, reply)
	th.nextTo("order-priced")
	th.evaluates("total", "799")
	must(t, r.probe(harness.Others, 50))
	// Past the server's write timeout, which must have been lifted.
	must(t, harness.Until(10*time.Second, "the write timeout has passed", func() error {
		return tooEarly(time.Since(frozen))
	}))
	held(t, reply)
	th.resume()
	var got struct {
		ID    int `json:"id"`
		Total int `json:"total_cents"`
	}
	body := ok(t, reply)
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.ID != 7 || got.Total != 799 {
		t.Errorf("the response is %q, %v", body, err)
	}
}

// tooEarly is an error while frozen is not beyond the servers' write timeout.
func tooEarly(frozen time.Duration) error {
	const beyond = 3 * time.Second // serve's is two
	if frozen < beyond {
		return errors.New("frozen for " + frozen.String())
	}
	return nil
}
