//go:build linux && amd64

package dap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/invoke"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// fakeSession is a Session that a test scripts. It checks the contract from
// the engine's side: nothing may come after Close.
type fakeSession struct {
	events  chan session.Event
	sources []string
	target  *proc.Target  // what Inspect gives out
	slow    chan struct{} // if not nil, Symbols waits until it is closed
	waiting chan struct{} // with room for 1: gets one when Symbols waits
	status  session.Status
	audit   *audit.Log
	guard   *taint.Guard
	details session.Details
	result  invoke.Result // of Call
	calling chan struct{} // if not nil, Call closes it and does not return before its ctx ends

	mu          sync.Mutex
	requests    []session.Request
	calls       []string
	fail        map[string]error // by method
	panicIn     string           // method that panics
	onMove      func(id session.RequestID)
	breakpoints func(file string, want []session.SourceBreakpoint) []session.Breakpoint
	closed      chan struct{}
	afterClose  []string
}

func newFake() *fakeSession {
	return &fakeSession{
		events: make(chan session.Event, 100),
		guard:  taint.NewGuard(nil, new(taint.Shared)),
		fail:   map[string]error{},
		closed: make(chan struct{}),
	}
}

func (f *fakeSession) note(method string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := method
	if len(args) > 0 {
		call += fmt.Sprint(args...)
	}
	select {
	case <-f.closed:
		f.afterClose = append(f.afterClose, call)
	default:
	}
	f.calls = append(f.calls, call)
	if f.panicIn == method {
		panic("scripted panic in " + method)
	}
	return f.fail[method]
}

func (f *fakeSession) Events() <-chan session.Event { return f.events }
func (f *fakeSession) Audit() *audit.Log            { return f.audit }

func (f *fakeSession) Call(ctx context.Context, id session.RequestID, q session.CallRequest) (invoke.Result, error) {
	if err := f.note("Call ", id, q.Expr, q.Frame, q.Unsafe); err != nil {
		return invoke.Result{}, err
	}
	if f.calling != nil {
		close(f.calling)
		<-ctx.Done()
		return invoke.Result{}, context.Cause(ctx)
	}
	if f.result.Func == "" { // there was no call in it
		return invoke.Result{Exprs: []string{q.Expr}}, nil
	}
	return f.result, q.Before(f.result.Func)
}

func (f *fakeSession) Status() (session.Status, error) {
	err := f.note("Status")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, err
}

func (f *fakeSession) Details(session.RequestID, uint64) (session.Details, error) {
	return f.details, f.note("Details")
}

func (f *fakeSession) SetStopOnEntry(on bool)                { f.note("SetStopOnEntry ", on) }
func (f *fakeSession) SetWants(w session.Wants)              { f.note("SetWants ", w) }
func (f *fakeSession) Start()                                { f.note("Start") }
func (f *fakeSession) SourceLine(uint64) (string, int, bool) { return "", 0, false }
func (f *fakeSession) Sources() []string                     { f.note("Sources"); return f.sources }

func (f *fakeSession) SetBreakpoints(file string, want []session.SourceBreakpoint) ([]session.Breakpoint, error) {
	if err := f.note("SetBreakpoints ", file, want); err != nil {
		return nil, err
	}
	if f.breakpoints != nil {
		return f.breakpoints(file, want), nil
	}
	var got []session.Breakpoint
	for i, w := range want {
		got = append(got, session.Breakpoint{ID: i + 1, File: file, Line: w.Line, Verified: true})
	}
	return got, nil
}

func (f *fakeSession) SetFunctionBreakpoints(want []session.FunctionBreakpoint) ([]session.Breakpoint, error) {
	err := f.note("SetFunctionBreakpoints ", want)
	got := make([]session.Breakpoint, len(want))
	for i := range want {
		got[i] = session.Breakpoint{ID: i + 1, Message: "no such function"}
	}
	return got, err
}

func (f *fakeSession) SetInstructionBreakpoints(want []session.InstructionBreakpoint) ([]session.Breakpoint, error) {
	err := f.note("SetInstructionBreakpoints ", want)
	got := make([]session.Breakpoint, len(want))
	for i := range want {
		got[i] = session.Breakpoint{ID: i + 1, File: "/src/a.go", Line: 7, Verified: true}
	}
	return got, err
}

func (f *fakeSession) SetDataBreakpoints(want []session.DataBreakpoint) ([]session.Breakpoint, error) {
	err := f.note("SetDataBreakpoints ", want)
	got := make([]session.Breakpoint, len(want))
	for i := range want {
		got[i] = session.Breakpoint{ID: i + 1, Verified: true}
	}
	return got, err
}

func (f *fakeSession) SetExceptionFilters(want session.ExceptionFilters) (session.ExceptionBreakpoints, error) {
	return session.ExceptionBreakpoints{
			Raised: session.Breakpoint{ID: 1, Verified: true}, Recovered: session.Breakpoint{ID: 2, Verified: true},
			Response: session.Breakpoint{ID: 3, Message: "no slot"},
		}, f.note(fmt.Sprintf("SetExceptionFilters raised=%t fatal=%t recovered=%t response=%t",
			want.Raised != nil, want.Fatal != nil, want.Recovered != nil, want.Response != nil))
}

func (f *fakeSession) Watchable(id session.RequestID, _ *proc.Target, _ *proc.EvalScope, expr string) (session.Data, error) {
	return session.Data{Addr: 0x1000, Size: 8, Expr: expr, Request: id}, f.note("Watchable ", expr)
}

