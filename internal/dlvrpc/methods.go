//go:build linux && amd64

package dlvrpc

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
)

// service is what is called from outside: its methods are those of Delve's
// RPCServer, each in one of two forms, for a type A of arguments and R of
// results:
//
//	func(A, *R) error
//	func(A, *R) (later, error)
//
// The second waits: later, if it is not nil, is run in a goroutine of its own,
// and the call is answered when it returns. What the method itself does is done
// before the next call is looked at.
type service struct{ *conn }

// later is the part of a call that waits.
type later func(ctx context.Context) error

// method is one of service's.
type method struct {
	name       string
	fn         reflect.Value
	arg, reply reflect.Type
}

// methods is the table of all of them, by the names on the wire.
var methods = table()

func table() map[string]*method {
	t := reflect.TypeFor[service]()
	all := make(map[string]*method)
	for i := range t.NumMethod() {
		m := t.Method(i)
		all["RPCServer."+m.Name] = &method{
			name: m.Name, fn: m.Func,
			arg: m.Type.In(1), reply: m.Type.In(2).Elem(),
		}
	}
	return all
}

func (m *method) newArg() any   { return reflect.New(m.arg).Interface() }
func (m *method) newReply() any { return reflect.New(m.reply).Interface() }

// run carries out a call but for the part that waits.
func (m *method) run(c *conn, arg, reply any) (then later, err error) {
	err = guarded(c, m.name, func() error {
		if c.refusal != nil && m.name != "SetApiVersion" {
			return c.refusal
		}
		if err := c.admit(m, arg); err != nil {
			return err
		}
		out := m.fn.Call([]reflect.Value{reflect.ValueOf(service{c}), reflect.ValueOf(arg).Elem(), reflect.ValueOf(reply)})
		err, _ := out[len(out)-1].Interface().(error)
		if len(out) == 2 {
			then, _ = out[0].Interface().(later)
		}
		return err
	})
	c.recordOutcome(m, arg, err)
	return then, err
}

// guarded runs f and makes a panic its error: one call fails, the session goes
// on. (Delve's tables are read from the binary and from memory that changes.)
func guarded(c *conn, name string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Log(fmt.Sprintf("dlvrpc: %s: panic: %v\n%s", name, p, debug.Stack()))
			err = fmt.Errorf("remotedbg: %s: internal error: %v: please report it with the agent's output", name, p)
		}
	}()
	return f()
}
