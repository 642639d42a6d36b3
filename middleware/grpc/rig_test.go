package grpcgate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type text = wrapperspb.StringValue

// echo is the service of the tests: what it does with a message is in the
// message.
type echo struct{}

// key is a context key of an interceptor of the tests' own.
type key struct{}

// waiting gets one from a handler that waits for the end of its context.
var waiting = make(chan struct{})

// unary answers.
func (echo) unary(ctx context.Context, in *text) (*text, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if err := grpc.SetHeader(ctx, metadata.Pairs("x-head", "h")); err != nil {
		return nil, err
	}
	if err := grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "t")); err != nil {
		return nil, err
	}
	switch in.Value {
	case "error":
		s, err := status.New(codes.FailedPrecondition, "not now").WithDetails(wrapperspb.String("later"))
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	case "plain error":
		return nil, errors.New("plain")
	case "panic":
		panic("boom")
	case "wait":
		select {
		case waiting <- struct{}{}:
			<-ctx.Done()
		case <-ctx.Done():
		}
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return wrapperspb.String(fmt.Sprint(in.Value, md["x-in"], ctx.Value(key{}))), nil
}

// stream answers each message with one.
func (e echo) stream(ss grpc.ServerStream) error {
	if err := ss.SendHeader(metadata.Pairs("x-head", "h")); err != nil {
		return err
	}
	ss.SetTrailer(metadata.Pairs("x-tail", "t"))
	for {
		in := new(text)
		if err := ss.RecvMsg(in); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		switch in.Value {
		case "error":
			return status.Error(codes.Aborted, "enough")
		case "panic":
			panic("boom")
		case "wait":
			select {
			case waiting <- struct{}{}:
				<-ss.Context().Done()
			case <-ss.Context().Done():
			}
			return status.FromContextError(ss.Context().Err()).Err()
		}
		md, _ := metadata.FromIncomingContext(ss.Context())
		out := wrapperspb.String(fmt.Sprint(in.Value, md["x-in"], ss.Context().Value(key{})))
		if err := ss.SendMsg(out); err != nil {
			return err
		}
	}
}

// desc is what protoc would write for the service.
var desc = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(text)
			if err := dec(in); err != nil {
				return nil, err
			}
			handler := func(ctx context.Context, req any) (any, error) { return srv.(echo).unary(ctx, req.(*text)) }
			if interceptor == nil {
				return handler(ctx, in)
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Echo/Unary"}, handler)
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, ss grpc.ServerStream) error { return srv.(echo).stream(ss) },
	}},
}

var chat = &grpc.StreamDesc{StreamName: "Chat", ServerStreams: true, ClientStreams: true}

// serve starts a server with the interceptors and returns a connection to it.
func serve(t testing.TB, secure bool, unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor) *grpc.ClientConn {
	t.Helper()
	options := []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...)}
	creds := insecure.NewCredentials()
	if secure {
		// It is the certificate that we are after.
		ts := httptest.NewTLSServer(nil)
		ts.Close()
		pool := x509.NewCertPool()
		pool.AddCert(ts.Certificate())
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&ts.TLS.Certificates[0])))
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, ln, ln.Addr().String(), grpc.NewServer(options...), creds)
}

// connect serves on ln until the test ends and dials target.
func connect(t testing.TB, ln net.Listener, target string, srv *grpc.Server, creds credentials.TransportCredentials, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	srv.RegisterService(&desc, echo{})
	done := make(chan error)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	cc, err := grpc.NewClient("passthrough:///"+target, append(options, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// call makes a unary call and writes down everything the client gets.
func call(ctx context.Context, cc *grpc.ClientConn, message string) string {
	var head, tail metadata.MD
	out := new(text)
	err := cc.Invoke(ctx, "/test.Echo/Unary", wrapperspb.String(message), out, grpc.Header(&head), grpc.Trailer(&tail))
	return fmt.Sprint(out.Value, " ", head["x-head"], tail["x-tail"], " ", record(err))
}

// converse sends messages one after the other, each when the last one has been
// answered, and writes down everything the client gets.
func converse(ctx context.Context, cc *grpc.ClientConn, messages ...string) string {
	ss, err := cc.NewStream(ctx, chat, "/test.Echo/Chat")
	if err != nil {
		return record(err)
	}
	var got string
	for _, m := range messages {
		if err := ss.SendMsg(wrapperspb.String(m)); err != nil {
			return got + "send: " + record(err)
		}
		out := new(text)
		if err = ss.RecvMsg(out); err != nil {
			return got + record(err) + fmt.Sprint(ss.Trailer()["x-tail"])
		}
		got += out.Value + ";"
	}
	if err := ss.CloseSend(); err != nil {
		return got + record(err)
	}
	head, _ := ss.Header()
	return got + fmt.Sprint(ss.RecvMsg(new(text)), head["x-head"], ss.Trailer()["x-tail"])
}

func record(err error) string {
	s := status.Convert(err)
	return fmt.Sprint(s.Code(), " ", s.Message(), " ", len(s.Details()))
}
