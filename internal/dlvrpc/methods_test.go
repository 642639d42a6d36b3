//go:build linux && amd64

package dlvrpc

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// TestEveryMethod holds the table against Delve's own service: every method of
// it is there, with the same arguments and results, and nothing else is.
func TestEveryMethod(t *testing.T) {
	want := make(map[string]bool)
	theirs := reflect.TypeFor[*rpc2.RPCServer]()
	for i := range theirs.NumMethod() {
		m := theirs.Method(i)
		name := "RPCServer." + m.Name
		want[name] = true
		ours := methods[name]
		if ours == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		if arg := m.Type.In(1); ours.arg != arg {
			t.Errorf("%s takes %v, Delve's takes %v", name, ours.arg, arg)
		}
		// Those that may wait have no result there but a callback, whose type
		// follows the name.
		reply := m.Type.In(2)
		if reply.Kind() == reflect.Pointer && ours.reply != reply.Elem() {
			t.Errorf("%s answers with %v, Delve's with %v", name, ours.reply, reply.Elem())
		}
		if reply.Kind() == reflect.Interface && ours.reply.Name() != m.Name+"Out" {
			t.Errorf("%s answers with %v", name, ours.reply)
		}
	}
	// From rpccommon, which serves them beside.
	for name, types := range map[string][2]reflect.Type{
		"RPCServer.GetVersion":    {reflect.TypeFor[api.GetVersionIn](), reflect.TypeFor[api.GetVersionOut]()},
		"RPCServer.SetApiVersion": {reflect.TypeFor[api.SetAPIVersionIn](), reflect.TypeFor[api.SetAPIVersionOut]()},
	} {
		want[name] = true
		if m := methods[name]; m == nil || m.arg != types[0] || m.reply != types[1] {
			t.Errorf("%s is missing or takes other types", name)
		}
	}
	for name := range methods {
		if !want[name] {
			t.Errorf("%s is no method of Delve's", name)
		}
	}
	if len(want) < 50 {
		t.Errorf("only %d methods were found in Delve", len(want))
	}
}

// TestPanicIsOneCalls: a panic is the error of its call, and is logged.
func TestPanicIsOneCalls(t *testing.T) {
	var logged string
	c := &conn{cfg: Config{Log: func(s string) { logged += s }}}
	err := guarded(c, "Eval", func() error { panic("torn memory") })
	if err == nil || !strings.Contains(err.Error(), "torn memory") {
		t.Errorf("the call came to %v", err)
	}
	if !strings.Contains(logged, "TestPanicIsOneCalls") {
		t.Errorf("the log has no stack: %q", logged)
	}
}
