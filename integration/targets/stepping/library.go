package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// These call the standard library where it runs in the runtime, pinned to a P,
// in reflect or in assembly, and from there code of this program again. One
// statement a line: a step from inside must not skip one.

var buffers = sync.Pool{New: func() any {
	return new(bytes.Buffer)
}}

//go:noinline
func pooled() int {
	n := seed //bp:lib-pool
	b := buffers.Get().(*bytes.Buffer)
	b.WriteString("text")
	n += b.Len()
	b.Reset()
	buffers.Put(b)
	return n
}

//go:noinline
func reflected() int {
	n := seed //bp:lib-reflect
	f := reflect.ValueOf(double)
	out := f.Call([]reflect.Value{reflect.ValueOf(n)})
	n += int(out[0].Int())
	made := reflect.MakeFunc(reflect.TypeFor[func(int) int](), twice).Interface().(func(int) int)
	n = made(n)
	return n
}

//go:noinline
func twice(args []reflect.Value) []reflect.Value {
	n := double(int(args[0].Int()))
	return []reflect.Value{reflect.ValueOf(n)}
}

//go:noinline
func mapped() int {
	m := make(map[any]string) //bp:lib-map
	m[seed] = "three"
	m["four"] = "4"
	n := len(m[seed])
	delete(m, seed)
	clear(m)
	return n + len(m)
}

//go:noinline
func timed() int {
	began := time.Now() //bp:lib-time
	n := double(seed)
	took := time.Since(began)
	n += len(began.Add(took).Format(time.DateOnly))
	time.Sleep(time.Microsecond)
	return n
}

type tally struct {
	sync.Mutex
	rw   sync.RWMutex
	once sync.Once
	n    atomic.Int64
}

//go:noinline
func synced() int {
	t := &tally{} //bp:lib-sync
	t.n.Add(int64(seed))
	t.Lock()
	t.once.Do(func() { t.n.Store(int64(double(seed))) })
	t.Unlock()
	t.rw.RLock()
	n := double(int(t.n.Load()))
	t.rw.RUnlock()
	return n
}

type spelled int

//go:noinline
func (s spelled) String() string {
	n := double(int(s))
	return strings.Repeat("s", n)
}

//go:noinline
func printed() int {
	s := spelled(seed) //bp:lib-fmt
	n, _ := fmt.Fprintf(io.Discard, "%v %d\n", s, seed)
	n += len(fmt.Sprint(s, n))
	return n
}

type marshalled struct {
	Name  string
	Inner spelledJSON
	List  []int
}

type spelledJSON int

//go:noinline
func (s spelledJSON) MarshalJSON() ([]byte, error) {
	n := double(int(s))
	return fmt.Appendf(nil, "%d", n), nil
}

//go:noinline
func encoded() int {
	v := marshalled{"a name", spelledJSON(seed), []int{1, 2}} //bp:lib-json
	text, _ := json.Marshal(v)
	n := len(text)
	var back map[string]any
	_ = json.Unmarshal(text, &back)
	return n + len(back)
}

//go:noinline
func runtimeCalls() int {
	n := double(seed) //bp:lib-runtime
	runtime.Gosched()
	runtime.GC()
	_, file, _, _ := runtime.Caller(0)
	n += len(file)
	runtime.KeepAlive(&n)
	return n
}

//go:noinline
func sorted() int {
	list := []int{5, seed, 4, 1} //bp:lib-sort
	sort.Slice(list, func(i, j int) bool {
		return list[i] < list[j]
	})
	n := list[0]
	return n
}
