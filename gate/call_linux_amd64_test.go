package gate

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// stackEnd is the upper end of the calling goroutine's stack: g.stack.hi, see
// escape. The g is where the first word below the thread's FS base points to,
// as in every program that Go's own linker has laid out.
func stackEnd(t *testing.T) uintptr {
	t.Helper()
	const getFS = 0x1003 // ARCH_GET_FS
	var base, g uintptr
	if _, _, errno := syscall.Syscall(syscall.SYS_ARCH_PRCTL, getFS, uintptr(unsafe.Pointer(&base)), 0); errno != 0 {
		t.Fatalf("arch_prctl: %v", errno)
	}
	var stack [2]uintptr // g.stack: lo, hi
	peek(t, base-8, unsafe.Pointer(&g), unsafe.Sizeof(g))
	peek(t, g, unsafe.Pointer(&stack), unsafe.Sizeof(stack))
	if here := uintptr(unsafe.Pointer(&stack)); here < stack[0] || here >= stack[1] {
		t.Fatalf("the stack is not %#x, a variable on it is at %#x", stack, here)
	}
	return stack[1]
}

// peek reads size bytes of this process: the addresses are none that the
// compiler knows for pointers.
func peek(t *testing.T, addr uintptr, to unsafe.Pointer, size uintptr) {
	t.Helper()
	type iovec struct{ base, len uintptr }
	local, remote := iovec{uintptr(to), size}, iovec{addr, size}
	n, _, errno := syscall.Syscall6(310 /* process_vm_readv */, uintptr(syscall.Getpid()),
		uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if n != size {
		t.Fatalf("read %d bytes at %#x: %v", size, addr, errno)
	}
}

// within runs f with what leads back to where within returns to, as calls runs
// serveCalls. Arguments of an array type are passed on the stack, right above the
// return address.
//
//go:noinline
func within(t *testing.T, onStack [2]uintptr, f func(back uintptr)) {
	for { // until the stack was not moved between the two
		end := stackEnd(t)
		slot := uintptr(unsafe.Pointer(&onStack)) - 8
		if stackEnd(t) == end {
			f(end - slot)
			break
		}
	}
	t.Error("not escaped")
}

// deep runs f below a stack that has grown, and been moved, meanwhile.
//
//go:noinline
func deep(n int, f func()) byte {
	var pad [512]byte
	pad[n%len(pad)] = byte(n)
	if n == 0 {
		f()
		return pad[0]
	}
	return deep(n-1, f) + pad[n%len(pad)]
}

// TestEscape: from wherever it is called it goes on behind calls, and nothing is
// left of what was under way above that.
func TestEscape(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(back uintptr)
	}{
		{"at once", escape},
		{"from a stack that was moved", func(back uintptr) { deep(2000, func() { escape(back) }) }},
		{"in runtime.Goexit", func(back uintptr) {
			defer escape(back)
			runtime.Goexit()
		}},
		{"in runtime.Goexit, deep", func(back uintptr) {
			defer func() { deep(2000, func() { escape(back) }) }()
			runtime.Goexit()
		}},
		{"in a panic", func(back uintptr) {
			defer func() { escape(back) }()
			panic("it fails")
		}},
		{"in runtime.Goexit in a panic", func(back uintptr) {
			defer func() {
				defer func() { escape(back) }()
				runtime.Goexit()
			}()
			panic("it fails")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			over := make(chan bool)
			go func() {
				ended := false
				defer func() { over <- ended }() // not when Goexit goes on after all
				escapes(t, c.from)
				ended = true
			}()
			if !<-over {
				t.Error("the goroutine was ended nevertheless")
			}
		})
	}
}

// escapes escapes from f and holds the goroutine against what it must be then.
//
//go:noinline
func escapes(t *testing.T, f func(back uintptr)) {
	locals := [3]int{1, 2, 3}
	within(t, [2]uintptr{}, f)
	if v := recover(); v != nil {
		t.Errorf("it is panicking with %v", v)
	}
	runtime.GC() // scans the stack, and would find records of panics that are left
	if locals != [3]int{1, 2, 3} {
		t.Errorf("the caller's variables are %v", locals)
	}
	deep(3000, runtime.GC)
	again := errors.New("again")
	if got := recovered(func() { panic(again) }); got != again {
		t.Errorf("a later panic is recovered as %v", got)
	}
	if got := recovered(func() {}); got != nil {
		t.Errorf("without a panic %v is recovered", got)
	}
	// The closure register, R14 and X15 are what Go code relies on.
	if sum := deep(3, func() {}); sum != 6 {
		t.Errorf("a call comes to %d", sum)
	}
	if z := [4]uint64(make([]uint64, 4)); z != [4]uint64{} {
		t.Errorf("zeros are %v", z)
	}
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
