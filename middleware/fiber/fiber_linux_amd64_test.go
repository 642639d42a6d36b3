package fibergate_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	fibergate "github.com/remotedbg/remotedbg/middleware/fiber"
)

var loopback = gatetest.Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32")}

// key is the key of a local of the tests' own outer middleware.
type key struct{}

// behaviours are what handlers rely on Fiber for. They are run without the
// middleware, behind an unarmed gate, and trapped, with the same result.
var behaviours = []struct {
	name    string
	handler fiber.Handler
	send    func(url string) (*http.Request, error)
}{
	{"locals, parameters, header, status", func(c fiber.Ctx) error {
		c.Set("X-Out", c.Get("X-In"))
		return c.Status(fiber.StatusTeapot).SendString(fmt.Sprint(c.Params("id"), c.Locals(key{}), c.Query("q"), c.FullPath()))
	}, func(url string) (*http.Request, error) {
		r, err := http.NewRequest("GET", url+"?q=1", nil)
		r.Header.Set("X-In", "in")
		return r, err
	}},
	{"context values", func(c fiber.Ctx) error {
		return c.SendString(fmt.Sprint(c.Context().Value(key{}), c.Context().Err()))
	}, plain},
	{"body", func(c fiber.Ctx) error { return c.Send(c.Body()) }, func(url string) (*http.Request, error) {
		return http.NewRequest("POST", url, strings.NewReader(strings.Repeat("0123456789", 20_000)))
	}},
	{"chunked body", func(c fiber.Ctx) error { return c.Send(c.Body()) }, func(url string) (*http.Request, error) {
		return http.NewRequest("POST", url, io.MultiReader(strings.NewReader("a"), strings.NewReader("b")))
	}},
	{"cookies", func(c fiber.Ctx) error {
		c.Cookie(&fiber.Cookie{Name: "b", Value: c.Cookies("a")})
		return nil
	}, func(url string) (*http.Request, error) {
		r, err := http.NewRequest("GET", url, nil)
		r.AddCookie(&http.Cookie{Name: "a", Value: "1"})
		return r, err
	}},
	{"server-sent events", func(c fiber.Ctx) error {
		c.Set("Content-Type", "text/event-stream")
		return c.SendStreamWriter(func(w *bufio.Writer) {
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.Flush()
			}
		})
	}, plain},
	{"fiber error", func(fiber.Ctx) error { return fiber.NewError(fiber.StatusConflict, "taken") }, plain},
	{"plain error", func(fiber.Ctx) error { return errors.New("plain") }, plain},
	{"panic", func(fiber.Ctx) error { panic("boom") }, plain},
	{"next handler", func(c fiber.Ctx) error { return c.Next() }, plain},
	{"restarted routing", func(c fiber.Ctx) error {
		c.Path("/elsewhere")
		return c.RestartRouting()
	}, plain},
	{"HEAD", func(c fiber.Ctx) error { return c.SendString("body") }, func(url string) (*http.Request, error) {
		return http.NewRequest("HEAD", url, nil)
	}},
}

func plain(url string) (*http.Request, error) { return http.NewRequest("GET", url, nil) }

// app is a service with h as its only route, and the gate where place says.
func app(config fiber.Config, place string, gated, h fiber.Handler) *fiber.App {
	config.ErrorHandler = func(c fiber.Ctx, err error) error {
		return c.Status(fiber.StatusInternalServerError).SendString("handled: " + err.Error())
	}
	a := fiber.New(config)
	outer := func(c fiber.Ctx) error {
		c.Locals(key{}, "outer")
		c.SetContext(context.WithValue(c.Context(), key{}, "value"))
		return c.Next()
	}
	switch place {
	case "use":
		a.Use(gated, recover.New(), outer)
	case "recovery outside":
		a.Use(recover.New(), gated, outer)
	default:
		a.Use(recover.New(), outer)
	}
	if place == "route" {
		a.All("/orders/:id", gated, h)
	} else {
		a.All("/orders/:id", h)
	}
	a.Get("/elsewhere", func(c fiber.Ctx) error { return c.SendString("elsewhere") })
	return a
}

