package connectgate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	"github.com/remotedbg/remotedbg/middleware"
	connectgate "github.com/remotedbg/remotedbg/middleware/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

var loopback = gatetest.Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32")}

// key is a context key of an interceptor of the tests' own.
type key struct{}

// waiting gets one from a handler that waits for the end of its context.
var waiting = make(chan struct{})

// unary does what the message says.
func unary(ctx context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
	switch req.Msg.Value {
	case "error":
		err := connect.NewError(connect.CodeFailedPrecondition, errors.New("not now"))
		err.Meta().Set("X-Meta", "m")
		return nil, err
	case "panic":
		panic("boom")
	case "wait":
		select {
		case waiting <- struct{}{}:
			<-ctx.Done()
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	}
	resp := connect.NewResponse(wrapperspb.String(fmt.Sprint(req.Msg.Value, req.Header().Values("X-In"), ctx.Value(key{}))))
	resp.Header().Set("X-Head", "h")
	resp.Trailer().Set("X-Tail", "t")
	return resp, nil
}

// chat answers each message with one.
func chat(ctx context.Context, stream *connect.BidiStream[text, text]) error {
	stream.ResponseHeader().Set("X-Head", "h")
	stream.ResponseTrailer().Set("X-Tail", "t")
	for {
		in, err := stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case in.Value == "error":
			return connect.NewError(connect.CodeAborted, errors.New("enough"))
		case in.Value == "panic":
			panic("boom")
		}
		if err := stream.Send(wrapperspb.String(fmt.Sprint(in.Value, stream.RequestHeader().Values("X-In"), ctx.Value(key{})))); err != nil {
			return err
		}
	}
}

// outer is an interceptor that services have.
type outer struct{ connect.Interceptor }

func (outer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		return next(context.WithValue(ctx, key{}, "outer"), req)
	}
}

func (outer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(context.WithValue(ctx, key{}, "outer"), conn)
	}
}

// serve starts a server for HTTP/2 and HTTP/1.1. front may be nil.
func serve(t testing.TB, front func(http.Handler) http.Handler, interceptors ...connect.Interceptor) *httptest.Server {
	t.Helper()
	options := []connect.HandlerOption{
		connect.WithInterceptors(interceptors...),
		connect.WithRecover(func(_ context.Context, _ connect.Spec, _ http.Header, p any) error {
			return connect.NewError(connect.CodeInternal, fmt.Errorf("recovered: %v", p))
		}),
	}
	mux := http.NewServeMux()
	mux.Handle("/test.Echo/Unary", connect.NewUnaryHandler("/test.Echo/Unary", unary, options...))
	mux.Handle("/test.Echo/Chat", connect.NewBidiStreamHandler("/test.Echo/Chat", chat, options...))
	var h http.Handler = mux
	if front != nil {
		h = front(mux)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// call makes a unary call and writes down everything the client gets.
func call(ctx context.Context, srv *httptest.Server, message string, options ...connect.ClientOption) string {
	client := connect.NewClient[text, text](srv.Client(), srv.URL+"/test.Echo/Unary", options...)
	req := connect.NewRequest(wrapperspb.String(message))
	req.Header().Add("X-In", "1")
	req.Header().Add("X-In", "2")
	resp, err := client.CallUnary(ctx, req)
	if err != nil {
		return record(err)
	}
	return fmt.Sprint(resp.Msg.Value, resp.Header()["X-Head"], resp.Trailer()["X-Tail"])
}

// converse sends messages one after the other.
func converse(ctx context.Context, srv *httptest.Server, messages []string, options ...connect.ClientOption) (got string) {
	stream := connect.NewClient[text, text](srv.Client(), srv.URL+"/test.Echo/Chat", options...).CallBidiStream(ctx)
	defer stream.CloseResponse()
	stream.RequestHeader().Set("X-In", "1")
	for _, m := range messages {
		if err := stream.Send(wrapperspb.String(m)); err != nil {
			return got + "send: " + record(err)
		}
		in, err := stream.Receive()
		if err != nil {
			return got + record(err)
		}
		got += in.Value + ";"
	}
	stream.CloseRequest()
	_, err := stream.Receive()
	return got + fmt.Sprint(errors.Is(err, io.EOF), stream.ResponseHeader()["X-Head"], stream.ResponseTrailer()["X-Tail"])
}

func record(err error) string {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return err.Error()
	}
	return fmt.Sprint(ce.Code(), " ", ce.Message(), ce.Meta()["X-Meta"])
}

// cancelled returns a context that is cancelled when a handler waits for it.
func cancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-waiting:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// behaviours are calls and what the client sees of them.
var behaviours = []struct {
	name string
	play func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string
}{
	{"header, trailers, context values", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return call(ctx, srv, "hello", o...)
	}},
	{"large message", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return call(ctx, srv, strings.Repeat("0123456789", 100_000), o...)
	}},
	{"error", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return call(ctx, srv, "error", o...)
	}},
	{"panic", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return call(ctx, srv, "panic", o...)
	}},
	{"cancelled", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return call(cancelled(ctx), srv, "wait", o...)
	}},
	{"deadline", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		return strings.Fields(call(ctx, srv, "wait", o...))[0] // who words the message, the client or the server, is open
	}},
	{"stream", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return converse(ctx, srv, []string{"a", "b", "c"}, o...)
	}},
	{"stream that ends with an error", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return converse(ctx, srv, []string{"a", "error"}, o...)
	}},
	{"stream that panics", func(ctx context.Context, srv *httptest.Server, o ...connect.ClientOption) string {
		return converse(ctx, srv, []string{"a", "panic"}, o...)
	}},
}

