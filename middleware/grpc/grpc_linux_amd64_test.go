package grpcgate_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/gate/gatetest"
	grpcgate "github.com/remotedbg/remotedbg/middleware/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

var loopback = gatetest.Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32")}

// behaviours are calls and what the client sees of them. They are made without
// the interceptors, with them unarmed, and trapped, with the same result.
var behaviours = []struct {
	name string
	play func(ctx context.Context, cc *grpc.ClientConn) string
}{
	{"metadata, trailers, context values", func(ctx context.Context, cc *grpc.ClientConn) string {
		return call(metadata.AppendToOutgoingContext(ctx, "x-in", "1", "X-In", "2"), cc, "hello")
	}},
	{"large message", func(ctx context.Context, cc *grpc.ClientConn) string {
		return call(ctx, cc, strings.Repeat("0123456789", 100_000))
	}},
	{"error with details", func(ctx context.Context, cc *grpc.ClientConn) string { return call(ctx, cc, "error") }},
	{"error that is no status", func(ctx context.Context, cc *grpc.ClientConn) string { return call(ctx, cc, "plain error") }},
	{"panic", func(ctx context.Context, cc *grpc.ClientConn) string { return call(ctx, cc, "panic") }},
	{"deadline", func(ctx context.Context, cc *grpc.ClientConn) string {
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		got := call(ctx, cc, "wait")
		// Who of client and server is first words the message.
		return fmt.Sprint(strings.Contains(got, " DeadlineExceeded "))
	}},
	{"cancelled", func(ctx context.Context, cc *grpc.ClientConn) string {
		return call(cancelled(ctx), cc, "wait")
	}},
	{"unknown method", func(ctx context.Context, cc *grpc.ClientConn) string {
		return record(cc.Invoke(ctx, "/test.Echo/None", new(text), new(text)))
	}},
	{"stream", func(ctx context.Context, cc *grpc.ClientConn) string {
		return converse(metadata.AppendToOutgoingContext(ctx, "x-in", "1"), cc, "a", "b", "c")
	}},
	{"stream that ends with an error", func(ctx context.Context, cc *grpc.ClientConn) string {
		return converse(ctx, cc, "a", "error")
	}},
	{"stream that panics", func(ctx context.Context, cc *grpc.ClientConn) string { return converse(ctx, cc, "a", "panic") }},
	{"stream that is cancelled", func(ctx context.Context, cc *grpc.ClientConn) string {
		return converse(cancelled(ctx), cc, "a", "wait")
	}},
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

// recoverUnary and recoverStream are what services put around panics.
func recoverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.Internal, "recovered: %v", p)
		}
	}()
	return handler(context.WithValue(ctx, key{}, "outer"), req)
}

func recoverStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.Internal, "recovered: %v", p)
		}
	}()
	return handler(srv, valued{ss})
}

type valued struct{ grpc.ServerStream }

func (v valued) Context() context.Context {
	return context.WithValue(v.ServerStream.Context(), key{}, "outer")
}

func TestBehavioursAreThoseOfGRPC(t *testing.T) {
	type (
		us = []grpc.UnaryServerInterceptor
		ss = []grpc.StreamServerInterceptor
	)
	g := new(gate.Gate)
	u, s := grpcgate.Unary(g), grpcgate.Stream(g)
	modes := []struct {
		name   string
		unary  us
		stream ss
		arm    bool
	}{
		{"nil gate", us{recoverUnary, grpcgate.Unary(nil)}, ss{recoverStream, grpcgate.Stream(nil)}, true},
		{"unarmed", us{u, recoverUnary}, ss{s, recoverStream}, false},
		{"trapped, recovery inside", us{u, recoverUnary}, ss{s, recoverStream}, true},
		{"trapped, recovery outside", us{recoverUnary, u}, ss{recoverStream, s}, true},
		{"trapped, twice", us{u, recoverUnary, u}, ss{s, recoverStream, s}, true},
	}
	for _, secure := range []bool{false, true} {
		bare := serve(t, secure, us{recoverUnary}, ss{recoverStream})
		for _, b := range behaviours {
			want := b.play(t.Context(), bare)
			for _, mode := range modes {
				t.Run(map[bool]string{false: "plain/", true: "TLS/"}[secure]+mode.name+"/"+b.name, func(t *testing.T) {
					var agent *gatetest.Agent
					if mode.arm {
						agent = gatetest.Arm(t, loopback)
					}
					cc := serve(t, secure, mode.unary, mode.stream)
					if got := b.play(t.Context(), cc); got != want {
						t.Errorf("got  %.300s\nwant %.300s", got, want)
					}
					wantOffers := 0
					if strings.HasPrefix(mode.name, "trapped") && b.name != "unknown method" {
						wantOffers = 1
					}
					if agent != nil && agent.Counts().Matched != uint64(wantOffers) {
						t.Errorf("%d calls matched, want %d; offers %v", agent.Counts().Matched, wantOffers, agent.Offers())
					}
				})
			}
		}
	}
}

