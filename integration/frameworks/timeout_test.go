//go:build linux && amd64

package frameworks_test

import (
	"strings"
	"testing"
)

// TestTimeoutHandler has http.TimeoutHandler run the handler in a goroutine of
// its own, on both sides of the gate. Inside of it the gate works; outside, that
// goroutine is followed.
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

	reply = r.request("GET", "/outside/7")
	th = r.stopped("order-price")
	th.callers("main.order", "http.(*timeoutHandler).ServeHTTP.func1")
	th.resume()
	if body := ok(t, reply); !strings.Contains(body, "799") {
		t.Errorf("the response is %q", body)
	}
}
