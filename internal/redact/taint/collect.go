package taint

import (
	"fmt"
	"reflect"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
)

// Bounds of a search.
const (
	maxValues   = 20_000 // looked at
	maxAsked    = 400    // of Delve: maps, closures, channels, types of interfaces
	maxElements = 64     // of a list or a map
	maxString   = 16 << 10
	maxDepth    = 24
	maxHotDepth = 6 // below a secret's name
)

// Search looks for secrets in what a stopped request can reach, the nearest
// first. It may go on in pieces while the request is stopped.
type Search struct {
	g     *Guard
	mem   *Memory
	t     *proc.Target
	depth int // of the stack; 0: package variables alone

	gr     *proc.G
	frames []proc.Stackframe
	next   int // of frames
	began  bool
	done   bool
	runs   int // of mem, when it was made

	scope *proc.EvalScope // for what Delve has to be asked
	value string          // an expression: look at nothing else
	stop  func() bool
	over  bool // stop has said so
	check int  // n at which it is asked next

	// What is to be looked at, in the order in which it was found. The standard
	// library's own structures come behind the program's: there are many, and few
	// secrets are nearer by way of them.
	near, far queue
	seen      map[visited]bool
	asked, n  int
}

// queue is a list of which the beginning is done.
type queue struct {
	items []item
	head  int
}

func (q *queue) pop() (it item, ok bool) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		return it, false
	}
	q.head++
	return q.items[q.head-1], true
}

// item is a value to look at: of a type at an address.
type item struct {
	t             godwarf.Type
	addr          uint64
	hot, forever  bool
	far           bool
	depth, inside int
}

// NewSearch begins a search from the stopped thread of t, frames deep; with 0 from
// the package variables alone. It looks at nothing yet.
func (g *Guard) NewSearch(t *proc.Target, mem *Memory, frames int) *Search {
	return &Search{
		g: g, mem: mem, t: t, depth: frames, seen: make(map[visited]bool), runs: mem.runs,
		done: g == nil || g.policy.Lifted() && !g.shared.tags.any(),
	}
}

// NewSearchOf begins a search of nothing but the value of an expression, such as
// that of a panic, which is in no variable of a frame.
func (g *Guard) NewSearchOf(scope *proc.EvalScope, mem *Memory, expr string) *Search {
	c := g.NewSearch(nil, mem, 0)
	c.scope, c.value = scope, expr
	return c
}

// Done says whether there is nothing left to look at, or no more will be.
func (c *Search) Done() bool { return c.done }

// Stale says whether the service's thread has run since: what is reached from it is
// another request's by now, or another place's.
func (c *Search) Stale() bool { return c.runs != c.mem.runs }

// End makes it Done.
func (c *Search) End() { c.done = true }

// Run goes on until stop says so, which is asked now and then; it makes known what
// it finds. It reads memory as it is.
func (c *Search) Run(stop func() bool) (err error) {
	if c.done {
		return nil
	}
	c.stop, c.over = stop, false
	c.mem.plainly(func() { err = c.run() })
	c.done = c.done || err != nil
	return err
}

func (c *Search) run() (err error) {
	if !c.began {
		c.began = true
		if err := c.begin(); err != nil {
			return err
		}
	}
	for ; c.next < len(c.frames) && !c.late(); c.next++ {
		c.check = 0 // a frame takes Delve as long as many values
		fn := c.frames[c.next].Call.Fn
		if fn == nil || c.frames[c.next].Err != nil || fn.PackageName() == "runtime" {
			continue
		}
		scope := proc.FrameToScope(c.t, c.t.Memory(), c.gr, c.t.CurrentThread().ThreadID(), c.frames[c.next:]...)
		if c.scope == nil {
			c.scope = scope
		}
		c.frame(scope)
		c.drain(&c.near)
	}
	for c.scope != nil && !c.late() && c.n < maxValues {
		c.drain(&c.near)
		it, ok := c.far.pop()
		if !ok {
			break
		}
		c.look(it)
	}
	c.done = !c.late()
	return nil
}

// begin finds where to look from. What names of secrets are on in the package
// comes first, since it is little.
func (c *Search) begin() (err error) {
	switch {
	case c.value != "":
		v, err := c.scope.EvalExpression(c.value, asking)
		if err == nil {
			c.variable(v, c.g.Type(v.DwarfType), false, 0)
		}
		return err
	case c.depth == 0:
		if c.scope, err = packageScope(c.t); err == nil {
			c.globals()
		}
		return err
	}
	if c.frames, err = proc.ThreadStacktrace(c.t, c.t.CurrentThread(), c.depth); err != nil {
		return err
	}
	c.globals()
	if c.gr, _ = proc.GetG(c.t.CurrentThread()); c.gr != nil {
		c.labels(c.gr)
	}
	return nil
}

// late says whether to stop. To be asked before each value.
func (c *Search) late() bool {
	const every = 32
	if !c.over && c.n >= c.check {
		c.check = c.n + every
		c.over = c.stop()
	}
	return c.over
}

func (c *Search) globals() {
	for _, v := range c.g.shared.program.globals {
		c.push(item{t: v.t, addr: v.addr, hot: v.hot})
	}
}

// headers reads of a variable no more than where it is, and its fields.
var headers = proc.LoadConfig{MaxStructFields: -1}

func (c *Search) frame(scope *proc.EvalScope) {
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
func (c *Search) variable(v *proc.Variable, hot, forever bool, depth int) {
	if v.Addr != 0 && v.Addr < userMemory && v.Flags&proc.VariableFakeAddress == 0 {
		c.push(item{t: v.DwarfType, addr: v.Addr, hot: hot, forever: forever, depth: depth})
		return
	}
	switch v.Kind {
	case reflect.String:
		c.text(v.Base, v.Len, hot, forever)
	case reflect.Slice:
		if st, ok := Resolved(v.RealType).(*godwarf.SliceType); ok {
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

func (c *Search) push(it item) {
	if it.addr == 0 || it.addr >= userMemory || it.t == nil || it.depth > maxDepth || it.inside > maxHotDepth {
		return
	}
	switch t := Resolved(it.t).(type) {
	case *godwarf.BoolType, *godwarf.IntType, *godwarf.UintType, *godwarf.FloatType, *godwarf.ComplexType:
		return // there is no text in it
	case *godwarf.StructType:
		if l := c.g.layout(t); !l.container {
			it.far = l.library
		}
	}
	q := &c.near
	if it.far && !it.hot {
		q = &c.far
	}
	if len(q.items) <= maxValues {
		q.items = append(q.items, it)
	}
}

// drain looks at all that is queued.
func (c *Search) drain(q *queue) {
	for c.n < maxValues {
		if c.late() {
			return
		}
		it, ok := q.pop()
		if !ok {
			return
		}
		c.look(it)
	}
}

func (c *Search) look(it item) {
	c.n++
	key := visited{it.addr, typeName(it.t), it.hot}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.visit(it)
}

// visited is a place that was looked at, as a secret or not.
type visited struct {
	addr uint64
	name string
	hot  bool
}

func typeName(t godwarf.Type) string {
	if name := t.Common().Name; name != "" {
		return name
	}
	return fmt.Sprint(t.Common().Offset)
}