// serve starts a on loopback.
func serve(t testing.TB, a *fiber.App) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- a.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true}) }()
	t.Cleanup(func() {
		if err := errors.Join(a.ShutdownWithTimeout(5*time.Second), <-done); err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// play sends a request and writes down everything the client gets.
func play(t *testing.T, url string, send func(string) (*http.Request, error)) string {
	t.Helper()
	r, err := send(url + "/orders/7")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Header.Del("Date")
	return fmt.Sprint(resp.Status, resp.Header, resp.ContentLength, resp.TransferEncoding, string(body), err)
}

func TestBehavioursAreThoseOfFiber(t *testing.T) {
	for _, b := range behaviours {
		want := play(t, serve(t, app(fiber.Config{}, "", nil, b.handler)), b.send)
		for _, mode := range []struct {
			name, place string
			g           *gate.Gate
			arm         bool
		}{
			{"nil gate", "use", nil, true},
			{"unarmed", "use", new(gate.Gate), false},
			{"trapped", "use", new(gate.Gate), true},
			{"trapped, recovery outside", "recovery outside", new(gate.Gate), true},
			{"trapped, at the route", "route", new(gate.Gate), true},
		} {
			t.Run(mode.name+"/"+b.name, func(t *testing.T) {
				var agent *gatetest.Agent
				if mode.arm {
					agent = gatetest.Arm(t, loopback)
				}
				a := app(fiber.Config{}, mode.place, fibergate.New(mode.g), b.handler)
				if got := play(t, serve(t, a), b.send); got != want {
					t.Errorf("got  %.500s\nwant %.500s", got, want)
				}
				if agent != nil && (agent.Counts().Matched == 1) != (mode.g != nil) {
					t.Errorf("%d requests matched; offers %v", agent.Counts().Matched, agent.Offers())
				}
			})
		}
	}
}

// TestRules: what of a request the rules are compared with, and what it is
// called.
func TestRules(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	url := serve(t, app(fiber.Config{}, "use", fibergate.New(new(gate.Gate)), func(c fiber.Ctx) error { return nil }))
	host := strings.TrimPrefix(url, "http://")
	for _, row := range []struct {
		name    string
		rule    gatetest.Rule
		trapped bool
	}{
		{"address alone", gatetest.Rule{}, true},
		{"method", gatetest.Rule{Method: "GET"}, true},
		{"another method", gatetest.Rule{Method: "POST"}, false},
		{"path", gatetest.Rule{Path: "/orders/"}, true},
		{"decoded path", gatetest.Rule{Path: "/orders/a b"}, true},
		{"another path", gatetest.Rule{Path: "/carts/"}, false},
		{"header", gatetest.Rule{Header: "X-Debug", Value: "alice"}, true},
		{"header is there", gatetest.Rule{Header: "X-Debug"}, true},
		{"header with another value", gatetest.Rule{Header: "X-Debug", Value: "bob"}, false},
		{"header that is not there", gatetest.Rule{Header: "X-Other"}, false},
		{"host", gatetest.Rule{Header: "Host", Value: host}, true},
		{"another host", gatetest.Rule{Header: "Host", Value: "shop"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.rule.Prefix = loopback.Prefix
			agent.SetRules(t, row.rule)
			before := len(agent.Offers())
			r, _ := plain(url + "/orders/a%20b?q=/carts/")
			r.Header.Set("X-Debug", "alice")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := len(agent.Offers()) > before; got != row.trapped {
				t.Errorf("trapped: %v", got)
			}
		})
	}
	for _, offer := range agent.Offers() {
		if offer.Method != "GET" || offer.Path != "/orders/a b" || offer.Client != "127.0.0.1" {
			t.Errorf("offered as %+v", offer)
		}
	}
}

// TestThePeerIsTheConnections: nothing that clients or handlers say is taken for
// the peer, and what the gate is told to trust is found.
func TestThePeerIsTheConnections(t *testing.T) {
	client := gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.7/32")}
	behind, err := gate.New(gate.Config{Source: gate.FromXForwardedFor(), TrustedProxies: []netip.Prefix{loopback.Prefix}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		g    *gate.Gate
		rule gatetest.Rule
		want int
	}{
		{"fiber believes X-Forwarded-For, the gate does not", new(gate.Gate), client, 0},
		{"the peer", new(gate.Gate), loopback, 1},
		{"the gate believes its proxy", behind, client, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			agent := gatetest.Arm(t, row.rule)
			a := fiber.New(fiber.Config{ProxyHeader: fiber.HeaderXForwardedFor, TrustProxy: true, TrustProxyConfig: fiber.TrustProxyConfig{Loopback: true}})
			a.Use(func(c fiber.Ctx) error {
				c.RequestCtx().SetRemoteAddr(&net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: 1})
				return c.Next()
			}, fibergate.New(row.g))
			a.Get("/orders/:id", func(c fiber.Ctx) error { return nil })
			play(t, serve(t, a), func(url string) (*http.Request, error) {
				r, err := plain(url)
				r.Header.Set("X-Forwarded-For", "203.0.113.9, 203.0.113.7")
				return r, err
			})
			if n := len(agent.Offers()); n != row.want {
				t.Errorf("%d offers, want %d", n, row.want)
			}
		})
	}
}

// TestDeadlines: a body that is read by the handler, and comes later than the
// server's timeout, stands for a request that was frozen meanwhile.
func TestDeadlines(t *testing.T) {
	const timeout = 200 * time.Millisecond
	half := strings.Repeat("x", 50_000) // fasthttp reads the first 8 KiB before it calls the handler
	config := fiber.Config{StreamRequestBody: true, ReadTimeout: timeout, WriteTimeout: timeout}
	h := func(c fiber.Ctx) error {
		body, err := io.ReadAll(c.Request().BodyStream())
		return c.SendString(fmt.Sprint(len(body), err))
	}
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: loopback.Prefix, Header: "X-Trap"})
	url := serve(t, app(config, "use", fibergate.New(new(gate.Gate)), h))
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	post := func(header string, late bool) string {
		fmt.Fprintf(conn, "POST /orders/7 HTTP/1.1\r\nHost: x\r\n%sContent-Length: 100000\r\n\r\n%s", header, half)
		if late {
			time.Sleep(2 * timeout)
		}
		io.WriteString(conn, half)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	if got := post("X-Trap: 1\r\n", true); got != "100000 <nil>" {
		t.Errorf("trapped: %q", got)
	}
	if n := len(agent.Offers()); n != 1 {
		t.Errorf("%d offers", n)
	}
	if got := post("", false); got != "100000 <nil>" {
		t.Errorf("untouched: %q", got)
	}
	if got := post("", true); strings.HasPrefix(got, "100000") {
		t.Errorf("the connection has no read deadline any more: %q", got)
	}
}

