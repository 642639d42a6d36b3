package gate

import (
	"runtime"
	"testing"
)

// escaping calls f in the place where calls would return from.
//
//go:noinline
func escaping(f func(back uintptr)) {
	f(returnDepth())
	panic("not escaped")
}

// TestEscape: from far above, out of a stack that has grown meanwhile and out of
// a goroutine that is ending, and the goroutine goes on as if nothing had been.
func TestEscape(t *testing.T) {
	done := make(chan int)
	go func() {
		n := 0
		for range 100 {
			escaping(func(back uintptr) {
				defer func() {
					n++
					runtime.GC()
					deep(200, func() { escape(back) })
				}()
				runtime.Goexit()
			})
			runtime.GC()
			deep(2000, func() {})
		}
		done <- n
	}()
	if n := <-done; n != 100 {
		t.Errorf("%d of 100", n)
	}
}

//go:noinline
func deep(n int, f func()) int {
	var pad [64]int
	if n == 0 {
		f()
		return pad[n%64]
	}
	return deep(n-1, f) + pad[n%64]
}