// TestBehavioursAreThoseOfConnect: with the interceptor, and with the middleware
// for net/http, which works as it is.
func TestBehavioursAreThoseOfConnect(t *testing.T) {
	protocols := map[string][]connect.ClientOption{"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}}
	g := new(gate.Gate)
	gated := []connect.Interceptor{connectgate.New(g), outer{}}
	for protocol, options := range protocols {
		bare := serve(t, nil, outer{})
		for _, b := range behaviours {
			want := b.play(t.Context(), bare, options...)
			for _, mode := range []struct {
				name         string
				front        func(http.Handler) http.Handler
				interceptors []connect.Interceptor
				arm          bool
				matched      uint64
			}{
				{"nil gate", nil, []connect.Interceptor{connectgate.New(nil), outer{}}, true, 0},
				{"interceptor, unarmed", nil, gated, false, 0},
				{"interceptor, trapped", nil, gated, true, 1},
				{"middleware, unarmed", middleware.New(g), []connect.Interceptor{outer{}}, false, 0},
				{"middleware, trapped", middleware.New(g), []connect.Interceptor{outer{}}, true, 1},
			} {
				t.Run(protocol+"/"+mode.name+"/"+b.name, func(t *testing.T) {
					var agent *gatetest.Agent
					if mode.arm {
						agent = gatetest.Arm(t, loopback)
					}
					srv := serve(t, mode.front, mode.interceptors...)
					if got := b.play(t.Context(), srv, options...); got != want {
						t.Errorf("got  %.300s\nwant %.300s", got, want)
					}
					if agent != nil && agent.Counts().Matched != mode.matched {
						t.Errorf("%d calls matched, want %d", agent.Counts().Matched, mode.matched)
					}
				})
			}
		}
	}
}

func TestRules(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	srv := serve(t, nil, connectgate.New(new(gate.Gate)))
	for _, row := range []struct {
		name          string
		rule          gatetest.Rule
		unary, stream uint64
	}{
		{"address alone", gatetest.Rule{}, 1, 1},
		{"method", gatetest.Rule{Method: "POST"}, 1, 1},
		{"another method", gatetest.Rule{Method: "GET"}, 0, 0},
		{"service", gatetest.Rule{Path: "/test.Echo/"}, 1, 1},
		{"one procedure", gatetest.Rule{Path: "/test.Echo/Chat"}, 0, 1},
		{"header", gatetest.Rule{Header: "X-In", Value: "1"}, 1, 1},
		{"header with another value", gatetest.Rule{Header: "X-In", Value: "2"}, 0, 0},
		{"header that is not there", gatetest.Rule{Header: "X-Other"}, 0, 0},
		{"host", gatetest.Rule{Header: "Host", Value: srv.Listener.Addr().String()}, 1, 1},
		{"another host", gatetest.Rule{Header: "Host", Value: "shop"}, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.rule.Prefix = loopback.Prefix
			agent.SetRules(t, row.rule)
			before := agent.Counts().Matched
			call(t.Context(), srv, "hello")
			unary := agent.Counts().Matched - before
			converse(t.Context(), srv, []string{"a", "b"})
			if stream := agent.Counts().Matched - before - unary; unary != row.unary || stream != row.stream {
				t.Errorf("%d unary calls and %d streams matched, want %d and %d", unary, stream, row.unary, row.stream)
			}
		})
	}
	for _, offer := range agent.Offers() {
		if offer.Method != "POST" || !strings.HasPrefix(offer.Path, "/test.Echo/") || offer.Client != "127.0.0.1" {
			t.Errorf("offered as %+v", offer)
		}
	}
}

// TestClientsAreNotGated: the interceptor may be shared with clients.
func TestClientsAreNotGated(t *testing.T) {
	srv := serve(t, nil)
	agent := gatetest.Arm(t, loopback)
	i := connect.WithInterceptors(connectgate.New(new(gate.Gate)))
	if got := call(t.Context(), srv, "hello", i); got != "hello[1 2] <nil>[h] [t]" {
		t.Errorf("got %q", got)
	}
	if got := converse(t.Context(), srv, []string{"a"}, i); !strings.HasPrefix(got, "a[1] <nil>;true") {
		t.Errorf("got %q", got)
	}
	if n := agent.Counts().Matched; n != 0 {
		t.Errorf("%d calls matched", n)
	}
}
