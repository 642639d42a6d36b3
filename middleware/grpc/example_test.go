package grpcgate_test

import (
	"context"
	"fmt"
	"net"

	"github.com/remotedbg/remotedbg/gate"
	grpcgate "github.com/remotedbg/remotedbg/middleware/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func Example() {
	g := new(gate.Gate)
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcgate.Unary(g)), // the first one
		grpc.ChainStreamInterceptor(grpcgate.Stream(g)),
	)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)
	defer srv.Stop()

	cc, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cc.Close()
	resp, err := healthpb.NewHealthClient(cc).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(resp.GetStatus(), err)
	// Output: SERVING <nil>
}
