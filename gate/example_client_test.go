package gate_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/remotedbg/remotedbg/gate"
)

// A service behind proxies: the right-most address that is none of theirs is the
// client. What is left of it was sent by the client, who may have made it up.
func ExampleGate_Client_behindProxies() {
	g, err := gate.New(gate.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		Source:         gate.FromXForwardedFor(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.1.0.7:33000"
	r.Header.Set("X-Forwarded-For", "192.0.2.66, 203.0.113.7, 10.1.0.8")
	fmt.Println(g.Client(r).Addr, "-", g.Client(r).Reason)

	r.Header.Set("X-Forwarded-For", "203.0.113.7, unknown")
	fmt.Println(g.Client(r).Reason)

	r.RemoteAddr = "198.51.100.20:4711" // not a proxy
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	fmt.Println(g.Client(r).Addr, "-", g.Client(r).Reason)
	// Output:
	// 203.0.113.7 - X-Forwarded-For: the right-most address that is no trusted proxy
	// unknown: X-Forwarded-For has an entry that is no address
	// 198.51.100.20 - direct peer: it is no trusted proxy, so headers do not count
}

// metadataOfCall is what an RPC system calls the header.
type metadataOfCall map[string][]string

// Values implements gate.Header: the keys of this system are in lower case.
func (m metadataOfCall) Values(name string) []string { return m[strings.ToLower(name)] }

// An adapter for an RPC system.
func ExampleGate_ClientFrom() {
	g, err := gate.New(gate.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		Source:         gate.FromForwarded(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := g.ClientFrom("10.1.0.7:33000", metadataOfCall{"forwarded": {`for="[2001:db8::7]:4711";proto=https`}})
	fmt.Println(c.Addr, "-", c.Reason)
	// Output: 2001:db8::7 - Forwarded: the right-most address that is no trusted proxy
}

// A server with middleware that overwrites RemoteAddr, outside of the gate: the
// gate asks the connection.
func ExampleConnContext() {
	g, err := gate.New(gate.Config{PeerFromConn: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(g.Client(r).Addr, "and not", r.RemoteAddr)
	})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "203.0.113.7:1" // from some header
		inner.ServeHTTP(w, r)
	}))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return gate.ConnContext(ctx, c) // and whatever else the service wants
	}
	srv.Start()
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	// Output: 127.0.0.1 and not 203.0.113.7:1
}

// All mistakes about proxies are reported at once, too.
func ExampleNew_proxyMistakes() {
	_, err := gate.New(gate.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.7/16"), netip.MustParsePrefix("::/0")},
		Source:         gate.FromHeader("X-Forwarded-For"),
	})
	fmt.Println(err)
	// Output:
	// remotedbg: gate: TrustedProxies[0]: 10.1.0.7/16 has host bits set: use 10.1.0.0/16 for the network or 10.1.0.7/32 for the host
	// remotedbg: gate: TrustedProxies[1]: ::/0 admits every address of its family: name the proxies, since whoever is trusted can claim any address
	// remotedbg: gate: Source: X-Forwarded-For is not a header with a single address: use FromXForwardedFor or FromForwarded, or the header that the proxy sets to the client's address alone
}

// INCORRECT: the whole private network is trusted, and the header is one that
// the proxy passes on. Each mistake alone lets somebody who is on no allowlist
// get requests into the debugger.
func ExampleNew_incorrect() {
	g, err := gate.New(gate.Config{
		// INCORRECT: any job in the same network is believed like a proxy.
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		// INCORRECT: the proxy of this service writes X-Forwarded-For.
		Source: gate.FromHeader("X-Real-Ip"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.77.0.9:51000"           // a job that was broken into
	r.Header.Set("X-Real-Ip", "203.0.113.7")   // made up
	r.Header.Set("X-Forwarded-For", "1.2.3.4") // what the proxy would have said
	fmt.Println(g.Client(r).Addr)
	// Output: 203.0.113.7
}