func (f *fakeSession) WatchableAt(id session.RequestID, _ *proc.Target, d session.Data) (session.Data, error) {
	d.Request = id
	return d, f.note("WatchableAt ", d)
}

func (f *fakeSession) Requests() []session.Request {
	f.note("Requests")
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]session.Request(nil), f.requests...)
}

func (f *fakeSession) move(method string, id session.RequestID) error {
	if err := f.note(method+" ", id); err != nil {
		return err
	}
	if err := f.note(method); err != nil {
		return err
	}
	if f.onMove != nil {
		f.onMove(id)
	}
	return nil
}

func (f *fakeSession) Continue(id session.RequestID) error { return f.move("Continue", id) }
func (f *fakeSession) Next(id session.RequestID) error     { return f.move("Next", id) }
func (f *fakeSession) StepIn(id session.RequestID) error   { return f.move("StepIn", id) }
func (f *fakeSession) StepOut(id session.RequestID) error  { return f.move("StepOut", id) }
func (f *fakeSession) NextInstruction(id session.RequestID) error {
	return f.move("NextInstruction", id)
}
func (f *fakeSession) StepInstruction(id session.RequestID) error {
	return f.move("StepInstruction", id)
}
func (f *fakeSession) Pause(id session.RequestID) error { return f.note("Pause") }

func (f *fakeSession) Inspect(id session.RequestID, use func(t *proc.Target) error) error {
	if err := f.note("Inspect"); err != nil {
		return err
	}
	for _, r := range f.requests {
		if r.ID == id && r.Frozen {
			return use(f.target)
		}
	}
	return session.ErrNoRequest
}

func (f *fakeSession) Unwind(id session.RequestID, use func(t *proc.Target) error) error {
	return f.Inspect(id, use)
}

func (f *fakeSession) Symbols(use func(bi *proc.BinaryInfo) error) error {
	if err := f.note("Symbols"); err != nil {
		return err
	}
	if f.slow != nil {
		select {
		case f.waiting <- struct{}{}:
		default:
		}
		<-f.slow
	}
	if f.target == nil {
		return use(proc.NewBinaryInfo("linux", "amd64", false))
	}
	return use(f.target.BinInfo())
}

func (f *fakeSession) WriteMemory(addr uint64, data []byte, partial bool) (int, error) {
	if err := f.note("WriteMemory ", addr, data, partial); err != nil {
		return 0, err
	}
	return f.target.Memory().WriteMemory(addr, data)
}

func (f *fakeSession) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
		f.afterClose = append(f.afterClose, "Close")
	default:
		close(f.closed)
	}
	return nil
}

func (f *fakeSession) called(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == call {
			return true
		}
	}
	return false
}

// aRequest is a frozen request with that id.
func aRequest(id int) session.Request {
	return session.Request{
		ID: session.RequestID(id), Method: "GET", Path: "/orders/7",
		Client: netip.MustParseAddr("203.0.113.7"), Since: time.Unix(0, 0), Frozen: true,
	}
}

// bench is a server with one client on a pipe of real sockets, and the log.
type bench struct {
	*daptest.Client
	fake *fakeSession
	conn net.Conn // the client's end

	mu  sync.Mutex
	log []string
	end chan error // what ServeConn returned
}

// serve starts a server for fake, with cfg's durations, and a client on it.
// When the test ends the connection is closed and ServeConn must return, with
// the session closed.
func serve(t *testing.T, fake *fakeSession, cfg dap.Config) *bench {
	t.Helper()
	b := &bench{fake: fake, end: make(chan error, 1)}
	if cfg.NewSession == nil {
		cfg.NewSession = func(access.Identity) (dap.Session, error) { return fake, nil }
	}
	if cfg.Linger == 0 {
		cfg.Linger = 200 * time.Millisecond
	}
	cfg.Log = func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.log = append(b.log, line)
	}
	srv, err := dap.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client, server := socketPair(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { b.end <- srv.ServeConn(ctx, server, access.Identity{Role: access.Mutate}) }()
	b.conn = client
	b.Client = daptest.New(client)
	t.Cleanup(func() {
		cancel()
		b.Client.Close()
		select {
		case err, ok := <-b.end:
			if ok && err != nil {
				t.Logf("ServeConn: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("ServeConn did not return after its connection was closed")
		}
		if len(fake.afterClose) > 0 {
			t.Errorf("called after Close: %v", fake.afterClose)
		}
	})
	return b
}

// ended waits for ServeConn to return.
func (b *bench) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-b.end:
		close(b.end) // for the cleanup
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("ServeConn did not return")
		return nil
	}
}

// socketPair is a connected pair of TCP sockets on loopback.
func socketPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// attached is serve with the handshake done up to configurationDone.
func attached(t *testing.T, fake *fakeSession) *bench {
	t.Helper()
	b := serve(t, fake, dap.Config{})
	if err := b.Session(""); err != nil {
		t.Fatal(err)
	}
	return b
}

// stopped announces that the request id is frozen and takes the event.
func (b *bench) stopped(t *testing.T, id int) {
	t.Helper()
	b.fake.events <- session.Event{Kind: session.EventStopped, Request: aRequest(id), Reason: session.StopBreakpoint}
	if _, err := b.WaitStopped(id); err != nil {
		t.Fatal(err)
	}
}

// failure is the response error of a request that must fail.
func failure(t *testing.T, err error) *daptest.ResponseError {
	t.Helper()
	var re *daptest.ResponseError
	if !errors.As(err, &re) {
		t.Fatalf("got %v, want an error response", err)
	}
	return re
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
