package gate

import "unsafe"

// origin says which request a goroutine belongs to. The zero origin is a request
// itself.
type origin struct {
	parent uint32  // 1 + index of the slot of the one that started it
	gen    uint32  // of that slot
	entry  uintptr // code of the goroutine's function
}

// Go starts f in a goroutine of its own, as the go statement does. If an agent
// debugs the calling goroutine's request, the new goroutine belongs to it, and
// may be stopped like it.
//
// A remotedbg agent follows most goroutines of a request without it, see
// docs/following.md; Go is for those that it says it could not follow. Without an
// agent it costs one atomic load more than the go statement.
func Go(f func()) { go Follow(f)() }

// Follow returns a function that does what f does, for a goroutine that exists
// already: a worker that takes functions from a channel, or an errgroup. It is to
// be called where the work is handed over, in the goroutine of the request; what
// it returns may be called once or often, anywhere. While f runs it belongs to
// the request, as in [Go].
//
// If the calling goroutine's request is not being debugged, it returns f itself
// and allocates nothing.
func Follow(f func()) func() {
	if f == nil || !armed() {
		return f
	}
	from, ok := current()
	if !ok {
		return f
	}
	from.entry = code(f)
	return func() {
		// Not accepted means that f runs untouched, as it would without us.
		defer offer(nil, from).Leave()
		f()
	}
}

// code returns the address of the code of f: a func value is a pointer to an
// object whose first word that is (runtime/runtime2.go, funcval).
func code(f func()) uintptr { return **(**uintptr)(unsafe.Pointer(&f)) }
