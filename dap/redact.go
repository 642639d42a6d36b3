//go:build linux && amd64

package dap

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// guard is what hides secrets from the client; nil while there is no session.
func (c *conn) guard() *taint.Guard {
	if c.sess == nil {
		return c.lastGuard
	}
	return c.sess.Guard()
}

// programs are the commands whose answers are the text of the program and not its
// data.
var programs = map[string]bool{
	"source": true, "modules": true, "loadedSources": true, "disassemble": true, "initialize": true,
}

// clean is the last look at a message before it leaves.
func (c *conn) clean(m message, body []byte) []byte {
	r, isResponse := m.(*response)
	if isResponse && r.Command == "readMemory" && r.Success {
		return body // base64: what it stands for was masked as it was read
	}
	return c.guard().Wire(body, !isResponse || !programs[r.Command])
}

// hiddenRow is a row for a secret: nothing leads further from it.
func hiddenRow(name, expr, typ string) dap.Variable {
	return dap.Variable{Name: name, Value: redact.Mark, Type: typ, EvaluateName: expr}
}

// hidden is hiddenRow for what Delve read.
func (x *viewer) hidden(v *proc.Variable, name, expr string) dap.Variable {
	return hiddenRow(name, expr, shortType(v.TypeString()))
}

// hidesField tells whether a field of a struct is a secret.
func (x *viewer) hidesField(parent *proc.Variable, field *proc.Variable) bool {
	st, ok := taint.Resolved(parent.RealType).(*godwarf.StructType)
	return ok && (x.g.Field(st.StructName, field.Name, field.DwarfType) || x.keyedSecret(x.of(parent), st) && isValueField(field.Name))
}

// hiddenFields are those of a struct that brief texts leave out.
func (x *viewer) hiddenFields(v val, st *godwarf.StructType) func(f *godwarf.StructField) bool {
	if x.g == nil {
		return func(*godwarf.StructField) bool { return false }
	}
	keyed := x.keyedSecret(v, st)
	return func(f *godwarf.StructField) bool {
		return x.g.Field(st.StructName, f.Name, f.Type) || keyed && isValueField(f.Name)
	}
}

func isValueField(name string) bool {
	return name == "Value" || name == "value" || name == "Val" || name == "val"
}

// keyedSecret tells a struct of a key and a value whose key names a secret, such
// as slog.Attr.
func (x *viewer) keyedSecret(v val, st *godwarf.StructType) bool {
	if x.g == nil || len(st.Field) < 2 || len(st.Field) > 8 {
		return false
	}
	for _, f := range st.Field {
		if f.Name != "Key" && f.Name != "key" && f.Name != "Name" && f.Name != "name" {
			continue
		}
		if s, _, ok := v.field(f.Name).str(maxPart); ok && x.g.Key(s) {
			return true
		}
	}
	return false
}

// hidesKey tells whether a map's entry is a secret by its key.
func (x *viewer) hidesKey(key *proc.Variable) bool {
	if x.g == nil || key.Kind != reflect.String {
		return false
	}
	s, _, ok := x.of(key).str(maxPart)
	return ok && x.g.Key(s)
}

// noteShown remembers where a value lies that the client was shown: there it may
// read memory.
func (x *viewer) noteShown(v *proc.Variable) {
	if x.seen == nil || v.Unreadable != nil {
		return
	}
	if isReal(v.Addr) && v.Flags&proc.VariableFakeAddress == 0 {
		x.seen.Add(x.g, v.DwarfType, v.Addr)
	}
	switch v.Kind {
	case reflect.String:
		if v.Len > 0 && v.Len < 1<<40 {
			x.seen.AddRange(v.Base, uint64(v.Len))
		}
	case reflect.Slice:
		if st, ok := taint.Resolved(v.RealType).(*godwarf.SliceType); ok {
			x.seen.AddElements(x.g, st.ElemType, v.Base, v.Len)
		}
	case reflect.Pointer:
		if len(v.Children) == 1 && isReal(v.Children[0].Addr) {
			x.seen.Add(x.g, v.Children[0].DwarfType, v.Children[0].Addr)
		}
	}
}

// checked is Delve's evaluation of what the client wrote. secret says that the
// value must not be shown: it was not looked at, or has the type of one.
func (x *viewer) checked(expr string, cfg proc.LoadConfig) (v *proc.Variable, secret bool, err error) {
	if secret, err = x.g.Check(x.scope, expr, x.seen); secret || err != nil {
		return nil, secret, err
	}
	if v, err = x.scope.EvalExpression(expr, cfg); err != nil {
		return nil, false, err
	}
	return v, x.g.Type(v.DwarfType), nil
}

// mayUse refuses an expression whose value goes elsewhere than to the client, if
// it is a secret or makes a pointer of something else.
func (x *viewer) mayUse(expr string) error {
	secret, err := x.g.Check(x.scope, expr, x.seen)
	if secret {
		err = fmt.Errorf("%s: %w", clip(expr, maxKey), taint.ErrRedacted)
	}
	return err
}

// mayRead is how many of the n bytes at addr the client may read as memory.
func (c *conn) mayRead(addr, n uint64) uint64 {
	if !c.guard().SealsMemory() {
		return n
	}
	most := uint64(0)
	for _, s := range c.handles.byReq {
		most = max(most, s.seen.Prefix(addr, n))
	}
	return most
}

// errSealed says why memory is not read.
func errSealed(addr uint64) error { return fmt.Errorf("%#x: %w", addr, taint.ErrSealed) }

// mayWatch refuses a data breakpoint on what the client was not shown: that it is
// hit tells what is there.
func (c *conn) mayWatch(addr uint64, size int) error {
	if size > 0 && c.mayRead(addr, uint64(size)) == uint64(size) {
		return nil
	}
	return errSealed(addr)
}

// mayWatchAt is mayWatch for an address as text; what is none is another's to
// refuse.
func (c *conn) mayWatchAt(name string, bytes int) error {
	addr, err := strconv.ParseUint(name, 0, 64)
	if err != nil {
		return nil
	}
	if bytes == 0 {
		bytes = 8
	}
	return c.mayWatch(addr, bytes)
}

// watchedBefore tells the ids of data that this connection has handed out. A
// client makes up others only to look at memory.
func (c *conn) watchedBefore(id string) bool { return !c.guard().SealsMemory() || c.watched[id] }

// maxWatched bounds the ids that are remembered.
const maxWatched = 4096

func (c *conn) handOut(id string) string {
	if c.watched == nil || len(c.watched) >= maxWatched {
		c.watched = make(map[string]bool)
	}
	c.watched[id] = true
	return id
}

// redactedBody is the answer to an expression whose value is a secret.
func redactedBody() dap.EvaluateResponseBody { return dap.EvaluateResponseBody{Result: redact.Mark} }
