//go:build linux && amd64

package frameworks_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestFreezeFiber is TestFreeze for a server that is not net/http's.
func TestFreezeFiber(t *testing.T) {
	r := newRig(t, "fiber", "order-price")
	reply := r.request("GET", "/orders/7")
	th := r.stopped("order-price")
	frozen := time.Now()
	if got, want := th.name(), "GET /orders/:id (/orders/7) from "+harness.Allowed; got != want {
		t.Errorf("the thread is called %q, want %q", got, want)
	}
	th.step(reply, "order", "7", "799",
		"main.order", "v3.(*DefaultCtx).Next", "v3.(*App).requestHandler", "fasthttp.(*Server).serveConn")
	must(t, harness.Until(10*time.Second, "the timeouts have passed", func() error {
		return tooEarly(time.Since(frozen))
	}))
	held(t, reply)
	th.resume()
	if got := ok(t, reply); got != `{"id":7,"total_cents":799}` {
		t.Errorf("the response is %q", got)
	}
}

// caller makes one call from a loopback address.
type caller func(ctx context.Context, from string) (string, error)

// calls makes r a rig for a server that is asked with call.
func (r *rig) calls(call caller) {
	r.probe = func(from string, n int) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for range n {
			if _, err := call(ctx, from); err != nil {
				return err
			}
		}
		return nil
	}
}

// start makes an allowlisted call and does not wait for its result.
func (r *rig) start(call caller) <-chan harness.Reply {
	reply := make(chan harness.Reply, 1)
	r.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		got, err := call(ctx, harness.Allowed)
		reply <- harness.Reply{Status: http.StatusOK, Body: got, Err: err}
	})
	return reply
}

// step looks at a call that is frozen at PREFIX-price, and steps it.
func (th *thread) step(reply <-chan harness.Reply, prefix, id, total string, callers ...string) {
	th.t.Helper()
	th.callers(callers...)
	th.evaluates("id", id)
	must(th.t, th.probe(harness.Others, 100))
	held(th.t, reply)
	th.nextTo(prefix + "-priced")
	th.evaluates("total", total)
	held(th.t, reply)
}

// named fails unless th is named after a procedure.
func (th *thread) named(procedure string) {
	th.t.Helper()
	if got, want := th.name(), "POST "+procedure+" from "+harness.Allowed; got != want {
		th.t.Errorf("the thread is called %q, want %q", got, want)
	}
}

func (r *rig) addr() string { return strings.TrimPrefix(r.service.URL, "http://") }

// dialGRPC connects from a loopback address.
func dialGRPC(r *rig, from string) (*grpc.ClientConn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return grpc.NewClient("passthrough:///"+r.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}))
}

func TestFreezeGRPCUnary(t *testing.T) {
	r := newRig(t, "grpc", "get-price")
	call := func(ctx context.Context, from string) (string, error) {
		cc, err := dialGRPC(r, from)
		if err != nil {
			return "", err
		}
		defer cc.Close()
		out := new(wrapperspb.StringValue)
		err = cc.Invoke(ctx, "/shop.Orders/Get", wrapperspb.Int64(7), out)
		return out.GetValue(), err
	}
	r.calls(call)
	reply := r.start(call)
	th := r.stopped("get-price")
	th.named("/shop.Orders/Get")
	th.step(reply, "get", "7", "799", "main.get", "main.handleGet", "grpc.(*Server).processUnaryRPC")
	th.resume()
	if got := ok(t, reply); got != "7 799" {
		t.Errorf("the response is %q", got)
	}
}

