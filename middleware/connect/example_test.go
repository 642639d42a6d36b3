package connectgate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect"
	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
	connectgate "github.com/remotedbg/remotedbg/middleware/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func greet(_ context.Context, req *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
	return connect.NewResponse(wrapperspb.String("hello " + req.Msg.GetValue())), nil
}

func ask(url string) {
	client := connect.NewClient[wrapperspb.StringValue, wrapperspb.StringValue](http.DefaultClient, url+"/acme.v1.Greeter/Greet")
	resp, err := client.CallUnary(context.Background(), connect.NewRequest(wrapperspb.String("you")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Msg.GetValue())
}

// The recommended way: Connect's handlers are net/http's.
func Example() {
	mux := http.NewServeMux()
	mux.Handle("/acme.v1.Greeter/Greet", connect.NewUnaryHandler("/acme.v1.Greeter/Greet", greet))
	srv := httptest.NewServer(middleware.New(new(gate.Gate))(mux)) // in front of the mux
	defer srv.Close()
	ask(srv.URL)
	// Output: hello you
}

func ExampleNew() {
	gated := connect.WithInterceptors(connectgate.New(new(gate.Gate))) // the first one
	mux := http.NewServeMux()
	mux.Handle("/acme.v1.Greeter/Greet", connect.NewUnaryHandler("/acme.v1.Greeter/Greet", greet, gated))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	ask(srv.URL)
	// Output: hello you
}
