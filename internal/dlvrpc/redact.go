//go:build linux && amd64

package dlvrpc

import (
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/redact"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// guard is what hides secrets from the client; nil if there is no session.
func (c *conn) guard() *taint.Guard {
	if c.sess == nil {
		return nil
	}
	return c.sess.Guard()
}

// programs are the methods whose answers are the text of the program and not its
// data.
var programs = map[string]bool{
	"RPCServer.ListFunctions": true, "RPCServer.ListTypes": true, "RPCServer.ListSources": true, "RPCServer.Disassemble": true,
	"RPCServer.ListPackagesBuildInfo": true, "RPCServer.TypeInfo": true, "RPCServer.BuildID": true, "RPCServer.FindLocation": true,
}

// cleanWriter is the last look at messages before they leave. Each is one Write
// (encoding/json.Encoder).
type cleanWriter struct {
	io.Writer
	guard *taint.Guard
	data  bool // the message is the service's data
	raw   bool // and is bytes, which were masked as they were read
}

func (w *cleanWriter) Write(p []byte) (int, error) {
	if w.raw {
		return w.Writer.Write(p)
	}
	if _, err := w.Writer.Write(w.guard.Wire(p, w.data)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// seen is the memory that the client was shown. It may be used by any goroutine.
type seen struct {
	mu   sync.Mutex
	list *taint.Extents
}

// forget is for when requests go on: the memory is used for something else.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

func (s *seen) has(addr uint64, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list.Has(addr, uint64(n))
}

// with runs f with the extents.
func (s *seen) with(f func(*taint.Extents)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = new(taint.Extents)
	}
	f(s.list)
}

// hide takes the secrets out of a reply, wherever variables are in it, and notes
// what is left.
func (c *conn) hide(reply any) {
	g := c.guard()
	if g == nil || reply == nil {
		return
	}
	c.seen.with(func(e *taint.Extents) { hider{g, e}.walk(reflect.ValueOf(reply), 0) })
	if out, ok := reply.(*rpc2.ListRegistersOut); ok && g.SealsMemory() {
		hideRegisters(g, out)
	}
}

type hider struct {
	g    *taint.Guard
	seen *taint.Extents
}

var variableType = reflect.TypeFor[api.Variable]()

// walk looks for variables and labels.
func (h hider) walk(v reflect.Value, depth int) {
	const deepest = 12 // replies are lists of stacks of frames of variables
	if depth > deepest {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			h.walk(v.Elem(), depth+1)
		}
	case reflect.Slice:
		for i := range v.Len() {
			h.walk(v.Index(i), depth+1)
		}
	case reflect.Struct:
		if v.Type() == variableType && v.CanAddr() {
			one := v.Addr().Interface().(*api.Variable)
			h.g.API(one, true)
			h.note(one)
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				h.walk(v.Field(i), depth+1)
			}
		}
	case reflect.Map:
		if labels, ok := v.Interface().(map[string]string); ok {
			for k := range labels {
				if h.g.Key(k) {
					labels[k] = redact.Mark
				}
			}
		}
	}
}

// note remembers where a variable lies that is shown.
func (h hider) note(v *api.Variable) {
	switch v.Kind {
	case reflect.String:
		if !strings.Contains(v.Value, redact.Mark) {
			h.seen.AddRange(v.Base, uint64(len(v.Value)))
		}
	case reflect.Struct, reflect.Array, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Chan, reflect.Func:
	default:
		if v.Value != redact.Mark && v.Unreadable == "" {
			h.seen.AddRange(v.Addr, sizes[v.RealType])
		}
	}
	for i := range v.Children {
		h.note(&v.Children[i])
	}
}

// sizes of the types whose values are numbers, in bytes.
var sizes = map[string]uint64{
	"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4,
	"int64": 8, "uint64": 8, "int": 8, "uint": 8, "uintptr": 8, "float64": 8,
}

// hideRegisters leaves out what may be a part of a secret: a register has eight
// bytes and more of it at a time.
func hideRegisters(g *taint.Guard, out *rpc2.ListRegistersOut) {
	for i := range out.Regs {
		r := &out.Regs[i]
		digits, isHex := strings.CutPrefix(r.Value, "0x")
		data, err := hex.DecodeString(digits)
		if !isHex || err != nil || len(data) > 8 {
			r.Value = redact.Mark // of vectors
			continue
		}
		r.Value = g.Register(r.Value, data)
	}
	out.Registers = out.Regs.String()
}

// errSecret is the answer where there is no value to blank.
func errSecret(expr string) error {
	return fmt.Errorf("%s: %w", strings.TrimSpace(expr), taint.ErrRedacted)
}

// evaluate is Delve's evaluation of what the client wrote.
func (c *conn) evaluate(scope *proc.EvalScope, expr string, cfg proc.LoadConfig) (*api.Variable, error) {
	if secret, err := c.check(scope, expr); err != nil {
		return nil, err
	} else if secret {
		v := &api.Variable{Name: expr}
		taint.Blank(v)
		return v, nil
	}
	v, err := scope.EvalExpression(expr, cfg)
	if err != nil {
		return nil, err
	}
	return api.ConvertVar(v), nil
}

// check is Guard.Check with what the client was shown.
func (c *conn) check(scope *proc.EvalScope, expr string) (secret bool, err error) {
	c.seen.with(func(e *taint.Extents) { secret, err = c.guard().Check(scope, expr, e) })
	return secret, err
}

// mayUse refuses an expression whose value goes elsewhere than to the client, if
// it is a secret or makes a pointer of something else.
func (c *conn) mayUse(scope *proc.EvalScope, expr string) error {
	secret, err := c.check(scope, expr)
	if secret {
		return errSecret(expr)
	}
	return err
}

// mayRead refuses memory that the client was not shown.
func (c *conn) mayRead(addr uint64, n int) error {
	if n > 0 && c.guard().SealsMemory() && !c.seen.has(addr, n) {
		return taint.ErrSealed
	}
	return nil
}

// mayDisassemble refuses what is no program text.
func (c *conn) mayDisassemble(bi *proc.BinaryInfo, from, to uint64) error {
	if !c.guard().SealsMemory() || from == to {
		return nil
	}
	if bi.PCToFunc(from) == nil || bi.PCToFunc(to-1) == nil {
		return taint.ErrSealed
	}
	return nil
}

// mayFilter refuses a filter that would tell what a redacted label is.
func (c *conn) mayFilter(filters []api.ListGoroutinesFilter) error {
	for _, f := range filters {
		if key, _, exact := strings.Cut(f.Arg, "="); f.Kind == api.GoroutineLabel && exact && c.guard().Key(key) {
			return errSecret("label " + key)
		}
	}
	return nil
}