// TestFreezeGRPCStream freezes a stream between its messages: the client has the
// first one while the second one is being made.
func TestFreezeGRPCStream(t *testing.T) {
	r := newRig(t, "grpc", "watch-price")
	received := make(chan string, 2)
	watch := func(ctx context.Context, from string) (all string, err error) {
		cc, err := dialGRPC(r, from)
		if err != nil {
			return "", err
		}
		defer cc.Close()
		ss, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/shop.Orders/Watch")
		if err != nil {
			return "", err
		}
		if err := errors.Join(ss.SendMsg(wrapperspb.Int64(7)), ss.CloseSend()); err != nil {
			return "", err
		}
		for {
			out := new(wrapperspb.StringValue)
			if err := ss.RecvMsg(out); err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return all, err
			}
			all += out.GetValue() + ";"
			if from == harness.Allowed {
				select {
				case received <- out.GetValue():
				default: // the test is over
				}
			}
		}
	}
	r.calls(watch)
	reply := r.start(watch)
	th := r.stopped("watch-price")
	th.named("/shop.Orders/Watch")
	callers := []string{"main.watch", "grpc.(*Server).processStreamingRPC"}
	th.step(reply, "watch", "7", "799", callers...)
	must(t, th.Continue(th.id))
	if again := r.stopped("watch-price"); again.id != th.id {
		t.Errorf("the stream is thread %d and was %d", again.id, th.id)
	}
	select {
	case got := <-received:
		if got != "7 799" {
			t.Errorf("the first message is %q", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("the first message does not come while the stream is frozen")
	}
	th.step(reply, "watch", "8", "899", callers...)
	th.resume()
	if got := ok(t, reply); got != "7 799;8 899;" {
		t.Errorf("the stream is %q", got)
	}
}

func TestFreezeConnect(t *testing.T) {
	for _, s := range []struct {
		name, procedure, prefix, gate string
		outlives                      bool // the server's write timeout
	}{
		{"middleware", "/shop.Orders/Get", "order", "middleware.(*handler).serveArmed", true},
		{"interceptor", "/shop.Carts/Get", "cart", "connect.interceptor.WrapUnary.func1", false},
	} {
		t.Run(s.name, func(t *testing.T) {
			r := newRig(t, "connect", s.prefix+"-price")
			call := func(ctx context.Context, from string) (string, error) {
				client := harness.NewClient(r.service.URL, from, 1)
				defer client.Close()
				rpc := connect.NewClient[wrapperspb.Int64Value, wrapperspb.StringValue](client.HTTP, r.service.URL+s.procedure)
				resp, err := rpc.CallUnary(ctx, connect.NewRequest(wrapperspb.Int64(7)))
				if err != nil {
					return "", err
				}
				return resp.Msg.GetValue(), nil
			}
			r.calls(call)
			reply := r.start(call)
			th := r.stopped(s.prefix + "-price")
			frozen := time.Now()
			th.named(s.procedure)
			th.step(reply, s.prefix, "7", "799", "main."+s.prefix, s.gate, "http.(*conn).serve")
			if s.outlives {
				must(t, harness.Until(10*time.Second, "the write timeout has passed", func() error {
					return tooEarly(time.Since(frozen))
				}))
			}
			th.resume()
			if !s.outlives {
				return // as documented, and it depends on how long the steps took
			}
			if got := ok(t, reply); got != "7 799" {
				t.Errorf("the response is %q", got)
			}
		})
	}
}

// TestFreezeProxyProto freezes the request of a client whose address only the
// proxy knows.
func TestFreezeProxyProto(t *testing.T) {
	const proxy = "127.0.0.3"
	r := newRig(t, "proxyproto", "order-price")
	// send sends a request over a new connection that begins with a header.
	send := func(ctx context.Context, from, header string) (string, error) {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := dialer.DialContext(ctx, "tcp", r.addr())
		if err != nil {
			return "", err
		}
		defer c.Close()
		if deadline, ok := ctx.Deadline(); ok {
			c.SetDeadline(deadline)
		}
		fmt.Fprintf(c, "%sGET /orders/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n", header)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return resp.Status, err
		}
		return string(body), err
	}
	of := func(client string) string { return "PROXY TCP4 " + client + " 127.0.0.9 4711 80\r\n" }
	call := func(ctx context.Context, from string) (string, error) {
		got, err := send(ctx, proxy, of(from))
		if want := "7 799 for " + from + ":4711\n"; err == nil && got != want {
			err = fmt.Errorf("got %q, want %q", got, want)
		}
		return got, err
	}
	r.calls(call)
	reply := r.start(call)
	th := r.stopped("order-price")
	frozen := time.Now()
	if got, want := th.name(), "GET /orders/7 from "+harness.Allowed; got != want {
		t.Errorf("the thread is called %q, want %q", got, want)
	}
	th.step(reply, "order", "7", "799", "main.order", "middleware.(*handler).serveArmed", "http.(*conn).serve")

	// Whoever claims the address without being the proxy is not debugged.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got, err := send(ctx, harness.Others, of(harness.Allowed)); err != nil || got != "400 Bad Request" {
		t.Errorf("a header of no proxy's: %q, %v", got, err)
	}
	if got, err := send(ctx, proxy, of(harness.Others)+of(harness.Allowed)); err != nil || got != "400 Bad Request" {
		t.Errorf("a header behind the proxy's: %q, %v", got, err)
	}
	must(t, harness.Until(10*time.Second, "the write timeout has passed", func() error {
		return tooEarly(time.Since(frozen))
	}))
	held(t, reply)
	th.resume()
	if got := ok(t, reply); got != "7 799 for "+harness.Allowed+":4711\n" {
		t.Errorf("the response is %q", got)
	}
}
