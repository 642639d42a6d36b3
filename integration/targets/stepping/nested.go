package main

import (
	"errors"
	"fmt"
	"iter"
)

//go:noinline
func rangeLabels() int {
	n := seed - 3 //bp:rangelabels
outer:
	for i := range upTo(4) {
		for j := range upTo(4) {
			if j == 2 {
				continue outer
			}
			if i == 2 {
				break outer
			}
			n += double(j)
		}
		n += i
	}
	return n
}

//go:noinline
func rangeReturns() int {
	n := findPair(5) //bp:rangereturns
	n += seed
	return n
}

//go:noinline
func findPair(sum int) int {
	for i := range upTo(5) {
		defer double(i)
		for j := range upTo(5) {
			if i+j == sum {
				return i * j
			}
		}
	}
	return -1
}

//go:noinline
func rangePulled() int {
	n := seed - 3 //bp:rangepull
	next, stop := iter.Pull(upTo(2))
	defer stop()
	for {
		v, ok := next()
		if !ok {
			break
		}
		n += v
	}
	return n
}

//go:noinline
func nestedClosures() int {
	n := seed //bp:nestedclosures
	outer := func(a int) func(int) int {
		n += a
		return func(b int) int {
			inner := func() int {
				n++
				return double(n)
			}
			return inner() + b
		}
	}
	add := outer(2)
	n = add(1)
	return n
}

//go:noinline
func deferLoopCalls() int {
	n := seed - 3 //bp:deferloop
	func() {
		for i := range seed {
			defer func() {
				n += double(i)
			}()
		}
		n = 1
	}()
	return n
}

//go:noinline
func deferMethods() int {
	a := &account{seed} //bp:defermethods
	withDefers(a)
	return a.cents
}

//go:noinline
func withDefers(a *account) {
	defer a.deposit(1)
	defer a.deposit(double(2))
	a.deposit(3)
}

//go:noinline
func selectDefault() int {
	c, n := make(chan int, 2), seed-3 //bp:selectdefault
	var never chan int
	for i := range 3 {
		select {
		case c <- i:
			n++
		default:
			n += double(i)
		}
	}
	select {
	case v, ok := <-c:
		if ok {
			n += v
		}
	case <-never:
		n = 0
	}
	return n
}

//go:noinline
func typeSwitch() int {
	n := kindOf(seed) //bp:typeswitch
	n += kindOf(errors.New("an error"))
	n += kindOf(account{2})
	n += kindOf(nil)
	return n
}

//go:noinline
func kindOf(v any) int {
	switch v := v.(type) {
	case nil:
		return 1
	case int, int64:
		return 2
	case error:
		return len(v.Error())
	case interface{ balance() int }:
		return v.balance()
	}
	return 0
}

//go:noinline
func gotos() int {
	n, i := seed-3, 0 //bp:gotos
loop:
	if i >= 3 {
		goto done
	}
	n += double(i)
	i++
	goto loop
done:
	return n
}

//go:noinline
func fallsThrough() int {
	n := seed //bp:fallthrough
	switch n {
	case 3:
		n++
		fallthrough
	case 7:
		n = double(n)
	default:
		n = 0
	}
	return n
}

type holder struct {
	account
	*box[int]
}

//go:noinline
func promoted() int {
	h := &holder{account{seed}, &box[int]{4}} //bp:promoted
	h.deposit(2)
	n := h.get()
	n += h.balance()
	return n
}

type list[T any] struct {
	items []T
}

//go:noinline
func (l *list[T]) push(v T) *list[T] {
	l.items = append(l.items, v)
	return l
}

//go:noinline
func (l *list[T]) each(f func(T)) {
	for _, v := range l.items {
		f(v)
	}
}

//go:noinline
func convert[A, B any](l *list[A], f func(A) B) *list[B] {
	out := &list[B]{}
	l.each(func(a A) {
		out.push(f(a))
	})
	return out
}

//go:noinline
func genericMethods() int {
	l := &list[int]{} //bp:genericmethods
	l.push(seed).push(4)
	texts := convert(l, func(n int) string {
		return fmt.Sprint(n)
	})
	return len(texts.items)
}

//go:noinline
func mutual() int {
	n := seed //bp:mutual
	if isEven(n) {
		n = 0
	}
	n = double(n)
	return n
}

//go:noinline
func isEven(n int) bool {
	if n == 0 {
		return true
	}
	return isOdd(n - 1)
}

//go:noinline
func isOdd(n int) bool {
	if n == 0 {
		return false
	}
	return isEven(n - 1)
}

//go:noinline
func recoveredInside() int {
	n := seed //bp:recoveredinside
	n += guarded(n)
	n += guarded(0)
	return n
}

//go:noinline
func guarded(n int) (out int) {
	defer func() {
		if recover() != nil {
			out = double(2)
		}
	}()
	fails(n)
	return 1
}

//go:noinline
func repanicked() int {
	n := seed - 3 //bp:repanicked
	func() {
		defer func() {
			v := recover()
			n += len(fmt.Sprint(v))
		}()
		func() {
			defer func() {
				v := recover()
				panic(fmt.Sprint(v, "again"))
			}()
			fails(1)
		}()
	}()
	return n
}

//go:noinline
func nilPanics() int {
	n := seed - 3 //bp:nilpanics
	n += dereference(nil)
	n += dereference(&account{2})
	return n
}

//go:noinline
func dereference(a *account) (n int) {
	defer func() {
		if recover() != nil {
			n = -1
		}
	}()
	n = a.cents
	return n
}

//go:noinline
func shortCircuit() int {
	n := seed - 3 //bp:shortcircuit
	if isEven(1) && isEven(2) || isOdd(1) {
		n = 1
	}
	for i := 0; i < 2 && isEven(i); i++ {
		n += i
	}
	return n
}

//go:noinline
func emptyLoop() int {
	n := double(seed) //bp:emptyloop
	for n > seed {
		n--
	}
	for i := 0; i < seed; i++ {
	}
	for range 2 {
		n++
	}
	return n
}

//go:noinline
func closureArgs() int {
	n := seed //bp:closureargs
	f := func(a int) int { return double(a) + n }
	n = f(double(1)) + f(double(2))
	n += func() int {
		return double(n)
	}()
	return n
}

//go:noinline
func variadics() int {
	n := total(1, double(seed), 3) //bp:variadics
	n += total()
	return n
}

//go:noinline
func total(list ...int) (sum int) {
	for _, v := range list {
		sum += v
	}
	return
}
