package main

import (
	"runtime"
	"sort"
)

// Each round of a loop below takes three instructions or more, each comparison and
// each call of fibonacci ten or more.
const rounds, elements, number = 40_000_000, 700_000, 33

// seed is something that the compiler does not know.
var seed = 7

// churn is inlined: to who steps over its call it is one long line.
func churn(n int) (sum int) {
	for i := range n {
		sum = sum*31 ^ i
	}
	return sum
}

func inline() int {
	n := rounds + seed
	sum := churn(n) //bp:inline
	seen(sum)       //bp:inline-end
	return sum
}

// loop has all of a loop in the line of its head.
func loop() int {
	n, sum := rounds+seed, 0
	for ; n > 0; n, sum = n-1, sum*31^n { //bp:loop
	}
	seen(sum) //bp:loop-end
	return sum
}

// add calls in each round of its loop, and is inlined.
func add(n int) (sum int) {
	for i := range n {
		sum += leaf(i)
	}
	return sum
}

//go:noinline
func leaf(n int) int { return n & 3 }

func loopCalls() int {
	n := rounds/2 + seed
	sum := add(n) //bp:loopcalls
	seen(sum)     //bp:loopcalls-end
	return sum
}

//go:noinline
func away(n int) int { return churn(n) }

func call() int {
	n := rounds + seed
	sum := away(n) //bp:call
	seen(sum)      //bp:call-end
	return sum
}

func closure() int {
	list := make([]int, elements)
	for i := range list {
		list[i] = (i*7919 + seed) % elements
	}
	sort.Slice(list, func(i, j int) bool { return list[i] < list[j] }) //bp:closure
	seen(list[0])                                                      //bp:closure-end
	return list[0]
}

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

func recursive() int {
	n := number + seed - 7
	sum := fibonacci(n) //bp:recursive
	seen(sum)           //bp:recursive-end
	return sum
}

// descend is stepped over from inside: on the way its line is reached a thousand
// times, in deeper frames, each of which computes for long.
//
//go:noinline
func descend(n int) int {
	if n == 0 {
		return 0
	}
	sum := churn(rounds / 1000)
	rest := descend(n - 1) //bp:inside
	seen(rest)             //bp:inside-end
	return sum + rest
}

func inside() int { return descend(1000) }

// seen has the compiler believe that n is looked at.
//
//go:noinline
func seen(n int) { runtime.KeepAlive(n) }
