package taint

import (
	"encoding/binary"
	"fmt"
	"go/constant"
	"reflect"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// Budget bounds a search.
type Budget struct {
	Frames int           // of the stack, the innermost first; 0: package variables alone
	Time   time.Duration // after it nothing new is looked at
}

// Bounds of a search besides its Budget.
const (
	maxValues   = 20_000 // looked at
	maxAsked    = 400    // of Delve: maps, closures, channels, types of interfaces
	maxElements = 64     // of a list or a map
	maxString   = 16 << 10
	maxDepth    = 24
	maxHotDepth = 6 // below a secret's name
)

// collector searches what a stopped request can reach for secrets.
type collector struct {
	g     *Guard
	mem   *Memory
	scope *proc.EvalScope
	until time.Time
	queue []item
	seen  map[place]bool
	asked int
	n     int
}

// item is a value to look at: of a type at an address.
type item struct {
	t             godwarf.Type
	addr          uint64
	v             *proc.Variable // instead, what Delve read where there is no address
	hot, forever  bool
	depth, inside int
}

// Collect looks for secrets in what the stopped thread of t can reach, the nearest
// first, and makes them known. It reads memory as it is.
func (g *Guard) Collect(t *proc.Target, mem *Memory, b Budget) error {
	if g == nil || g.policy.Lifted() && !g.shared.tags.any() {
		return nil
	}
	c := &collector{g: g, mem: mem, until: time.Now().Add(b.Time), seen: make(map[place]bool)}
	var err error
	mem.plainly(func() { err = c.run(t, b.Frames) })
	return err
}

func (c *collector) run(t *proc.Target, depth int) (err error) {
	if depth == 0 {
		if c.scope, err = packageScope(t); err != nil {
			return err
		}
		c.globals()
		c.drain(maxValues)
		return nil
	}
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), depth)
	if err != nil {
		return err
	}
	gr, _ := proc.GetG(t.CurrentThread())
	for i := range frames {
		fn := frames[i].Call.Fn
		if fn == nil || frames[i].Err != nil || fn.PackageName() == "runtime" {
			continue
		}
		scope := proc.FrameToScope(t, t.Memory(), gr, t.CurrentThread().ThreadID(), frames[i:]...)
		if c.scope == nil {
			c.scope = scope
		}
		c.frame(scope)
		c.drain(maxValues / 4)
		if time.Now().After(c.until) {
			break
		}
	}
	if c.scope == nil {
		return nil
	}
	c.globals()
	if gr != nil {
		c.labels(gr)
	}
	c.drain(maxValues)
	return nil
}

func (c *collector) globals() {
	for _, v := range c.g.shared.program.globals {
		c.push(item{t: v.t, addr: v.addr, hot: v.hot})
	}
}

// headers reads of a variable no more than where it is, and its fields.
var headers = proc.LoadConfig{MaxStructFields: -1}

func (c *collector) frame(scope *proc.EvalScope) {
	args, err := scope.FunctionArguments(headers)
	if err != nil {
		return
	}
	vars, _ := scope.LocalVariables(headers)
	for _, v := range append(args, vars...) {
		if v.DwarfType == nil || v.Unreadable != nil {
			continue
		}
		hot := c.g.Var(v.Name, v.DwarfType)
		c.variable(v, hot, false, 0)
	}
}

// variable queues what Delve read.
func (c *collector) variable(v *proc.Variable, hot, forever bool, depth int) {
	if v.Addr != 0 && v.Addr < userMemory && v.Flags&proc.VariableFakeAddress == 0 {
		c.push(item{t: v.DwarfType, addr: v.Addr, hot: hot, forever: forever, depth: depth})
		return
	}
	switch v.Kind {
	case reflect.String:
		c.text(v.Base, v.Len, hot, forever)
	case reflect.Slice:
		if st, ok := resolved(v.RealType).(*godwarf.SliceType); ok {
			c.elements(item{hot: hot, forever: forever, depth: depth}, st.ElemType, v.Base, v.Len)
		}
	case reflect.Pointer, reflect.Interface:
		for i := range v.Children {
			if ch := &v.Children[i]; ch.Addr != 0 && ch.DwarfType != nil {
				c.variable(ch, hot || c.g.Type(ch.DwarfType), forever, depth+1)
			}
		}
	case reflect.Struct:
		st := resolvedStruct(v.DwarfType)
		if st == nil || depth > maxDepth {
			return
		}
		for i := range v.Children {
			ch := &v.Children[i]
			tagged := c.g.Tagged(st.StructName, ch.Name)
			c.variable(ch, hot || tagged || c.g.Var(ch.Name, ch.DwarfType), forever || tagged, depth+1)
		}
	case reflect.Map, reflect.Chan, reflect.Func:
		if v.Base != 0 && v.DwarfType != nil {
			c.loaded(v, hot, forever, depth)
		}
	}
}

// userMemory bounds addresses of the service (TASK_SIZE_MAX in
// arch/x86/include/asm/page_64_types.h).
const userMemory = 1 << 47

func (c *collector) push(it item) {
	if it.addr == 0 || it.addr >= userMemory || it.t == nil || it.depth > maxDepth || it.inside > maxHotDepth || len(c.queue) > maxValues {
		return
	}
	c.queue = append(c.queue, it)
}

