// Command values has one variable of every sort; the tests of package dap stop
// it at its markers and look at them.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

type point struct{ X, Y int }

type item struct {
	SKU   string
	Qty   int
	Price float64
}

type order struct {
	ID       int
	Customer string
	Items    []item
	Tags     map[string]int
	Placed   time.Time
	Parent   *order
	Note     *string
	Body     []byte
	where    point
}

type shopError struct{ Code int }

func (e *shopError) Error() string { return fmt.Sprint("code ", e.Code) }

//go:noinline
func keep(values ...any) { fmt.Fprintln(os.Stderr, len(values)) }

//go:noinline
func inner(n int) int {
	doubled := n * 2
	keep(&doubled) //bp:inner
	return doubled
}

//go:noinline
func outer(o *order, count int) int {
	sum := inner(count) + o.ID
	keep(sum)
	return sum
}

//go:noinline
func deep(n int) int {
	if n == 0 {
		keep(n) //bp:deep
		return 0
	}
	return deep(n-1) + 1
}

//go:noinline
func values(o *order) {
	var (
		nilPtr   *order
		nilMap   map[string]int
		nilSlice []int
		nilErr   error
		nilFunc  func()
	)
	plainErr := errors.New("no stock")
	typedErr := error(&shopError{Code: 7})
	var anyInt any = 42
	var anySlice any = []string{"a", "b"}
	numbers := make([]int, 250)
	for i := range numbers {
		numbers[i] = i * i
	}
	counts := make(map[int]string, 150)
	for i := range 150 {
		counts[i] = fmt.Sprint("n", i)
	}
	keyed := map[point]*item{{1, 2}: {SKU: "keyed"}}
	grid := [2][3]int{{1, 2, 3}, {4, 5, 6}}
	ch := make(chan int, 3)
	ch <- 11
	captured := 5
	fn := func(n int) int { return n + captured }
	long := strings.Repeat("x", 5000)
	text := "grüße \"quoted\""
	yes, ratio, cplx := true, 1.5, complex(1, -2)
	ptrToPtr := &o
	shadow := 1
	if shadow == 1 {
		shadow := "inner"
		keep(nilPtr, nilMap, nilSlice, nilErr, nilFunc, plainErr, typedErr, anyInt, anySlice, numbers, counts) //bp:values
		keep(keyed, grid, ch, fn, long, text, yes, ratio, cplx, ptrToPtr, shadow, captured)
	}
	keep(shadow, nilPtr, nilMap, nilSlice, nilErr)
}

// panicking is stopped while its deferred function runs.
//
//go:noinline
func panicking() {
	defer func() {
		keep("deferred") //bp:panicking
		keep(recover())
	}()
	panic(&shopError{Code: 42})
}

// small is inlined into its caller, unless inlining is off.
func small(n int) int {
	keep(n) //bp:small
	return n + 1
}

//go:noinline
func callsSmall(n int) int { return small(n) + 1 }

type clerk struct{ desk int }

//go:noinline
func (c *clerk) stamp(n int) {
	keep(c.desk, n) //bp:stamp
}

// Sign has a value as its receiver: a pointer to a clerk signs through a wrapper.
//
//go:noinline
func (c clerk) Sign(n int) {
	keep(c.desk, n) //bp:sign
}

//go:noinline
func (c clerk) Seal(n int) {
	keep(c.desk, n) //bp:seal
}

// An office has another one's method, under a name that says nothing of whose.
type office struct {
	floor int
	clerk
}

type signer interface{ Sign(int) }

type sealer interface{ Seal(int) }

//go:noinline
func through(s signer, seals sealer, f func(int)) {
	f(2)
	s.Sign(1)
	seals.Seal(3)
}

func main() {
	note := "ring twice"
	parent := &order{ID: 1, Customer: "parent"}
	o := &order{
		ID: 7, Customer: "ada",
		Items:  []item{{"A-1", 2, 9.5}, {"B-2", 1, 20}},
		Tags:   map[string]int{"gift": 1},
		Placed: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
		Parent: parent, Note: &note, Body: []byte("hello"), where: point{3, 4},
	}
	keep(outer(o, 21))
	values(o)
	shown()
	panicking()
	keep(deep(200))
	keep(callsSmall(3))
	c := &clerk{desk: 7}
	through(c, &office{floor: 1, clerk: *c}, c.stamp)
}
