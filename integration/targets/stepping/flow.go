package main

import (
	"errors"
	"iter"
	"sync"
)

//go:noinline
func closures() int {
	total := seed - 3 //bp:closures
	add := func(n int) {
		total += double(n)
	}
	add(seed)
	each([]int{1, 2}, func(n int) {
		add(n)
	})
	return total
}

//go:noinline
func each(list []int, f func(int)) {
	for _, n := range list {
		f(n)
	}
}

//go:noinline
func defers() (n int) {
	defer func() { //bp:defers
		n += double(1)
	}()
	defer double(seed)
	n = deferLoop(2)
	return n + 1
}

//go:noinline
func deferLoop(times int) int {
	n := 0
	for i := range times {
		defer func() {
			n += i
		}()
	}
	n += 5
	return n
}

//go:noinline
func recovered() int {
	n := seed //bp:recovered
	err := careful(n)
	if err != nil {
		n++
	}
	return n
}

//go:noinline
func careful(n int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("recovered")
		}
	}()
	fails(n)
	return nil
}

//go:noinline
func fails(n int) {
	if n > 0 {
		panic("it fails")
	}
}

func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

//go:noinline
func pairs(n int, yield func(int, int) bool) {
	for i := range n {
		if !yield(i, double(i)) {
			return
		}
	}
}

//go:noinline
func rangeFunc() int {
	sum := seed - 3 //bp:rangefunc
	for i := range upTo(seed) {
		sum += i
	}
	for i, d := range func(yield func(int, int) bool) { pairs(2, yield) } {
		sum += i
		sum += d
	}
	return sum
}

//go:noinline
func rangeBreak() int {
	sum := seed - 3 //bp:rangebreak
	for i := range upTo(10) {
		if i == 1 {
			continue
		}
		if i > 2 {
			break
		}
		sum += i
	}
	for i := range upTo(10) {
		for j := range upTo(10) {
			if j > i {
				return sum + double(j)
			}
			sum += j
		}
	}
	return sum
}

//go:noinline
func rangeDefer() int {
	n := seed - 3 //bp:rangedefer
	deferInRange(&n)
	return n
}

//go:noinline
func deferInRange(n *int) {
	for i := range upTo(2) {
		defer func() {
			*n += double(i)
		}()
		*n++
	}
	*n += 10
}

//go:noinline
func selects() int {
	c, done := make(chan int, 1), make(chan bool) //bp:selects
	n := 0
	c <- seed
	select {
	case v := <-c:
		n += v
	case <-done:
		n = 0
	}
	select {
	case v := <-c:
		n = v
	default:
		n += double(n)
	}
	return n
}

//go:noinline
func channels() int {
	c := make(chan int) //bp:channels
	go send(c, seed)
	n := 0
	for v := range c {
		n += v
	}
	return n
}

func send(c chan<- int, n int) {
	for i := range n {
		c <- i
	}
	close(c)
}

//go:noinline
func goStart() int {
	var wg sync.WaitGroup //bp:gostart
	n := 0
	wg.Add(1)
	go func() {
		defer wg.Done()
		n = double(seed)
	}()
	wg.Wait()
	return n
}

//go:noinline
func types() int {
	n := seed - 3 //bp:types
	for _, v := range []any{seed, "four", &account{5}} {
		switch v := v.(type) {
		case int:
			n += v
		case string:
			n += len(v)
		case *account:
			v.deposit(1)
			n += v.cents
		}
	}
	return n
}

//go:noinline
func jumps() int {
	n := seed - 3 //bp:jumps
again:
	n++
	if n < seed {
		goto again
	}
outer:
	for i := range 3 {
		for j := range 3 {
			if j == 2 {
				continue outer
			}
			if i == 1 {
				break outer
			}
			n += double(j)
		}
	}
	return n
}
