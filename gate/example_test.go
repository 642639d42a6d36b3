package gate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/remotedbg/remotedbg/gate"
)

// A ceiling in the service: agents can never get requests from elsewhere.
func ExampleNew() {
	_, err := gate.New(gate.Config{Allow: []netip.Prefix{
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("2001:db8::/32"),
	}})
	fmt.Println(err)
	// Output: <nil>
}

// All mistakes are reported at once.
func ExampleNew_mistakes() {
	_, err := gate.New(gate.Config{Allow: []netip.Prefix{
		netip.MustParsePrefix("203.0.113.7/24"),
		netip.MustParsePrefix("0.0.0.0/0"),
	}})
	fmt.Println(err)
	// Output:
	// remotedbg: gate: Allow[0]: 203.0.113.7/24 has host bits set: use 203.0.113.0/24 for the network or 203.0.113.7/32 for the host
	// remotedbg: gate: Allow[1]: 0.0.0.0/0 admits every address of its family: name the networks, or leave Allow empty to have no ceiling
}

// The client is the peer. Headers, which anyone can send, do not change it.
func ExampleGate_Client() {
	var g gate.Gate
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "[::ffff:203.0.113.7]:4711"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	c := g.Client(r)
	fmt.Println(c.Addr, "-", c.Reason)
	// Output: 203.0.113.7 - direct peer
}

// An adapter for a framework that has its own request and handler types.
func ExampleGate_Enter() {
	type call struct{ peer, method, path string }
	var g gate.Gate
	handler := func(c call) { fmt.Println("served", c.path) }

	serve := func(c call) {
		if g.Armed() {
			t := g.Enter(gate.Request{Client: gate.Peer(c.peer), Method: c.method, Path: c.path})
			defer t.Leave()
		}
		handler(c)
	}
	serve(call{peer: "203.0.113.7:4711", method: "GET", path: "/orders/7"})
	// Output: served /orders/7
}

// INCORRECT: two mistakes that go unnoticed until somebody debugs the service.
//
// The handler runs in another goroutine than the one that entered the gate: the
// agent gets the thread of the one that only waits, and no breakpoint is ever
// reached. And Leave is not deferred: if the handler panics, the slot is not
// released and the goroutine stays locked to its thread.
func ExampleGate_EnterHTTP_incorrect() {
	var g gate.Gate
	handler := func(http.ResponseWriter, *http.Request) {}

	wrong := func(w http.ResponseWriter, r *http.Request) {
		t := g.EnterHTTP(r, "")
		done := make(chan struct{})
		go func() { // INCORRECT: not the goroutine that called EnterHTTP
			defer close(done)
			handler(w, r)
		}()
		<-done
		t.Leave() // INCORRECT: not deferred
	}
	wrong(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	fmt.Println("as long as nobody debugs it, it looks fine")
	// Output: as long as nobody debugs it, it looks fine
}