// drain looks at what is queued, in the order in which it was found.
func (c *collector) drain(most int) {
	for i := 0; i < len(c.queue) && c.n < most; i++ {
		if c.n++; c.n%64 == 0 && time.Now().After(c.until) {
			break
		}
		it := c.queue[i]
		key := place{it.addr, typeKeyOf(it)}
		if c.seen[key] {
			continue
		}
		c.seen[key] = true
		c.visit(it)
	}
	c.queue = c.queue[:0]
}

func typeKeyOf(it item) string {
	name := it.t.Common().Name
	if name == "" {
		name = fmt.Sprint(it.t.Common().Offset)
	}
	if it.hot {
		name += "!"
	}
	return name
}

func (c *collector) visit(it item) {
	below := it
	below.depth++
	if it.hot {
		below.inside++
	}
	switch t := resolved(it.t).(type) {
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
func (c *collector) fields(it item, st *godwarf.StructType, addr uint64) {
	if strings.HasPrefix(st.StructName, trieNode) && it.depth > 1 {
		c.trie(it, st.StructName, addr)
		return
	}
	keyed := !it.hot && c.keyed(st, addr)
	for _, f := range st.Field {
		ch := it
		ch.t, ch.addr = f.Type, addr+uint64(f.ByteOffset)
		tagged := c.g.Tagged(st.StructName, f.Name)
		ch.forever = it.forever || tagged
		ch.hot = it.hot || tagged || c.g.Var(f.Name, f.Type) || keyed && isValueName(f.Name)
		c.push(ch)
	}
}

func isKeyName(s string) bool   { return s == "Key" || s == "key" || s == "Name" || s == "name" }
func isValueName(s string) bool { return s == "Value" || s == "value" || s == "Val" || s == "val" }

func (c *collector) keyed(st *godwarf.StructType, addr uint64) bool {
	if len(st.Field) < 2 || len(st.Field) > 8 {
		return false
	}
	hasValue := false
	for _, f := range st.Field {
		hasValue = hasValue || isValueName(f.Name)
	}
	for _, f := range st.Field {
		if hasValue && isKeyName(f.Name) && c.keyNames(f.Type, addr+uint64(f.ByteOffset), 0) {
			return true
		}
	}
	return false
}

// keyNames tells whether the key at addr names a secret: by its text, or by the
// type of what the interface holds, as keys of a context do.
func (c *collector) keyNames(t godwarf.Type, addr uint64, depth int) bool {
	switch u := resolved(t).(type) {
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

// trieNode is how the nodes of sync.Map are called, which point to entries and to
// other nodes by a pointer to what they have in common (internal/sync/hashtriemap.go).
const trieNode = "internal/sync.node["

// trie queues what a node of a sync.Map is the beginning of.
func (c *collector) trie(it item, name string, addr uint64) {
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
func (c *collector) elements(it item, elem godwarf.Type, base uint64, n int64) {
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
	switch u := resolved(t).(type) {
	case *godwarf.BoolType, *godwarf.IntType, *godwarf.UintType, *godwarf.FloatType, *godwarf.ComplexType:
		return false
	case *godwarf.ArrayType:
		return depth > 8 || u.Type.Size() == 1 || leads(u.Type, depth+1)
	}
	return true
}

// held queues what an interface holds.
func (c *collector) held(it item, t *godwarf.InterfaceType, addr uint64) {
	if it.t, it.addr = c.dynamic(t, addr); it.t != nil {
		it.hot = it.hot || c.g.Type(it.t)
		c.push(it)
	}
}

// dynamic is the type of what an interface holds and where that is; nil if it is
// nil or cannot be told.
func (c *collector) dynamic(t *godwarf.InterfaceType, addr uint64) (godwarf.Type, uint64) {
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
func (c *collector) ask(t godwarf.Type, addr uint64) *proc.Variable {
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
func (c *collector) loaded(v *proc.Variable, hot, forever bool, depth int) {
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
func (c *collector) labels(gr *proc.G) {
	for k, v := range gr.Labels() {
		if c.g.Key(k) {
			c.learn(v, false)
		}
		c.patterns(v)
	}
}

// text takes a text: all of it where it is a secret, else what patterns find.
func (c *collector) text(p uint64, n int64, hot, forever bool) {
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

func (c *collector) learn(s string, forever bool) {
	c.g.shared.Secrets.Add(s, forever)
	if c.g.policy.Lifted() {
		return
	}
	for _, d := range redact.Derive(s) {
		c.g.shared.Secrets.Add(d, forever)
	}
}

func (c *collector) patterns(s string) {
	for _, sp := range c.g.policy.Find([]byte(s)) {
		c.learn(s[sp.Start:sp.End], false)
	}
}

// header reads the two words of a string or a slice.
func (c *collector) header(addr uint64) (p uint64, n int64, ok bool) {
	var b [16]byte
	if !c.mem.read(b[:], addr) {
		return 0, 0, false
	}
	p, n = binary.LittleEndian.Uint64(b[:]), int64(binary.LittleEndian.Uint64(b[8:]))
	return p, n, p != 0 && n > 0 && n < 1<<40
}

func (c *collector) word(addr uint64) (uint64, bool) {
	var b [8]byte
	ok := c.mem.read(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), ok
}