// TestNothingIsKept overwrites the request's buffers, as the next request on the
// connection does, and looks at what was offered.
func TestNothingIsKept(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	url := serve(t, app(fiber.Config{}, "use", fibergate.New(new(gate.Gate)), func(c fiber.Ctx) error {
		// A person looks at the names while the request is frozen.
		for _, buf := range [][]byte{c.RequestCtx().Path(), c.RequestCtx().Host(), c.Request().Header.RequestURI()} {
			copy(buf, bytes.Repeat([]byte("x"), len(buf)))
		}
		return nil
	}))
	play(t, url, plain)
	if offers := agent.Offers(); len(offers) != 1 || offers[0].Path != "/orders/7" || offers[0].Method != "GET" {
		t.Errorf("offers %+v", offers)
	}
}

// TestWithoutAServer: requests that come from app.Test have no peer, and those
// of an adaptor no connection.
func TestWithoutAServer(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	a := app(fiber.Config{}, "use", fibergate.New(new(gate.Gate)), func(c fiber.Ctx) error { return c.SendString("ok") })
	r, _ := plain("/orders/7")
	resp, err := a.Test(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(agent.Offers()) != 0 {
		t.Errorf("app.Test: %s, offers %v", resp.Status, agent.Offers())
	}
	ctx := request(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711})
	a.Handler()(ctx)
	if got := string(ctx.Response.Body()); got != "ok" || len(agent.Offers()) != 1 {
		t.Errorf("adaptor: %q, offers %v", got, agent.Offers())
	}
}
