package taint

import (
	"encoding/binary"
	"fmt"
	"go/constant"
	"reflect"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// visit queues what a value leads to, and takes the texts.
func (c *Search) visit(it item) {
	below := it
	below.depth++
	if it.hot {
		below.inside++
	}
	switch t := Resolved(it.t).(type) {
	case *godwarf.StringType:
		if p, n, ok := c.header(it.addr); ok {
			c.text(p, n, it.hot, it.forever)
		}
	case *godwarf.SliceType:
		if p, n, ok := c.header(it.addr); ok {
			c.elements(below, t.ElemType, p, n)
		}
	case *godwarf.ArrayType:
		c.elements(below, t.Type, it.addr, t.Count)
	case *godwarf.PtrType:
		if p, ok := c.word(it.addr); ok {
			below.t, below.addr = t.Type, p
			below.hot = it.hot || c.g.Type(t.Type)
			c.push(below)
		}
	case *godwarf.StructType:
		c.fields(below, t, it.addr)
	case *godwarf.InterfaceType:
		c.held(below, t, it.addr)
	case *godwarf.MapType, *godwarf.ChanType, *godwarf.FuncType:
		if p, ok := c.word(it.addr); ok && p != 0 {
			if v := c.ask(it.t, it.addr); v != nil {
				c.loaded(v, it.hot, it.forever, below.depth)
			}
		}
	}
}

// fields queues those of a struct. One whose key names a secret has it in its
// value, as slog.Attr does.
func (c *Search) fields(it item, st *godwarf.StructType, addr uint64) {
	switch {
	case strings.HasPrefix(st.StructName, trieNode):
		c.trie(it, st.StructName, addr)
		return
	case strings.HasPrefix(st.StructName, "sync/atomic.Pointer["):
		c.atomicPointer(it, st, addr)
		return
	}
	l := c.g.layout(st)
	keyed := false
	for i := 0; i < len(l.keys) && !it.hot && !keyed; i++ {
		keyed = c.keyNames(l.keys[i].t, addr+l.keys[i].offset, 0)
	}
	for i := range l.fields {
		f := &l.fields[i]
		ch := it
		ch.t, ch.addr = f.t, addr+f.offset
		ch.forever = it.forever || f.tagged
		ch.hot = it.hot || f.hot || keyed && f.value
		c.push(ch)
	}
}

func isKeyName(s string) bool   { return s == "Key" || s == "key" || s == "Name" || s == "name" }
func isValueName(s string) bool { return s == "Value" || s == "value" || s == "Val" || s == "val" }

// keyNames tells whether the key at addr names a secret: by its text, or by the
// type of what the interface holds, as keys of a context do.
func (c *Search) keyNames(t godwarf.Type, addr uint64, depth int) bool {
	switch u := Resolved(t).(type) {
	case *godwarf.StringType:
		p, n, ok := c.header(addr)
		if !ok || n >= 256 {
			return false
		}
		buf := make([]byte, n)
		return c.mem.read(buf, p) && c.g.Key(string(buf))
	case *godwarf.InterfaceType:
		d, at := c.dynamic(u, addr)
		return d != nil && depth == 0 && (c.g.Name(d.Common().Name) || c.keyNames(d, at, 1))
	}
	return false
}

// atomicPointer queues what an atomic.Pointer points to. It keeps an
// unsafe.Pointer, and names the type in a field without size (sync/atomic/type.go).
func (c *Search) atomicPointer(it item, st *godwarf.StructType, addr uint64) {
	for _, f := range st.Field {
		if list, ok := Resolved(f.Type).(*godwarf.ArrayType); ok {
			if pt, ok := Resolved(list.Type).(*godwarf.PtrType); ok {
				it.t = pt.Type
			}
		}
		if f.Name == "v" {
			var ok bool
			if it.addr, ok = c.word(addr + uint64(f.ByteOffset)); !ok {
				return
			}
		}
	}
	if _, isVoid := it.t.(*godwarf.VoidType); !isVoid && it.addr != addr {
		it.hot = it.hot || c.g.Type(it.t)
		c.push(it)
	}
}

// trieNode is how the nodes of sync.Map are called, which point to entries and to
// other nodes by a pointer to what they have in common (internal/sync/hashtriemap.go).
const trieNode = "internal/sync.node["

// trie queues what a node of a sync.Map is the beginning of.
func (c *Search) trie(it item, name string, addr uint64) {
	var isEntry [1]byte
	if !c.mem.read(isEntry[:], addr) {
		return
	}
	whole := "internal/sync.indirect["
	if isEntry[0] == 1 {
		whole = "internal/sync.entry["
	}
	t, err := c.scope.BinInfo.FindType(whole + strings.TrimPrefix(name, trieNode))
	if err != nil {
		return // the program has no such map
	}
	it.t, it.addr = t, addr
	c.push(it)
}

// elements queues those of a list; of one of bytes it takes the text.
func (c *Search) elements(it item, elem godwarf.Type, base uint64, n int64) {
	if elem == nil || n <= 0 {
		return
	}
	size := elem.Size()
	if size == 1 {
		c.text(base, n, it.hot, it.forever)
		return
	}
	it.hot = it.hot || c.g.Type(elem)
	if !it.hot && !leads(elem, 0) {
		return
	}
	for i := range min(n, maxElements) {
		ch := it
		ch.t, ch.addr = elem, base+uint64(i*size)
		c.push(ch)
	}
}

// leads tells types in which there can be a text.
func leads(t godwarf.Type, depth int) bool {
	switch u := Resolved(t).(type) {
	case *godwarf.BoolType, *godwarf.IntType, *godwarf.UintType, *godwarf.FloatType, *godwarf.ComplexType:
		return false
	case *godwarf.ArrayType:
		return depth > 8 || u.Type.Size() == 1 || leads(u.Type, depth+1)
	}
	return true
}

// held queues what an interface holds.
func (c *Search) held(it item, t *godwarf.InterfaceType, addr uint64) {
	if it.t, it.addr = c.dynamic(t, addr); it.t != nil {
		it.hot = it.hot || c.g.Type(it.t)
		c.push(it)
	}
}

// dynamic is the type of what an interface holds and where that is; nil if it is
// nil or cannot be told.
func (c *Search) dynamic(t *godwarf.InterfaceType, addr uint64) (godwarf.Type, uint64) {
	w, ok := c.word(addr)
	if !ok || w == 0 || w >= userMemory {
		return nil, 0
	}
	d, known := c.g.shared.program.dynamic[w]
	if !known {
		if v := c.ask(t, addr); v != nil && v.Kind == reflect.Interface && len(v.Children) == 1 && v.Children[0].DwarfType != nil {
			d = dynamic{v.Children[0].DwarfType, v.Children[0].Addr == addr+8}
		}
		if len(c.g.shared.program.dynamic) > 4096 {
			clear(c.g.shared.program.dynamic)
		}
		if c.asked < maxAsked {
			c.g.shared.program.dynamic[w] = d
		}
	}
	at := addr + 8
	if d.t != nil && !d.inside {
		if at, ok = c.word(addr + 8); !ok {
			return nil, 0
		}
	}
	return d.t, at
}

// asking is how much Delve reads where it has to be asked.
var asking = proc.LoadConfig{MaxStringLen: 256, MaxArrayValues: maxElements, MaxStructFields: -1}

// ask has Delve read a value.
func (c *Search) ask(t godwarf.Type, addr uint64) *proc.Variable {
	if c.asked >= maxAsked {
		return nil
	}
	c.asked++
	v, err := c.scope.EvalExpression(fmt.Sprintf("*(*%q)(%#x)", api.PrettyTypeName(t), addr), asking)
	if err != nil || v.Unreadable != nil {
		return nil
	}
	return v
}

// loaded queues the children of a map, a channel or a closure.
func (c *Search) loaded(v *proc.Variable, hot, forever bool, depth int) {
	switch v.Kind {
	case reflect.Map:
		for i := 0; i+1 < len(v.Children); i += 2 {
			key, val := &v.Children[i], &v.Children[i+1]
			entry := hot || c.g.Type(val.DwarfType)
			if key.Kind == reflect.String && key.Value != nil {
				entry = entry || c.g.Key(constant.StringVal(key.Value))
			}
			c.variable(key, hot || c.g.Type(key.DwarfType), forever, depth+1)
			c.variable(val, entry, forever, depth+1)
		}
	default:
		for i := range v.Children {
			ch := &v.Children[i]
			if ch.DwarfType != nil {
				c.variable(ch, hot || c.g.Var(ch.Name, ch.DwarfType), forever, depth+1)
			}
		}
	}
}

// labels takes those of the goroutine.
func (c *Search) labels(gr *proc.G) {
	for k, v := range gr.Labels() {
		if c.g.Key(k) {
			c.learn(v, false)
		}
		c.patterns(v)
	}
}

// text takes a text: all of it where it is a secret, else what patterns find.
func (c *Search) text(p uint64, n int64, hot, forever bool) {
	if n < redact.MinSecret || n > 1<<30 || p == 0 || p >= userMemory {
		return
	}
	most := int64(maxString)
	if !hot {
		most = 4 << 10
	}
	buf := make([]byte, min(n, most))
	if !c.mem.read(buf, p) {
		return
	}
	switch pr := &c.g.shared.program; {
	case !hot:
		c.patterns(string(buf))
	case p >= pr.roLow && p < pr.roHigh && !hasDigit(buf):
		// A literal of the source such as "Bearer": a name, not a secret.
	default:
		c.learn(string(buf), forever)
	}
}

func hasDigit(b []byte) bool {
	for _, ch := range b {
		if ch >= '0' && ch <= '9' {
			return true
		}
	}
	return false
}

func (c *Search) learn(s string, forever bool) {
	c.g.shared.Secrets.Add(s, forever)
	if c.g.policy.Lifted() {
		return
	}
	for _, d := range redact.Derive(s) {
		c.g.shared.Secrets.Add(d, forever)
	}
}

func (c *Search) patterns(s string) {
	for _, sp := range c.g.policy.Find([]byte(s)) {
		c.learn(s[sp.Start:sp.End], false)
	}
}

// header reads the two words of a string or a slice.
func (c *Search) header(addr uint64) (p uint64, n int64, ok bool) {
	var b [16]byte
	if !c.mem.read(b[:], addr) {
		return 0, 0, false
	}
	p, n = binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))
	return p, n, p != 0 && n > 0 && n < 1<<40
}

func (c *Search) word(addr uint64) (uint64, bool) {
	var b [8]byte
	ok := c.mem.read(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), ok
}
