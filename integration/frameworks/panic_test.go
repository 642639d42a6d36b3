//go:build linux && amd64

package frameworks_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-dap"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// atPanics asks for stops at panics, and nothing else.
func (r *rig) atPanics(filters ...string) {
	r.t.Helper()
	m, err := r.Do("setExceptionBreakpoints", dap.SetExceptionBreakpointsArguments{Filters: filters})
	must(r.t, err)
	for i, bp := range m.(*dap.SetExceptionBreakpointsResponse).Body.Breakpoints {
		if !bp.Verified {
			r.t.Fatalf("filter %s: %s", filters[i], bp.Message)
		}
	}
}

// panicked waits for a stop at the panic of the handler unlucky: its frame must be
// on top, with its variables, and the others are served.
func (r *rig) panicked(kind string) *thread {
	r.t.Helper()
	stop, err := r.WaitStopped(daptest.AnyThread)
	must(r.t, err)
	if stop.Reason != "exception" || stop.AllThreadsStopped || !strings.HasPrefix(stop.Description, kind+": ") || !strings.Contains(stop.Description, "13 is unlucky") {
		r.t.Fatalf("stopped event %+v, want a %s", stop, kind)
	}
	th := &thread{r, stop.ThreadId}
	top := th.stack()[0]
	if !th.at("unlucky", top) {
		r.t.Fatalf("stopped at %s, want unlucky on top", place(top))
	}
	m, err := r.Do("exceptionInfo", dap.ExceptionInfoArguments{ThreadId: th.id})
	must(r.t, err)
	info := m.(*dap.ExceptionInfoResponse).Body
	if info.ExceptionId != kind || info.Details == nil || info.Details.FullTypeName != "*errors.errorString" && info.Details.FullTypeName != "*fmt.wrapError" {
		r.t.Errorf("exceptionInfo %+v, %+v", info, info.Details)
	}
	must(r.t, r.probe(harness.Others, 50))
	return th
}

// TestPanicRecovery stops requests at a panic that each framework's recovery
// middleware recovers, inside of the gate or outside of it; the client gets what
// it gets without a debugger.
func TestPanicRecovery(t *testing.T) {
	for _, s := range []struct {
		folder, path string
		inside       bool // the recovery is: it runs while the request is traced
	}{
		{"plain", "/panics/13", false}, // net/http's own
		{"chi", "/panics/13", false},
		{"chi", "/inside/panics/13", true},
		{"gin", "/panics/13", true},
		{"echo", "/panics/13", true},
		{"echov5", "/panics/13", true},
		{"fiber", "/panics/13", false},
	} {
		t.Run(s.folder+strings.ReplaceAll(s.path, "/", "-"), func(t *testing.T) {
			r := newRig(t, s.folder)
			r.atPanics("panic")
			reply := r.request("GET", s.path)
			th := r.panicked("panic")
			held(t, reply)
			th.resume()
			r.asWithout(s.path, reply)

			r.atPanics("recovered", "fatal")
			reply = r.request("GET", s.path)
			if s.inside {
				r.panicked("recovered panic").resume()
			}
			r.asWithout(s.path, reply)
		})
	}
}

// asWithout fails unless the reply is what a client gets that nobody debugs.
func (r *rig) asWithout(path string, reply <-chan harness.Reply) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := harness.NewClient(r.service.URL, harness.Others, 1)
	defer client.Close()
	want := client.Send(ctx, "GET", path, nil)
	select {
	case got := <-reply:
		if got.Status != want.Status || got.Body != want.Body || (got.Err == nil) != (want.Err == nil) {
			r.t.Errorf("%s: status %d, body %q, error %v; without a debugger it is %d, %q, %v", path, got.Status, got.Body, got.Err, want.Status, want.Body, want.Err)
		}
	case <-ctx.Done():
		r.t.Fatal("no response to the allowlisted request")
	}
}

// TestPanicRecoveryGRPC is TestPanicRecovery for an interceptor.
func TestPanicRecoveryGRPC(t *testing.T) {
	r := newRig(t, "grpc")
	get := func(id int64) caller {
		return func(ctx context.Context, from string) (string, error) {
			cc, err := dialGRPC(r, from)
			if err != nil {
				return "", err
			}
			defer cc.Close()
			out := new(wrapperspb.StringValue)
			err = cc.Invoke(ctx, "/shop.Orders/Get", wrapperspb.Int64(id), out)
			return out.GetValue(), err
		}
	}
	r.calls(get(7))
	r.recoveredCall(get(13), "rpc error: code = Internal desc = recovered: order 13 is unlucky")
}

// TestPanicRecoveryConnect is TestPanicRecovery for connect.WithRecover.
func TestPanicRecoveryConnect(t *testing.T) {
	r := newRig(t, "connect")
	get := func(id int64) caller {
		return func(ctx context.Context, from string) (string, error) {
			client := harness.NewClient(r.service.URL, from, 1)
			defer client.Close()
			rpc := connect.NewClient[wrapperspb.Int64Value, wrapperspb.StringValue](client.HTTP, r.service.URL+"/shop.Carts/Get")
			resp, err := rpc.CallUnary(ctx, connect.NewRequest(wrapperspb.Int64(id)))
			if err != nil {
				return "", err
			}
			return resp.Msg.GetValue(), nil
		}
	}
	r.calls(get(7))
	r.recoveredCall(get(13), "internal: recovered: cart 13 is unlucky")
}

// recoveredCall stops a call at its panic and again when it was recovered, which
// it must be while the call is traced.
func (r *rig) recoveredCall(call caller, want string) {
	r.t.Helper()
	r.atPanics("panic", "recovered", "fatal")
	reply := r.start(call)
	th := r.panicked("panic")
	held(r.t, reply)
	must(r.t, th.Continue(th.id))
	r.panicked("recovered panic").resume()
	select {
	case got := <-reply:
		if got.Err == nil || got.Err.Error() != want {
			r.t.Errorf("the call ended with %q, %v, want %q", got.Body, got.Err, want)
		}
	case <-time.After(30 * time.Second):
		r.t.Fatal("the call does not end")
	}
}