// TestRules: the method, the path and the metadata of a call are what rules are
// compared with.
func TestRules(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	g := new(gate.Gate)
	cc := serve(t, false, []grpc.UnaryServerInterceptor{grpcgate.Unary(g)}, []grpc.StreamServerInterceptor{grpcgate.Stream(g)})
	for _, row := range []struct {
		name          string
		rule          gatetest.Rule
		unary, stream bool
	}{
		{"address alone", gatetest.Rule{}, true, true},
		{"method", gatetest.Rule{Method: "POST"}, true, true},
		{"another method", gatetest.Rule{Method: "GET"}, false, false},
		{"service", gatetest.Rule{Path: "/test.Echo/"}, true, true},
		{"one method", gatetest.Rule{Path: "/test.Echo/Unary"}, true, false},
		{"metadata", gatetest.Rule{Header: "X-Debug", Value: "alice"}, true, true},
		{"metadata, in lower case", gatetest.Rule{Header: "x-debug", Value: "alice"}, true, true},
		{"metadata is there", gatetest.Rule{Header: "X-Debug"}, true, true},
		{"metadata with another value", gatetest.Rule{Header: "X-Debug", Value: "bob"}, false, false},
		{"metadata that is not there", gatetest.Rule{Header: "X-Other"}, false, false},
		{"second value", gatetest.Rule{Header: "X-Debug", Value: "carol"}, false, false},
		{"authority", gatetest.Rule{Header: "Host", Value: cc.CanonicalTarget()[len("passthrough:///"):]}, true, true},
		{"another authority", gatetest.Rule{Header: "Host", Value: "shop"}, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.rule.Prefix = loopback.Prefix
			agent.SetRules(t, row.rule)
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-debug", "alice", "x-debug", "carol")
			before := len(agent.Offers())
			call(ctx, cc, "hello")
			unary := len(agent.Offers()) - before
			converse(ctx, cc, "a", "b")
			stream := len(agent.Offers()) - before - unary
			if got, want := fmt.Sprint(unary, stream), fmt.Sprint(number(row.unary), number(row.stream)); got != want {
				t.Errorf("offered %s, want %s", got, want)
			}
		})
	}
	for _, offer := range agent.Offers() {
		if offer.Method != "POST" || !strings.HasPrefix(offer.Path, "/test.Echo/") || offer.Client != "127.0.0.1" {
			t.Errorf("offered as %+v", offer)
		}
	}
}

func number(b bool) int { return map[bool]int{true: 1}[b] }

// TestPeersWithoutAnAddress: nobody is 127.0.0.1 because he says so.
func TestPeersWithoutAnAddress(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	trusting, err := gate.New(gate.Config{Source: gate.FromXForwardedFor(), TrustUnix: true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	unix := func() net.Listener {
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	for _, row := range []struct {
		name   string
		g      *gate.Gate
		listen func() net.Listener
		offers int
	}{
		{"unix socket", new(gate.Gate), unix, 0},
		{"unix socket, trusted", trusting, unix, 1},
		{"bufconn", new(gate.Gate), func() net.Listener { return bufconn.Listen(1 << 16) }, 0},
		{"bufconn is no unix socket", trusting, func() net.Listener { return bufconn.Listen(1 << 16) }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			ln := row.listen()
			srv := grpc.NewServer(grpc.UnaryInterceptor(grpcgate.Unary(row.g)))
			cc := connect(t, ln, "any", srv, insecure.NewCredentials(), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				if b, ok := ln.(*bufconn.Listener); ok {
					return b.DialContext(ctx)
				}
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}))
			before := len(agent.Offers())
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "127.0.0.1")
			if got := call(ctx, cc, "hello"); got != "hello[] <nil> [h] [t] OK  0" {
				t.Errorf("got %q", got)
			}
			if n := len(agent.Offers()) - before; n != row.offers {
				t.Errorf("%d offers, want %d", n, row.offers)
			}
		})
	}
}

// TestXForwardedForInMetadata: behind a proxy that speaks gRPC.
func TestXForwardedForInMetadata(t *testing.T) {
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.7/32")})
	g, err := gate.New(gate.Config{Source: gate.FromXForwardedFor(), TrustedProxies: []netip.Prefix{loopback.Prefix}})
	if err != nil {
		t.Fatal(err)
	}
	cc := serve(t, false, []grpc.UnaryServerInterceptor{grpcgate.Unary(g)}, nil)
	for _, row := range []struct {
		name, value string
		offers      int
	}{
		{"the client's", "203.0.113.7", 1},
		{"claimed by the client, in front of what the proxy saw", "203.0.113.7, 203.0.113.9", 0},
		{"garbage", "203.0.113.7, x", 0},
	} {
		before := len(agent.Offers())
		call(metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", row.value), cc, "hello")
		if n := len(agent.Offers()) - before; n != row.offers {
			t.Errorf("%s: %d offers, want %d", row.name, n, row.offers)
		}
	}
}

// TestPanicsWithoutRecoveryAreTheHandlers: gRPC does not recover, and nor do we.
func TestPanicsWithoutRecoveryAreTheHandlers(t *testing.T) {
	agent := gatetest.Arm(t, loopback)
	defer func() {
		if got := recover(); got != "boom" {
			t.Errorf("recovered %v", got)
		}
		if len(agent.Offers()) != 1 {
			t.Error("not trapped")
		}
	}()
	grpcgate.Unary(new(gate.Gate))(peerContext("127.0.0.1"), nil, &grpc.UnaryServerInfo{FullMethod: "/test.Echo/Unary"},
		func(context.Context, any) (any, error) { panic("boom") })
}
