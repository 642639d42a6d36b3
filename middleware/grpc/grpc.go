// Package grpcgate puts a [gate.Gate] in front of the methods of a gRPC server
// (google.golang.org/grpc).
//
// It owns the two server interceptors and knows nothing of the board, of agents
// or of debuggers. It starts no goroutines. A call is one request of the gate:
// its method is POST, which is what gRPC sends, its path and its route are the
// full method name, "/grpc.health.v1.Health/Check", and its header is the
// metadata. A streaming call is one request for as long as its handler runs,
// messages included.
//
// The interceptors SHOULD be the first of the server, in
// [google.golang.org/grpc.ChainUnaryInterceptor] and
// [google.golang.org/grpc.ChainStreamInterceptor]: those before them are not
// debugged. Those that recover panics may be on either side.
//
// A peer that is no TCP connection (a unix socket, bufconn) has no address; its
// calls run untouched, unless the gate trusts unix sockets and finds the client
// in the metadata ([gate.Config]).
//
// # A call that is frozen
//
//   - The client's deadline runs on, in the client and, as the header
//     grpc-timeout, in the transport of the server, which resets the stream when
//     it has passed (http2_server.go, operateHeaders). The handler then goes on
//     with a context that is done, and nobody reads its result. An interceptor
//     cannot lift it: whoever debugs a call SHOULD send it without a deadline.
//   - Keepalive pings are answered, in both directions, by goroutines of the
//     transport, which are not frozen. A connection with a frozen call is not
//     idle, so that keepalive.ServerParameters.MaxConnectionIdle does not end it.
//   - MaxConnectionAge does: the client is told to go away and the call is cut off
//     MaxConnectionAgeGrace later, which is infinite unless it is set.
//   - GracefulStop waits for the call. Stop cancels its context.
//   - Flow control goes on: what the client sends meanwhile fills the windows of
//     the stream and, as other streams share it, a part of the connection's.
//   - Under [google.golang.org/grpc.Server.ServeHTTP] the deadlines of net/http
//     count as well. There, middleware.New in front of the server is the better
//     gate: it can lift them.
package grpcgate

import (
	"context"
	"net/http"

	"github.com/remotedbg/remotedbg/gate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// Unary returns the interceptor for unary calls. A nil g passes every call
// through.
func Unary(g *gate.Gate) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if !g.Armed() {
			return handler(ctx, req)
		}
		ctx, t := enter(g, ctx, info.FullMethod)
		defer t.Leave()
		return handler(ctx, req)
	}
}

// Stream returns the interceptor for streaming calls. A nil g passes every call
// through.
func Stream(g *gate.Gate) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if !g.Armed() {
			return handler(srv, ss)
		}
		ctx, t := enter(g, ss.Context(), info.FullMethod)
		defer t.Leave()
		if ctx != ss.Context() {
			ss = &tokenless{ss, ctx}
		}
		return handler(srv, ss)
	}
}

// enter offers a call to the agent. The context is ctx, unless the call carried
// a token, which is taken out of it.
func enter(g *gate.Gate, ctx context.Context, method string) (context.Context, gate.Ticket) {
	h := &header{ctx: ctx}
	remote := ""
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		remote = p.Addr.String()
	}
	find := g.ClientFrom
	if ctx.Value(http.ServerContextKey) != nil { // Server.ServeHTTP: remote is RemoteAddr
		find = func(remote string, h gate.Header) gate.Client { return g.ClientIn(ctx, remote, h) }
	}
	q := gate.Request{
		Client: find(remote, h), Method: "POST", Path: method, Route: method, Peer: remote, Header: h,
	}
	if authority := h.Values(":authority"); len(authority) > 0 {
		q.Host = authority[0]
	}
	t := g.Enter(q)
	return h.ctx, t
}

// header is the metadata of a call in the form that the gate reads. Metadata in
// a context is shared and never changed: only an edit copies all of it.
type header struct{ ctx context.Context }

// Values implements gate.Header; names of metadata are compared without case.
func (h *header) Values(name string) []string {
	return metadata.ValueFromIncomingContext(h.ctx, name)
}

// Del and Add are what the gate takes its token out with.
func (h *header) Del(name string) {
	md, _ := metadata.FromIncomingContext(h.ctx) // a copy, in lower case
	md.Delete(name)
	h.ctx = metadata.NewIncomingContext(h.ctx, md)
}

// Add is for cookies, of which all but the token stay.
func (h *header) Add(name, value string) {
	md, _ := metadata.FromIncomingContext(h.ctx)
	md.Append(name, value)
	h.ctx = metadata.NewIncomingContext(h.ctx, md)
}

// tokenless is a stream whose context has lost the token.
type tokenless struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *tokenless) Context() context.Context { return s.ctx }
