package clientip_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	"github.com/realclientip/realclientip-go"

	"github.com/remotedbg/remotedbg/gate"
)

// resolver is a library, set up as for the service that a table is about, as far
// as it can be: the same header and the same trusted proxies.
type resolver struct {
	name string
	as   string // the only single-value header that it reads; empty: any
	// build returns what finds the client, nil if the library does not read the
	// header of the table.
	build func(*testing.T, *table) func(*http.Request) string
}

var resolvers = []resolver{
	{name: "gin", build: ginClientIP},
	{name: "echo4", as: "X-Real-Ip", build: echo4RealIP},
	{name: "echo5", as: "X-Real-Ip", build: echo5RealIP},
	{name: "chi-realip", as: "X-Real-Ip", build: chiRealIP},
	{name: "chi-clientip", build: chiClientIP},
	{name: "realclientip", build: realClientIP},
}

func newGate(t *testing.T, tb *table) *gate.Gate {
	t.Helper()
	cfg := gate.Config{TrustedProxies: tb.TrustedProxies, TrustUnix: tb.TrustUnix}
	switch tb.Header {
	case "X-Forwarded-For":
		cfg.Source = gate.FromXForwardedFor()
	case "Forwarded":
		cfg.Source = gate.FromForwarded()
	default:
		cfg.Source = gate.FromHeader(tb.Header)
	}
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// serve has h serve r and returns what h has put into *client.
func serve(h http.Handler, client *string) func(*http.Request) string {
	return func(r *http.Request) string {
		*client = ""
		h.ServeHTTP(httptest.NewRecorder(), r)
		return *client
	}
}

// ginClientIP is gin's Context.ClientIP. It does not read Forwarded.
func ginClientIP(t *testing.T, tb *table) func(*http.Request) string {
	if tb.Header == "Forwarded" {
		return nil
	}
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	if err := e.SetTrustedProxies(tb.prefixes()); err != nil {
		t.Fatal(err)
	}
	e.RemoteIPHeaders = []string{tb.Header}
	var client string
	e.GET("/", func(c *gin.Context) { client = c.ClientIP() })
	return serve(e, &client)
}

// ipNets is the trusted proxies in the older form.
func (tb *table) ipNets(t *testing.T) []net.IPNet {
	nets, err := realclientip.AddressesAndRangesToIPNets(tb.prefixes()...)
	if err != nil {
		t.Fatal(err)
	}
	return nets
}

// echo4RealIP is Context.RealIP of echo 4 with the extractor for the table's
// header. It trusts loopback, link-local and private addresses unless told
// otherwise. It does not read Forwarded, and of single values X-Real-Ip only.
func echo4RealIP(t *testing.T, tb *table) func(*http.Request) string {
	if tb.Header == "Forwarded" {
		return nil
	}
	trust := []echo4.TrustOption{echo4.TrustLoopback(false), echo4.TrustLinkLocal(false), echo4.TrustPrivateNet(false)}
	for _, n := range tb.ipNets(t) {
		trust = append(trust, echo4.TrustIPRange(&n))
	}
	e := echo4.New()
	e.IPExtractor = echo4.ExtractIPFromRealIPHeader(trust...)
	if tb.list() {
		e.IPExtractor = echo4.ExtractIPFromXFFHeader(trust...)
	}
	var client string
	e.GET("/", func(c echo4.Context) error { client = c.RealIP(); return nil })
	return serve(e, &client)
}

// echo5RealIP is the same of echo 5.
func echo5RealIP(t *testing.T, tb *table) func(*http.Request) string {
	if tb.Header == "Forwarded" {
		return nil
	}
	trust := []echo5.TrustOption{echo5.TrustLoopback(false), echo5.TrustLinkLocal(false), echo5.TrustPrivateNet(false)}
	for _, n := range tb.ipNets(t) {
		trust = append(trust, echo5.TrustIPRange(&n))
	}
	e := echo5.New()
	e.IPExtractor = echo5.ExtractIPFromRealIPHeader(trust...)
	if tb.list() {
		e.IPExtractor = echo5.ExtractIPFromXFFHeader(trust...)
	}
	var client string
	e.GET("/", func(c *echo5.Context) error { client = c.RealIP(); return nil })
	return serve(e, &client)
}

// chiRealIP is what chi's middleware RealIP, which has no settings and does not
// read Forwarded, makes of RemoteAddr. It is deprecated and widely used.
func chiRealIP(_ *testing.T, tb *table) func(*http.Request) string {
	if tb.Header == "Forwarded" {
		return nil
	}
	r := chi.NewRouter()
	//lint:ignore SA1019 that it is deprecated is what the comparison is about
	r.Use(chimiddleware.RealIP)
	var client string
	r.Get("/", func(_ http.ResponseWriter, r *http.Request) {
		client = r.RemoteAddr
		if host, _, err := net.SplitHostPort(client); err == nil {
			client = host
		}
	})
	return serve(r, &client)
}

// chiClientIP is chi's newer middlewares, which do not read Forwarded.
func chiClientIP(_ *testing.T, tb *table) func(*http.Request) string {
	if tb.Header == "Forwarded" {
		return nil
	}
	r := chi.NewRouter()
	if tb.list() {
		r.Use(chimiddleware.ClientIPFromXFF(tb.prefixes()...))
	} else {
		r.Use(chimiddleware.ClientIPFromHeader(tb.Header, tb.prefixes()...))
	}
	var client string
	r.Get("/", func(_ http.ResponseWriter, r *http.Request) { client = chimiddleware.GetClientIP(r.Context()) })
	return serve(r, &client)
}

// realClientIP is realclientip-go's strategy for the table's header. Strategies
// do not look at the peer; that only the proxies can connect is up to the network.
func realClientIP(t *testing.T, tb *table) func(*http.Request) string {
	var s realclientip.Strategy
	var err error
	if tb.list() {
		s, err = realclientip.NewRightmostTrustedRangeStrategy(tb.Header, tb.ipNets(t))
	} else {
		s, err = realclientip.NewSingleIPHeaderStrategy(tb.Header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) string { return s.ClientIP(r.Header, r.RemoteAddr) }
}
