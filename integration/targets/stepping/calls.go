package main

import (
	"fmt"
	"strconv"
)

// seed keeps the compiler from computing everything in advance.
var seed = 3

//go:noinline
func double(n int) int {
	n *= 2
	return n
}

//go:noinline
func straight() int {
	a := seed //bp:straight
	b := double(a)
	c := double(b) + double(a)
	c += len(strconv.Itoa(c))
	return c
}

//go:noinline
func branches() int {
	n := seed //bp:branches
	if n > 2 {
		n = double(n)
	} else {
		n = 1
	}
	switch {
	case n == 5:
		n++
	case n > 5 && double(n) > 6:
		n += 2
	default:
		n = 0
	}
	return n
}

//go:noinline
func loops() int {
	sum := seed - 3 //bp:loops
	for i := 0; i < seed; i++ {
		sum += double(i)
	}
	for i := range seed {
		if i == 1 {
			continue
		}
		sum += i
	}
	for _, s := range []string{"a", "bb"} {
		sum += len(s)
	}
	return sum
}

//go:noinline
func recursion() int {
	n := seed //bp:recursion
	n = factorial(n)
	return n + 1
}

//go:noinline
func factorial(n int) int {
	if n <= 1 {
		return 1
	}
	rest := factorial(n - 1)
	return n * rest
}

//go:noinline
func inlined() int {
	n := seed //bp:inlined
	n = small(n)
	n = double(small(n)) + small(seed)
	return n
}

// small is inlined, and what it calls.
func small(n int) int {
	n++
	return smaller(n)
}

func smaller(n int) int {
	return n + seed
}

type account struct{ cents int }

func (a account) balance() int { return double(a.cents) }

//go:noinline
func (a *account) deposit(n int) {
	a.cents += n
}

//go:noinline
func methods() int {
	a := &account{seed} //bp:methods
	a.deposit(4)
	f := a.deposit
	f(5)
	g := a.balance
	return g() + a.balance()
}

type shape interface{ area() int }

type square struct{ side int }

type rect struct{ w, h int }

//go:noinline
func (s square) area() int {
	return s.side * s.side
}

//go:noinline
func (r *rect) area() int {
	return r.w * r.h
}

//go:noinline
func interfaces() int {
	shapes := []shape{square{seed}, &rect{seed, 2}} //bp:interfaces
	sum := 0
	for _, s := range shapes {
		sum += s.area()
	}
	return sum
}

type number interface{ ~int | ~float64 }

//go:noinline
func largest[T number](list ...T) T {
	best := list[0]
	for _, v := range list[1:] {
		if v > best {
			best = v
		}
	}
	return best
}

type box[T any] struct{ v T }

//go:noinline
func (b *box[T]) get() T {
	return b.v
}

//go:noinline
func generics() int {
	n := largest(1, seed, 2) //bp:generics
	f := largest(1.5, float64(seed))
	b := &box[string]{fmt.Sprint(f)}
	n += len(b.get())
	return n
}

//go:noinline
func multiline() int {
	n := sum3( //bp:multiline
		double(seed),
		double(2),
		double(1),
	)
	return n +
		double(n)
}

//go:noinline
func sum3(a, b, c int) int {
	return a + b + c
}
