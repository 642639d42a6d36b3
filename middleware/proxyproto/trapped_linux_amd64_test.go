package proxyproto_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

// TestTheGateSeesTheClient: an address is worth what its proxy is.
func TestTheGateSeesTheClient(t *testing.T) {
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.7/32")})
	g, ln := new(gate.Gate), listen(t)
	l, err := proxyproto.Listen(ln, []netip.Prefix{netip.MustParsePrefix(proxy + "/32")})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ticket := g.EnterHTTP(r, "")
		defer ticket.Leave()
		fmt.Fprint(w, ticket.Trapped(), " ", g.Client(r).Addr)
	})}
	go srv.Serve(l)
	defer srv.Close()
	for _, row := range []struct{ name, from, header, want string }{
		{"the client's, v1", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", "true 203.0.113.7"},
		{"the client's, v2", proxy, v2(0x21, 0x11, v4), "true 203.0.113.7"},
		{"the client's, mapped", proxy, v2(0x21, 0x21, v6mapped), "true 203.0.113.7"},
		{"another client's", proxy, "PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n", "false 203.0.113.9"},
		{"unknown", proxy, "PROXY UNKNOWN 203.0.113.7 10.0.0.1 4711 80\r\n", "false invalid IP"},
		{"unix socket of the proxy's", proxy, v2(0x21, 0x31, unix108, unix108), "false invalid IP"},
		{"health check", proxy, v2(0x20, 0x11, v4), "false " + proxy},
		{"claimed by an untrusted peer", direct, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", bad},
		{"claimed behind the proxy's", proxy, "PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\nPROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", bad},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := dial(t, row.from, ln.Addr().String())
			io.WriteString(c, row.header+get)
			if got := answer(c); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	if offers := agent.Offers(); len(offers) != 3 {
		t.Errorf("offers: %v", offers)
	}
}
