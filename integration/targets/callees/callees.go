package main

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

//lint:file-ignore SA4017,U1000 a debugger calls and reads what is here

// Order is a type with methods on values and on pointers.
type Order struct {
	ID       int
	Customer string
	Items    []Item
	Audit
}

// Item is a struct that fits registers.
type Item struct {
	Name  string
	Cents int
}

// Audit has methods that Order gets by embedding it.
type Audit struct{ By string }

// Shape is an interface with several implementations.
type Shape interface{ Area() float64 }

type square struct{ side float64 }
type circle struct{ r float64 }
type celsius float64
type wide struct {
	Table [6]int
	Name  string
}

//go:noinline
func (o *Order) Total() int {
	sum := 0
	for _, it := range o.Items {
		sum += it.Cents
	}
	return sum
}

//go:noinline
func (o *Order) Rename(to string) string {
	old := o.Customer
	o.Customer = to
	return old
}

//go:noinline
func (i Item) Label(prefix string) string { return prefix + i.Name }

//go:noinline
func (a *Audit) Signed() string { return "signed by " + a.By }

//go:noinline
func (s square) Area() float64 { return s.side * s.side }

//go:noinline
func (c *circle) Area() float64 { return 3 * c.r * c.r }

//go:noinline
func (c celsius) Fahrenheit() celsius { return c*9/5 + 32 }

// nameless has a receiver that the debug information leaves out.
type nameless struct{ n int }

//go:noinline
func (nameless) Error() string { return "nameless" }

//go:noinline
func answer() int { return 42 }

//go:noinline
func hello() string { return "hello" }

//go:noinline
func nothing() { calls.Lock(); calls.n++; calls.Unlock() }

var calls struct {
	sync.Mutex
	n int
}

//go:noinline
func add(a, b int) int { return a + b }

//go:noinline
func mixed(a int8, b uint16, c bool, d float32, e string, f float64, g int64, h byte) string {
	return fmt.Sprint(a, b, c, d, e, f, g, h)
}

//go:noinline
func many(a, b, c, d, e, f, g, h, i, j, k, l int) int {
	return a + 2*b + 3*c + 4*d + 5*e + 6*f + 7*g + 8*h + 9*i + 10*j + 11*k + 12*l
}

//go:noinline
func double(x float64) float64 { return 2 * x }

//go:noinline
func turn(c complex128) complex128 { return c * 1i }

//go:noinline
func not(b bool) bool { return !b }

//go:noinline
func upper(s string) string { return strings.ToUpper(s) }

//go:noinline
func join(list []string, sep string) string { return strings.Join(list, sep) }

//go:noinline
func cheapest(items []Item) (Item, error) {
	if len(items) == 0 {
		return Item{}, errors.New("no items")
	}
	best := items[0]
	for _, it := range items[1:] {
		if it.Cents < best.Cents {
			best = it
		}
	}
	return best, nil
}

//go:noinline
func load(id int) (*Order, error) {
	if id < 0 {
		return nil, fmt.Errorf("order %d: %w", id, errMissing)
	}
	return &Order{ID: id, Customer: fmt.Sprintf("customer-%d", id), Items: []Item{{"bolt", id}, {"nut", 2 * id}}}, nil
}

var errMissing = errors.New("missing")

//go:noinline
func spread(w wide) wide {
	for i := range w.Table {
		w.Table[i] *= 2
	}
	w.Name += "!"
	return w
}

//go:noinline
func describe(v any) string { return fmt.Sprintf("%T %v", v, v) }

//go:noinline
func area(s Shape) float64 { return s.Area() }

