// Command connect is an example service on Connect. Orders are behind the
// middleware for net/http, which is the recommended way, carts behind the
// interceptor. Messages are well-known types, so that no protoc is needed.
package main

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/frameworks/serve"
	"github.com/remotedbg/remotedbg/middleware"
	connectgate "github.com/remotedbg/remotedbg/middleware/connect"
)

func main() {
	g := new(gate.Gate)
	orders := http.NewServeMux()
	orders.Handle("/shop.Orders/Get", connect.NewUnaryHandler("/shop.Orders/Get", order))
	gated := middleware.New(g)(orders) // in front of the mux: the procedure names the thread

	carts := connect.NewUnaryHandler("/shop.Carts/Get", cart, connect.WithInterceptors(connectgate.New(g)), connect.WithRecover(recovered))
	serve.Run(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/shop.Carts/Get" {
			carts.ServeHTTP(w, r)
			return
		}
		gated.ServeHTTP(w, r)
	}))
}

// order answers with the price of an order.
func order(_ context.Context, req *connect.Request[wrapperspb.Int64Value]) (*connect.Response[wrapperspb.StringValue], error) {
	id := req.Msg.GetValue()
	total := price(id)                                                             //bp:order-price
	return connect.NewResponse(wrapperspb.String(fmt.Sprint(id, " ", total))), nil //bp:order-priced
}

// cart answers with the price of a cart.
func cart(_ context.Context, req *connect.Request[wrapperspb.Int64Value]) (*connect.Response[wrapperspb.StringValue], error) {
	id := req.Msg.GetValue()
	if id == unluckyID {
		panic(fmt.Errorf("cart %d is unlucky", id)) //bp:unlucky
	}
	total := price(id)                                                             //bp:cart-price
	return connect.NewResponse(wrapperspb.String(fmt.Sprint(id, " ", total))), nil //bp:cart-priced
}

// unluckyID is a cart at which the handler panics.
const unluckyID = 13

func recovered(_ context.Context, _ connect.Spec, _ http.Header, v any) error {
	return connect.NewError(connect.CodeInternal, fmt.Errorf("recovered: %v", v))
}

//go:noinline
func price(id int64) int64 {
	return id*100 + 99
}
