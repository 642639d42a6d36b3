//go:build linux && amd64

package frameworks_test

import (
	"strings"
	"testing"

	"github.com/google/go-dap"
)

// TestTimeoutHandler has http.TimeoutHandler run the handler in a goroutine of
// its own, on both sides of the gate. Inside of it the gate works; outside, the
// request runs through, and the IDE is told why.
func TestTimeoutHandler(t *testing.T) {
	t.Parallel()
	r := newRig(t, "plain", "order-price")
	reply := r.request("GET", "/inside/7")
	th := r.stopped("order-price")
	th.callers("main.order", "middleware.(*handler).serveArmed", "http.(*timeoutHandler).ServeHTTP.func1")
	th.evaluates("id", "7")
	th.nextTo("order-priced")
	held(t, reply)
	th.resume()
	ok(t, reply)

	if body := ok(t, r.request("GET", "/outside/7")); !strings.Contains(body, "799") {
		t.Errorf("the response is %q", body)
	}
	told, err := r.WaitOutput("http.TimeoutHandler")
	must(t, err)
	if !strings.Contains(told, "/outside/{id}") {
		t.Errorf("the IDE was told %q, which does not name the request", told)
	}
	for _, ev := range r.Events() {
		if _, is := ev.(*dap.StoppedEvent); is {
			t.Errorf("stopped: %+v", ev)
		}
	}
}
