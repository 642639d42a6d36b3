// Command grpc is an example service on gRPC. Its messages are well-known types
// and its service description is written by hand, so that no protoc is needed.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/remotedbg/remotedbg/gate"
	grpcgate "github.com/remotedbg/remotedbg/middleware/grpc"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 picks a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	g := new(gate.Gate)
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcgate.Unary(g), recovered),
		grpc.ChainStreamInterceptor(grpcgate.Stream(g)),
	)
	srv.RegisterService(&orders, nil)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("shop listening on %s\n", ln.Addr())
	defer context.AfterFunc(ctx, srv.GracefulStop)()
	return srv.Serve(ln)
}

var orders = grpc.ServiceDesc{
	ServiceName: "shop.Orders",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: handleGet}},
	Streams:     []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: watch}},
}

// handleGet is what protoc would write for Get.
func handleGet(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.Int64Value)
	if err := decode(in); err != nil {
		return nil, err
	}
	handler := func(ctx context.Context, req any) (any, error) { return get(ctx, req.(*wrapperspb.Int64Value)) }
	if interceptor == nil {
		return handler(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/shop.Orders/Get"}, handler)
}

// get answers with the price of an order.
func get(_ context.Context, in *wrapperspb.Int64Value) (*wrapperspb.StringValue, error) {
	id := in.GetValue()
	if id == unluckyID {
		panic(fmt.Errorf("order %d is unlucky", id)) //bp:unlucky
	}
	total := price(id)                                        //bp:get-price
	return wrapperspb.String(fmt.Sprint(id, " ", total)), nil //bp:get-priced
}

// watch answers with the prices of an order and of the next one.
// unluckyID is an order at which the handler panics.
const unluckyID = 13

// recovered answers a call whose handler panics.
func recovered(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = status.Errorf(codes.Internal, "recovered: %v", v)
		}
	}()
	return handler(ctx, req)
}

func watch(_ any, ss grpc.ServerStream) error {
	in := new(wrapperspb.Int64Value)
	if err := ss.RecvMsg(in); err != nil {
		return err
	}
	for id := in.GetValue(); id < in.GetValue()+2; id++ {
		total := price(id)                                               //bp:watch-price
		err := ss.SendMsg(wrapperspb.String(fmt.Sprint(id, " ", total))) //bp:watch-priced
		if err != nil {
			return err
		}
	}
	return nil
}

//go:noinline
func price(id int64) int64 {
	return id*100 + 99
}