//go:noinline
func why(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

//go:noinline
func count(m map[string]int) int { return len(m) }

//go:noinline
func apply(f func(int) int, n int) int { return f(n) }

//go:noinline
func counter(start int) func() int {
	return func() int { start++; return start }
}

//go:noinline
func sum(label string, list ...int) string {
	n := 0
	for _, x := range list {
		n += x
	}
	return fmt.Sprint(label, n)
}

//go:noinline
func blank(_ int, s string) string { return s }

//go:noinline
func boom(what string) int {
	panic(fmt.Errorf("boom: %s", what))
}

//go:noinline
func index(list []Item, i int) Item { return list[i] }

//go:noinline
func leave() int { runtime.Goexit(); return 1 }

// grow needs much more stack than there is, with pointers into it.
//
//go:noinline
func grow(depth int) int {
	var pad [128]int
	p := &pad[depth%128]
	*p = depth
	if depth > 0 {
		return grow(depth-1) + *p
	}
	return *p
}

// churn allocates, and collects its own garbage on the way.
//
//go:noinline
func churn(n int) []string {
	var list []string
	for i := range n {
		list = append(list, strings.Repeat("x", i%64))
		if i%100 == 0 {
			runtime.GC()
		}
	}
	return list[:3]
}

var gateway sync.Mutex

// blocked waits for a lock that another request holds.
//
//go:noinline
func blocked() string {
	gateway.Lock()
	defer gateway.Unlock()
	return "through"
}

//go:noinline
func spin(ms int) int {
	n := 0
	for until := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(until); {
		n++
	}
	return n
}

//go:noinline
func receive(c chan int) int { return <-c }

//go:noinline
func second(p [2]string) string { return p[1] }

//go:noinline
func first(p [1]int) int { return p[0] }

type inner struct{ deep *Item }

//go:noinline
func tuple(i inner) (string, int, bool) { return i.deep.Name, i.deep.Cents, true }

//go:noinline
func pair[T any](a, b T) []T { return []T{a, b} }

// bench is what the tests have at hand: optimised code keeps few variables.
type bench struct {
	order   *Order
	plain   Order
	items   []Item
	names   []string
	temp    celsius
	shapes  []Shape
	shape   Shape
	stock   map[string]int
	next    func() int
	twice   func(int) int
	bound   func(string) string
	wide    wide
	missing error
	broken  error
	none    error
	nobody  *Order
	ch      chan int
	pair    [2]string
	small   [1]int
	any     any
	inner   inner
}

//go:noinline
func newBench(names []string) *bench {
	order, _ := load(7)
	order.By = "ada"
	_, missing := load(-1)
	b := &bench{
		order: order, plain: *order, items: order.Items, names: names, temp: celsius(len(names)),
		shapes: []Shape{square{3}, &circle{2}, nil}, shape: &circle{1}, stock: map[string]int{"bolt": 1, "nut": 2},
		next: counter(len(names)), wide: wide{[6]int{1, 2, 3, 4, 5, 6}, "work"}, missing: missing, broken: nameless{1},
		ch: make(chan int, 3), pair: [2]string{"l", "r"}, small: [1]int{8}, any: 12.5,
	}
	b.twice = func(n int) int { return n * len(names) }
	b.bound = order.Items[0].Label
	b.inner.deep = &order.Items[1]
	b.ch <- 1
	return b
}

func work(w http.ResponseWriter, r *http.Request) {
	b := newBench(strings.Split(r.URL.Path+"/a/b", "/"))
	var local Order
	local.ID = len(b.names)
	use(local.Total(), &local)                               //bp:work
	fmt.Fprintln(w, b.order.Customer, b.next(), local.ID, b) // b is alive until here
}

// kept makes local a variable on the stack.
//
//go:noinline
func (o *Order) kept() int { return o.ID }

// use keeps its arguments alive, and what is called only by the debugger in the
// binary.
//
//go:noinline
func use(v ...any) {
	if len(v) == 0 {
		fmt.Println(answer(), hello(), add(1, 2), mixed(1, 2, true, 3, "", 4, 5, 6), many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
			double(1), turn(1i), not(true), upper(""), join(nil, ""), spread(wide{}), describe(1), area(square{}), why(nil), count(nil),
			apply(nil, 1), sum("", 1), blank(1, ""), boom(""), index(nil, 0), leave(), grow(1), churn(1), blocked(), spin(1), receive(nil), second([2]string{}), first([1]int{}), pair(1, 2), pair("", ""))
		o := &Order{}
		fmt.Println(o.Total(), o.Rename(""), o.Signed(), o.kept(), Item{}.Label(""), celsius(1).Fahrenheit())
		fmt.Println(cheapest(nil))
		fmt.Println(tuple(inner{}))
		nothing()
	}
}

// other holds the lock that blocked waits for.
func other(w http.ResponseWriter, r *http.Request) {
	ms, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		ms = 0
	}
	gateway.Lock()
	time.Sleep(ms)
	gateway.Unlock()
	fmt.Fprintln(w, "ok")
}
