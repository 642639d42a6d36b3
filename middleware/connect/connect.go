// Package connectgate puts a [gate.Gate] in front of the procedures of a Connect
// server (connectrpc.com/connect).
//
// It owns one interceptor and knows nothing of the board, of agents or of
// debuggers. It starts no goroutines. A call is one request of the gate, a
// streaming one for as long as its handler runs; its path and its route are the
// procedure, "/acme.v1.Orders/Get".
//
// # Interceptor or middleware
//
// Connect's handlers are net/http handlers, and middleware.New works with them as
// it is. It is the better choice:
//
//   - It can lift the deadlines of the connection (ReadTimeout and WriteTimeout of
//     [net/http.Server]). An interceptor cannot: it does not see the
//     http.ResponseWriter, and the answer of a call that was frozen for longer is
//     lost.
//   - The path of a Connect request is the procedure, so threads have the same
//     names, provided that the middleware is in front of the mux; behind it, the
//     mux's pattern, "/acme.v1.Orders/", names them.
//   - It can take away the token that an agent may ask for. An interceptor leaves
//     it in the header, where the procedure sees it: it cannot give the call
//     another map, and what is around the handler may be reading this one.
//   - It has interceptors, and the reading of a unary call's message, in the part
//     that can be debugged.
//
// This interceptor is for servers that are built from handler options alone, or
// whose HTTP side has no deadlines and belongs to somebody else. It SHOULD be the
// first one of [connect.WithInterceptors]. Using both is harmless: a request that
// is trapped is not offered again.
//
// The client's own deadline (Connect-Timeout-Ms, grpc-timeout) runs on while a
// call is frozen, with either of them: the context is done when it has passed.
package connectgate

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"github.com/remotedbg/remotedbg/gate"
)

// New returns the interceptor. It does nothing in clients. A nil g passes every
// call through.
func New(g *gate.Gate) connect.Interceptor { return interceptor{g} }

type interceptor struct{ gate *gate.Gate }

// WrapUnary implements connect.Interceptor.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if !i.gate.Armed() || req.Spec().IsClient {
			return next(ctx, req)
		}
		defer i.enter(ctx, req.HTTPMethod(), req.Spec(), req.Peer(), req.Header()).Leave()
		return next(ctx, req)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		if !i.gate.Armed() {
			return next(ctx, conn)
		}
		defer i.enter(ctx, http.MethodPost, conn.Spec(), conn.Peer(), conn.RequestHeader()).Leave() // as all streams are
		return next(ctx, conn)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// enter offers a call to the agent. peer.Addr is http.Request.RemoteAddr.
func (i interceptor) enter(ctx context.Context, method string, spec connect.Spec, peer connect.Peer, h http.Header) gate.Ticket {
	return i.gate.Enter(gate.Request{
		Client: i.gate.ClientIn(ctx, peer.Addr, h), Method: method, Path: spec.Procedure, Route: spec.Procedure,
		Peer: peer.Addr, Host: h.Get("Host"), Header: readOnly(h), // Connect keeps the host in the header
	})
}

// readOnly is a header that the gate cannot change.
type readOnly http.Header

// Values implements gate.Header.
func (h readOnly) Values(name string) []string { return h[name] }
